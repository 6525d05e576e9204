"""Results on their way: on a full disk, after a kill, beside files and runs of others."""

import errno
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from rpstn.errors import RPSTNError
from rpstn.inference import run_folder
from rpstn.inference.inferencer import PoseInferencer
from rpstn.inference.options import InferOptions
from rpstn.inference.run import InferRun
from rpstn.inference.run_folder import RunFolder
from rpstn.results import FrameResult
from rpstn.video.frames import VideoWriter, open_frames

from full_disk import room

FRAMES = 6


@pytest.fixture(scope='module')
def loaded(configs) -> PoseInferencer:
    """Random weights; 64x64 input, T = 3, 13 joints."""
    config = Config.fromfile(configs['tiny'])
    init_default_scope('mmpose')
    torch.manual_seed(0)
    checkpoint = configs['tiny'].with_suffix('.pth')
    torch.save(dict(state_dict=MODELS.build(config.model).state_dict()), checkpoint)
    return PoseInferencer(config, checkpoint, 'cpu', kpt_thr=-9)


@pytest.fixture
def infer(loaded) -> Callable[..., str | None]:
    """As `rpstn infer`, with the model loaded before: what went wrong, if anything did."""

    class ReadyRun(InferRun):
        def _inferencer(self) -> PoseInferencer:
            self.config, self.checkpoint = Config(), 'tiny.pth'
            return loaded

        def _about(self, inferencer, text, source) -> dict:  # which takes longer than all else
            return dict(input=text)

    def run(video: Path, out: Path, *save: str, **options) -> str | None:
        try:
            ReadyRun(InferOptions(video, out, save=save, **options), lambda line: None).run()
        except RPSTNError as error:
            return str(error)
        return None

    return run


def write_video(path: Path, seed: int = 0) -> Path:
    # Smaller frames x264 does not code alike every time.
    images = np.random.default_rng(seed).integers(0, 255, (FRAMES, 96, 128, 3), np.uint8)
    with VideoWriter(path, 10.0, (128, 96)) as writer:
        for image in images:
            writer.write(image)
    return path


@pytest.fixture(scope='module')
def clip(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp('clip') / 'clip.mp4')


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_results_that_are_there_are_replaced_only_where_asked(infer, clip, tmp_path):
    """Of whomever, and of another input of that name."""
    assert infer(clip, tmp_path, 'csv', 'json') is None
    before = content(tmp_path)
    assert infer(clip, tmp_path, 'npz', 'json') == (
        f'{tmp_path}/clip.json: is there already; add --overwrite to replace it, or choose another '
        '--out'
    )
    assert content(tmp_path) == before
    (tmp_path / 'clip.csv').write_text('old')
    (tmp_path / 'other').write_text('theirs')
    (tmp_path / 'clip.json').unlink()
    (tmp_path / 'clip.json').symlink_to(tmp_path / 'nothing')
    for output in ('csv', 'json'):
        assert f'clip.{output}: is there already' in infer(clip, tmp_path, output)
    assert infer(clip, tmp_path, 'csv', 'json', overwrite=True) is None
    assert content(tmp_path) == {**before, 'other': b'theirs'}
    assert not (tmp_path / 'clip.json').is_symlink()


def test_what_comes_there_meanwhile_stays(infer, clip, tmp_path, monkeypatch):
    write = RunFolder.write

    def write_and_plant(self, result):
        (tmp_path / 'clip.csv').write_text('theirs')
        write(self, result)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, 'write', write_and_plant)
        says = infer(clip, tmp_path, 'csv')
    assert re.fullmatch(rf'{tmp_path}/clip.csv: is there already.* {FRAMES} frames are in .*', says)
    assert (tmp_path / 'clip.csv').read_text() == 'theirs'
    assert infer(clip, tmp_path, 'csv', resume=True, overwrite=True) is None
    assert (tmp_path / 'clip.csv').read_text().count('\n') == 1 + FRAMES * 13


def test_a_folder_of_somebody_else_is_not_written_into(infer, clip, tmp_path):
    other, out = tmp_path / 'other', tmp_path / 'out'
    other.mkdir()
    (other / 'diary').write_text('theirs')
    out.mkdir()
    part = out / 'clip.incomplete'
    part.symlink_to(other)
    for options in (dict(), dict(resume=True, overwrite=True)):
        assert 'clip.incomplete: is a link' in infer(clip, out, 'json', **options)
    part.unlink()
    part.mkdir()
    for name in ('clip.json', 'journal.jsonl', 'diary'):
        (part / name).symlink_to(other / 'diary')
        assert 'add --resume' in infer(clip, out, 'json')
        says = infer(clip, out, 'json', resume=True)
        assert says == f'{part / name}: is not of an interrupted run; move it away'
        (part / name).unlink()
    assert content(other) == {'diary': b'theirs'}


def test_two_runs_do_not_share_their_results(infer, clip, tmp_path):
    with closing(RunFolder(tmp_path, 'clip', {})):
        for options in (dict(), dict(resume=True, overwrite=True)):
            says = infer(clip, tmp_path, 'json', **options)
            assert f'another process writes there (its number is {os.getpid()})' in says
    assert infer(clip, tmp_path, 'json') is None
    assert os.listdir(tmp_path) == ['clip.json']


