"""One worker and one video, without Ray: copies, names, what is replaced, what is refused."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from rpstn.assess.run import AssessOptions
from rpstn.choices import OUTPUTS
from rpstn.cluster import storage
from rpstn.cluster.assess_job import AssessJob
from rpstn.cluster.infer_job import InferJob
from rpstn.cluster.inputs import find_videos
from rpstn.cluster.run import Archive, run_archive
from rpstn.cluster.worker import Task, Worker
from rpstn.errors import SettingError
from rpstn.inference.options import InferOptions


@pytest.fixture
def worker(slow_job, tmp_path, monkeypatch):
    monkeypatch.setattr(storage, 'FIRST_WAIT', 0.01)
    made = Worker(slow_job(tmp_path / 'log', 0.0), str(tmp_path / 'out'), 1)
    assert made.load() == ''
    yield made
    made.close()
    assert not made._scratch.exists()


def test_a_copy_is_looked_at_and_gone_after(worker, web, tmp_path):
    address, served = web
    for name in ('one', 'bad'):
        (served / f'{name}.mp4').write_bytes(b'12345')
    videos, _ = find_videos([f'{address}/{name}.mp4?key=secret' for name in ('one', 'bad')], {})
    answer = worker.do(Task(videos[0]))
    assert (answer.row['state'], answer.row['frames']) == ('done', 5)
    assert answer.row['sha256'].startswith('5994471abb') and answer.row['seconds'] > 0
    assert (tmp_path / 'out/one.txt').read_bytes() == b'12345'
    answer = worker.do(Task(videos[1]))
    assert answer.row['error'] == f'{address}/bad.mp4?key=***: cannot be read'
    assert answer.row['state'] == 'failed'
    assert [path.name for path in worker._scratch.iterdir()] == ['.lock']


def test_workers_that_start_together_leave_each_other_s_copies_alone(tmp_path):
    """Each clears what dead ones left, of which one that has only just begun is none."""
    dead = tmp_path / 'rpstn-worker-dead'
    dead.mkdir()
    start = 'from rpstn.cluster.worker import _own_scratch'
    loop = 'for _ in range(100): own, lock = _own_scratch(); assert own.is_dir(); lock.release()'
    environment = dict(os.environ, TMPDIR=str(tmp_path))
    running = [
        subprocess.Popen([sys.executable, '-c', f'{start}\n{loop}'], env=environment)
        for _ in range(3)
    ]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert not dead.exists()


def test_another_video_is_not_taken_for_the_one_that_was_done(worker, tmp_path):
    path = tmp_path / 'one.mp4'
    path.write_bytes(b'12345')
    ((video,), _) = find_videos([str(path)], {})
    known = worker.do(Task(video)).row['sha256']
    (tmp_path / 'out/one.more.txt').write_text('of other settings')
    assert worker.do(Task(video, known)).row['error'] == ''
    path.write_bytes(b'123')
    answer = worker.do(Task(video, known))
    assert (
        answer.row['error'].startswith(f'{path}: is another video than')
        and 'state' not in answer.row
    )
    assert (tmp_path / 'out/one.txt').read_bytes() == b'12345'
    assert worker.do(Task(video, known, overwrite=True)).row['frames'] == 3
    assert [one.name for one in (tmp_path / 'out').iterdir()] == ['one.txt'], 'no former files'


def test_a_model_that_cannot_be_loaded_is_a_line(tmp_path):
    options = InferOptions((), config='none.py', checkpoint='none.pth')
    assert Worker(InferJob(options), str(tmp_path), 1).load().startswith('none.py: ')


def test_all_that_results_depend_on_is_in_the_settings(tmp_path):
    model, settings = InferJob(InferOptions(())).identity()
    json.dumps(settings, default=str)
    assert len(model) == 64
    smooth = [dict(smooth=settings) for settings in (False, {}, dict(beta=5))]
    for change in (
        dict(box='frame'),
        dict(save=['npz']),
        *smooth,
        dict(stride=2),
        dict(every_frame=True),
    ):
        assert InferJob(InferOptions((), **change)).identity()[1] != settings, change
    for same in (dict(overwrite=True), dict(device='cpu'), dict(save=['video', 'json', 'csv'])):
        assert InferJob(InferOptions((), **same)).identity()[1] == settings, same
    assert set(InferJob(InferOptions((), save=list(OUTPUTS))).endings) >= {'.mp4', '.png', '.npz'}
    assert (
        AssessJob(AssessOptions(())).identity()
        != AssessJob(AssessOptions((), height=1.8)).identity()
    )
    with pytest.raises(SettingError):
        InferJob(InferOptions((), retries=3)).check()


def test_what_is_planned_without_any_worker(slow_job, tmp_path):
    """Results that are there, inputs that would be overwritten, results that are no inputs."""
    out = tmp_path / 'out'
    (out / 'a').mkdir(parents=True)
    (out / 'one.txt').write_text('input and result')
    (out / 'two.txt').write_text('input')
    run = partial(run_archive, slow_job(tmp_path / 'log'))
    summary = run(Archive([f'{out}/one.txt'], str(out), 1))
    assert summary.failed == 1 and 'would be overwritten' in summary.errors[0]
    summary = run(Archive([f'{out}/one.txt'], str(out), 1, overwrite=True))
    assert summary.failed == 1, 'nor with --overwrite'
    assert (out / 'one.txt').read_text() == 'input and result'
    with pytest.raises(SettingError, match='--out must be a folder'):
        run(Archive([f'{out}/one.txt'], str(out / 'two.txt'), 1))
    with pytest.raises(SettingError, match='threads must be 1 or more, got 0'):
        run(Archive([f'{out}/two.txt'], str(out), 1, threads=0))
    summary = run(Archive([], str(out), 1))
    assert summary.videos == 0 and Path(out / 'manifest.parquet').exists()
