"""`rpstn infer` of inputs by any name, and of hostile ones beside good ones."""

import csv
import io
import json
import os
import sys
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from rpstn.cli.main import main

from video_files import encode, greys

BAD = os.fsdecode(b'squat-\xff\xe4')


@pytest.fixture(scope='module')
def model(configs, tmp_path_factory) -> list[str]:
    path = tmp_path_factory.mktemp('model') / 'tiny.pth'
    config = Config.fromfile(configs['tiny'])
    init_default_scope('mmpose')
    torch.save(dict(state_dict=MODELS.build(config.model).state_dict()), path)
    return [str(configs['tiny']), str(path)]


@pytest.fixture
def infer(model, monkeypatch):
    """Status, and what is said on both streams, as a terminal that takes UTF-8 alone gets it."""

    def run(*words: str | Path) -> tuple[int, str, str]:
        streams = [io.TextIOWrapper(io.BytesIO(), 'utf-8', 'strict') for _ in range(2)]
        monkeypatch.setattr(sys, 'stdout', streams[0])
        monkeypatch.setattr(sys, 'stderr', streams[1])
        status = main(['infer', *model, *map(str, words), '--device', 'cpu', '--kpt-thr', '-9'])
        monkeypatch.undo()
        said = []
        for stream in streams:
            stream.flush()
            said.append(stream.buffer.getvalue().decode())
        return status, *said

    return run


@pytest.mark.parametrize('name', [BAD, 'pipe:a\nb[bold]'], ids=ascii)
def test_results_have_the_name_of_their_input_whatever_it_is(infer, tmp_path, name):
    video = tmp_path / f'{name}.mp4'
    video.write_bytes(encode(tmp_path / 'a.mp4', greys(3)).read_bytes())
    kinds = ('video', 'json', 'csv', 'npz', 'coco', 'mmpose')
    status, said, complained = infer(video, '--out', tmp_path / 'out', '--save', *kinds)
    assert status == 0 and not complained and '3 frames' in said
    endings = ('.mp4', '.json', '.csv', '.npz', '.coco.json', '.mmpose.json')
    assert {p.name for p in (tmp_path / 'out').iterdir()} == {f'{name}{e}' for e in endings}
    for ending in endings[1:3]:
        (tmp_path / 'out' / f'{name}{ending}').read_bytes().decode()
    shown = json.loads((tmp_path / 'out' / f'{name}.json').read_text())['video']
    shown.encode()  # no half of a sign
    assert shown == (r'squat-\xff\xe4.mp4' if name == BAD else video.name.replace('\n', r'\n'))
    with open(tmp_path / 'out' / f'{name}.csv', newline='') as file:
        assert {row['frame'] for row in csv.DictReader(file)} == {'0', '1', '2'}


def test_a_picture_by_such_a_name_in_such_a_folder(infer, tmp_path):
    folder = tmp_path / BAD
    folder.mkdir()
    picture = cv2.imencode('.png', greys(1)[0])[1].tobytes()
    (folder / f'{BAD}.png').write_bytes(picture)
    status, said, _ = infer(
        folder / f'{BAD}.png', '--out', tmp_path / 'o', '--save', 'video', 'json'
    )
    assert status == 0 and (tmp_path / 'o' / f'{BAD}.png').is_file()
    assert r'squat-\xff\xe4.png' in said


def test_what_is_hostile_is_a_line_and_the_others_are_done(infer, tmp_path):
    good = encode(tmp_path / 'good.mp4', greys(2))
    huge = tmp_path / 'huge.png'
    huge.write_bytes(
        b'\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR' + b'\0\1\0\0' * 2 + b'\x08\2\0\0\0' + bytes(40)
    )
    playlist = tmp_path / 'list.mp4'
    playlist.write_text(f'#EXTM3U\n#EXTINF:1,\nfile://{good}\n')
    lost = tmp_path / f'{BAD}.mp4'
    lost.write_bytes(b'no video' * 99)
    gone = 'rtps://admin:S3cret@camera/live'
    status, said, complained = infer(
        huge, playlist, lost, gone, good, '--out', tmp_path / 'out', '--save', 'csv'
    )
    assert status == 1 and 'S3cret' not in complained + said
    lines = complained.strip().split('\n')
    assert len(lines) == 4
    first, *lines = lines  # found before anything is opened
    assert first.startswith('rtps://camera/live: neither a file nor the address of a stream')
    assert lines[0].startswith(f'{huge}: frame 0 has 65536x65536 pixels, above the limit')
    assert lines[1].startswith(f'{playlist}: not a video') and 'none is read' in lines[1]
    assert r'squat-\xff\xe4.mp4: not a video' in lines[2]
    assert [p.name for p in (tmp_path / 'out').iterdir()] == ['good.csv']


def test_a_damaged_head_is_told_and_the_rest_is_a_result(infer, tmp_path):
    import numpy as np

    images = np.random.default_rng(0).integers(0, 255, (12, 48, 64, 3), np.uint8)
    path = encode(tmp_path / 'a.mp4', list(images), 'mpeg4')
    data = path.read_bytes()
    path.write_bytes(bytes(len(data) // 8) + data[len(data) // 8 :])
    status, _, complained = infer(path, '--out', tmp_path / 'out', '--save', 'csv')
    assert status == 1 and complained.startswith(f'{path}: the head of the MP4 is damaged')
    assert (tmp_path / 'out' / 'a.csv').is_file()