def full(*_) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize('output', ['video', 'json', 'csv', 'npz', 'coco', 'mmpose'])
def test_a_full_disk_costs_nothing(infer, clip, tmp_path, monkeypatch, output):
    """The older file and the journal stay, what is said names file and remedy; then it goes on."""
    whole, out = tmp_path / 'whole', tmp_path / 'out'
    out.mkdir()
    assert infer(clip, whole, output) is None
    ((name, wanted),) = content(whole).items()
    (out / name).write_text('older')
    part = out / 'clip.incomplete'
    with monkeypatch.context() as patch:
        patch.setattr(run_folder, 'sync', full)
        says = infer(clip, out, output, overwrite=True)
    assert says.endswith(f'{FRAMES} frames are in {part}; with --resume the run goes on')
    journal = (part / 'journal.jsonl').read_bytes()
    for size in (len(wanted) - 1, len(wanted) // 2):
        with room(size):
            says = infer(clip, out, output, resume=True, overwrite=True)
        assert re.match(
            rf'{part}/{name}: cannot be written \(File too large\)(; \d frames are in {part}; with '
            r'--resume the run goes on)?$',
            says,
        )
        assert content(out) == {name: b'older'}
        assert (part / 'journal.jsonl').read_bytes() == journal
        if name.endswith('json'):
            json.loads((part / name).read_text())
    assert infer(clip, out, output, resume=True, overwrite=True) is None
    assert not part.exists() and os.listdir(out) == [name]
    if output == 'video':
        assert len(list(open_frames(out / name))) == FRAMES
    elif output == 'npz':
        with np.load(out / name) as ours, np.load(whole / name) as theirs:
            assert all((ours[key] == theirs[key]).all() for key in theirs.files)
    else:
        assert (out / name).read_bytes() == wanted


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """256 kB, in memory."""
    disk = tmp_path / 'disk'
    disk.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', str(disk)]
    if shutil.which('mount') is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip('only root may mount, where the kernel lets it')
    yield disk
    subprocess.run(['umount', '--lazy', str(disk)], check=True)


@pytest.mark.slow
def test_a_real_full_disk(infer, clip, small_disk):
    """All results are there and whole, or all older ones, whichever block is the last."""
    saved = ('video', 'json', 'csv', 'npz', 'coco', 'mmpose')
    out, filler = small_disk / 'out', small_disk / 'filler'
    assert infer(clip, out, *saved) is None
    wanted = content(out)
    seen = set()
    for blocks in range(0, 32):
        for name in wanted:
            (out / name).write_text('older')
        statistics = os.statvfs(small_disk)
        filler.write_bytes(bytes(4096 * max(0, statistics.f_bavail - blocks)))
        says = infer(clip, out, *saved, overwrite=True)
        seen.add(says is None)
        found = content(out)
        if says is None:
            assert all(len(found[name]) == len(wanted[name]) for name in wanted)
        else:
            assert 'No space left on device' in says and str(out) in says
            assert set(found.values()) == {b'older'} and found.keys() == wanted.keys()
        filler.unlink()
        if says is not None and (out / 'clip.incomplete').exists():
            assert 'with --resume the run goes on' in says
            assert infer(clip, out, *saved, overwrite=True, resume=True) is None
            assert len(content(out)['clip.json']) == len(wanted['clip.json'])
    assert seen == {True, False}


def test_a_kill_while_files_move_into_place(infer, clip, tmp_path, monkeypatch):
    """Those that were moved are this run's own: it may go on without --overwrite."""
    replace = os.replace

    def killed(source, target):
        if str(target).endswith('.csv'):
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, 'replace', killed)
        infer(clip, tmp_path, 'coco', 'json', 'csv')
    assert content(tmp_path).keys() == {'clip.coco.json', 'clip.json'}
    assert 'add --resume' in infer(clip, tmp_path, 'json')
    (tmp_path / 'clip.npz').write_text('theirs')
    assert 'clip.npz: is there already' in infer(clip, tmp_path, 'json', 'npz', resume=True)
    assert infer(clip, tmp_path, 'coco', 'json', 'csv', resume=True) is None
    assert sorted(os.listdir(tmp_path)) == ['clip.coco.json', 'clip.csv', 'clip.json', 'clip.npz']
    assert (tmp_path / 'clip.csv').read_text().count('\n') == 1 + FRAMES * 13


def test_what_an_interrupted_run_wrote_of_other_formats_is_no_result(
    infer, clip, tmp_path, monkeypatch
):
    """A resumed run that is asked for a JSON has no whole CSV."""
    with monkeypatch.context() as patch:
        patch.setattr(run_folder, 'sync', full)
        assert 'with --resume' in infer(clip, tmp_path, 'csv', overwrite=True)
    assert infer(clip, tmp_path, 'json', resume=True) is None
    assert os.listdir(tmp_path) == ['clip.json']


def test_a_journal_is_taken_up_to_its_last_whole_line(tmp_path):
    """A power cut may leave zeros where bytes have not come to the disk."""
    about = dict(input='a.mp4')
    with closing(RunFolder(tmp_path, 'a', about)) as folder, folder:
        for index in range(3):
            folder.write(FrameResult(index, index / 10, ()))
    path = tmp_path / 'a.incomplete/journal.jsonl'
    for tail in (b'\0' * 100, b'\0\n', b'{"frame": 3', b'{}\n'[:-1], b'[1]\n'):
        whole = path.read_bytes()
        path.write_bytes(whole + tail)
        with closing(RunFolder(tmp_path, 'a', about, resume=True)) as folder, folder:
            assert folder.known == len(list(folder.results())) == 3
        assert path.read_bytes() == whole
    first, *frames = whole.splitlines(keepends=True)
    for known, lines in (
        (2, [*frames[:2], frames[2].replace(b'0.2', b'0.3')]),  # a digit is another
        (1, [frames[0], frames[2]]),
        (1, [frames[0], frames[0], *frames[1:]]),
        (0, [frames[1], frames[0], frames[2]]),
    ):
        path.write_bytes(b''.join([first, *lines]))
        with closing(RunFolder(tmp_path, 'a', about, resume=True)) as folder:
            assert folder.known == len(list(folder.results())) == known
