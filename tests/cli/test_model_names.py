"""Configs, checkpoints, exports and work folders whose names are not UTF-8."""

import io
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from rpstn.cli.main import main

from reliability.seeds import make_models, pictures
from reliability.works import FORM
from video_files import encode

BAD = os.fsdecode(b'squat-\xff')


@pytest.fixture
def said(monkeypatch):
    """Runs a command that must end well; gives what a terminal that takes UTF-8 alone gets."""

    def run(*words: str | Path) -> str:
        streams = [io.TextIOWrapper(io.BytesIO(), 'utf-8', 'strict') for _ in range(2)]
        monkeypatch.setattr(sys, 'stdout', streams[0])
        monkeypatch.setattr(sys, 'stderr', streams[1])
        status = main([str(word) for word in words])
        monkeypatch.undo()
        out, complained = (stream.detach().getvalue().decode() for stream in streams)
        assert status == 0 and 'Traceback' not in complained and 'logging error' not in complained
        return out

    return run


def named(path: Path) -> Path:
    """A copy beside it, of the bad name."""
    return Path(shutil.copy(path, path.with_name(BAD + path.suffix)))


@pytest.mark.engines
def test_a_model_is_exported_and_used(said, tmp_path):
    models = make_models(tmp_path / 'models')
    config, weights = named(models / 'model.py'), named(models / 'model.pth')
    exported, video = tmp_path / BAD, encode(tmp_path / 'a.avi', pictures(3), 'mjpeg', 'yuvj420p')
    said('export', config, weights, '--out', exported, '--clip-len', '3')
    facts = json.loads((exported / 'export.json').read_text())
    assert facts['config'] == r'squat-\xff.py' and facts['checkpoint'] == r'squat-\xff.pth'
    infer = 'infer', config, weights, video, '--device', 'cpu', '--save', 'json', '--kpt-thr', '-9'
    said(*infer, '--out', tmp_path / 'torch')
    said(*infer, '--out', tmp_path / 'onnx', '--engine', 'onnx', '--exported', exported)
    for engine in ('torch', 'onnx'):
        assert len(json.loads((tmp_path / engine / 'a.json').read_text())['frames']) == 3


def test_a_model_is_trained_on_and_tested(said, tmp_path):
    config, work = tmp_path / f'{BAD}.py', tmp_path / BAD
    no_test = 'test_cfg = test_dataloader = test_evaluator = None'
    test = 'test_dataloader = dict(dataset=dict(num_sequences=7))'
    config.write_text(FORM.replace(no_test, test))
    train = 'train', config, '--work-dir', work, '--cfg-options'
    said(*train, 'train_cfg.max_epochs=1')
    assert os.fsencode(work / 'epoch_1.pth') == (work / 'last_checkpoint').read_bytes()
    said(*train, 'train_cfg.max_epochs=2', '--resume')
    weights = named(work / 'epoch_2.pth')
    out = said('test', config, weights, '--work-dir', work, '--out', tmp_path / f'{BAD}.json')
    assert 'accuracy' in out and 'accuracy' in (tmp_path / f'{BAD}.json').read_text()
    assert any(r'squat-\udcff' in log.read_text() for log in work.glob('*/*.log'))
