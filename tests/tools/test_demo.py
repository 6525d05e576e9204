"""The demo on its clip, run as its users run it."""

import csv
import json
import runpy
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from rpstn.skeletons import get_skeleton, map_joints
from rpstn.video.frames import open_frames

ROOT = Path(__file__).parents[2]
FRAMES = 46
# Frame -> head and middle of the hips, pixels, by MediaPipe Pose on the video whose face was seen.
PLACES = {
    0: ((109, 170), (114, 279)),
    20: ((108, 181), (112, 284)),
    26: ((112, 230), (112, 311)),
    45: ((116, 169), (117, 277)),
}
TOLERANCE = 15  # pixels; the man is 250 tall


@pytest.fixture(scope='module')
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp('demo')
    done = subprocess.run(
        [sys.executable, 'tools/demo.py', '--out', str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return out, done.stdout


def video_size(path: Path) -> tuple[int, int, int]:
    images = [frame.image for frame in open_frames(path)]
    return len(images), *images[0].shape[:2]


def test_the_joints_are_where_the_body_is(demo):
    out, _ = demo
    read = json.loads((out / 'squat.json').read_text())
    joints = {name: i for i, name in enumerate(get_skeleton('jhmdb15').joints)}
    frames = {entry['frame']: np.array(entry['keypoints']) for entry in read['frames']}
    assert list(frames) == list(range(FRAMES))
    for index, (head, hips) in PLACES.items():
        found = map_joints(frames[index][:, :2], 'blazepose33', 'jhmdb15')
        hip = (found[joints['left_hip']] + found[joints['right_hip']]) / 2
        assert np.linalg.norm(hip - hips) < TOLERANCE, index
        assert np.linalg.norm(found[joints['head']] - head) < TOLERANCE, index
    every = np.stack(list(frames.values()))
    sure = every[every[..., 2] >= 0.2][:, :2]
    assert len(sure) > 0.5 * every[..., 2].size
    assert (sure > (55, 150)).all() and (sure < (175, 422)).all()  # around the man in all frames


def test_the_table_tells_the_same(demo):
    out, _ = demo
    read = json.loads((out / 'squat.json').read_text())
    rows = list(csv.DictReader((out / 'squat.csv').open()))
    assert len(rows) == FRAMES * len(read['joints'])
    assert [row['joint'] for row in rows[: len(read['joints'])]] == read['joints']


def test_both_are_drawn_side_by_side(demo):
    pytest.importorskip('mediapipe')
    out, said = demo
    assert 'RPSTN-Lite beside MediaPipe Pose' in said
    assert video_size(out / 'squat.mp4') == (FRAMES, 852, 960)
    picture = cv2.imread(str(out / 'frame.jpg'))
    assert picture.shape == (852, 960, 3)
    ours, theirs = picture[:, :480].astype(int), picture[:, 480:].astype(int)
    differs = np.abs(ours - theirs).max(-1) > 60  # but for the titles, only around the man
    assert differs[300:].any() and not differs[60:400].any()


def test_it_ends_in_a_report(demo):
    out, said = demo
    last = said.splitlines()[-2]
    assert last.startswith(str(out / 'squat/report.html'))
    assert '1 repetition' in last
    assert 'Repetition 1' in (out / 'squat/report.html').read_text()


def test_without_mediapipe_it_says_so(tmp_path, monkeypatch, capsys):
    for name in [*(name for name in sys.modules if name.split('.')[0] == 'mediapipe'), 'mediapipe']:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(sys, 'argv', ['demo.py', '--out', str(tmp_path)])
    monkeypatch.setattr(sys, 'path', [*sys.path])
    runpy.run_path(str(ROOT / 'tools/demo.py'), run_name='__main__')
    said = capsys.readouterr().out
    assert 'RPSTN-Lite is drawn alone. MediaPipe Pose needs mediapipe' in said
    assert video_size(tmp_path / 'squat.mp4') == (FRAMES, 852, 480)
    assert cv2.imread(str(tmp_path / 'frame.jpg')).shape == (852, 480, 3)


def test_the_clip_comes_with_its_licence():
    text = (ROOT / 'demo/LICENSE').read_text()
    assert 'Copyright (c) 2023 Mukundan Chariar' in text
    assert 'this permission notice shall be included' in text.replace('\n', ' ')
