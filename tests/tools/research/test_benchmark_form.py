"""The benchmark of form recognizers: what it counts is right, and it runs to the end."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from form_benchmark import Contender, report, simulated_clip, threads
from mmengine.registry import DefaultScope

ROOT = Path(__file__).parents[3]
TINY = f"""
_base_ = '{ROOT}/configs/tdm_squat.py'

model = dict(backbone=dict(channels=16, num_layers=2), cls_head=dict(in_channels=16))
data = dict(type='SyntheticSquatDataset', skeleton='mediapipe19', _delete_=True)
train_dataloader = dict(
    batch_size=7,
    dataset=dict(**data, num_sequences=14, pipeline=_base_.train_pipeline))
test_dataloader = dict(dataset=dict(
    **data, part='test', num_sequences=14, pipeline=_base_.test_pipeline, test_mode=True))
val_dataloader = test_dataloader
train_cfg = dict(max_epochs=2)
param_scheduler = [dict(type='CosineAnnealingLR', begin=0, end=2, convert_to_iter_based=True)]
"""


def multiply_adds(channels: int, inputs: int, layers: int, frames: int) -> int:
    """Of TemporalResNet1D's convolutions, counted by hand."""
    frames = -(-frames // 2)
    total = 3 * inputs * channels * frames
    for _ in range(layers):
        frames = -(-frames // 2)
        total += (3 * 3 + 1) * channels**2 * frames
    return total


def test_what_is_counted_is_what_the_network_does():
    contender = Contender(str(ROOT / 'configs/tdm_squat.py'), frames=300)
    size = contender.size()
    # 17 convolutions over 171 or 256 channels and the head: as trained, with their batch norms.
    weights = 256 * (3 * 171 + 12 * 3 * 256 + 4 * 256) + (256 + 1) * 7
    assert size['parameters'] == weights + 17 * 2 * 256
    assert size['multiply_adds'] == multiply_adds(256, 171, 4, 300) + 256 * 7  # and the head


@pytest.mark.parametrize('name', ['form_squat', 'stgcn_squat', 'form_penn_actions'])
def test_every_kind_of_model_is_counted(name):
    size = Contender(str(ROOT / f'configs/{name}.py'), frames=64).size()
    # Each weight works once for each frame that is left, one in 32 at least; in ST-GCN for joints.
    assert size['multiply_adds'] > 2 * size['parameters']


def test_the_whole_clip_reaches_the_network_and_the_pipeline_resamples():
    options = {'model.backbone.channels': 16, 'model.cls_head.in_channels': 16}
    contender = Contender(str(ROOT / 'configs/tdm_squat.py'), options, frames=100)
    seen = []
    contender.model.backbone.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0].shape)
    )
    raw = contender.item['keypoint'].copy()
    with torch.inference_mode():
        contender.classify_network()
        contender.classify_raw()
        contender.classify_raw()
    num_frames = contender.config.num_frames
    assert seen == [(1, 171, 100), (1, 171, num_frames), (1, 171, num_frames)]
    assert contender.seen == (1, num_frames)
    # Each call begins with the same raw clip, of which three frames are lost ...
    np.testing.assert_array_equal(contender.item['keypoint'], raw)
    assert raw.shape == (1, 100, 19, 3) and np.isnan(raw).any((0, 2, 3)).sum() == 3
    # ... in the centimetres of the data, and bridged by `prepare`.
    assert 100 < np.ptp(raw[0, 0], axis=0).max() < 250
    assert not contender.batch['inputs'][0].isnan().any()


def test_a_clip_in_pixels_has_scores():
    with DefaultScope.overwrite_default_scope('mmaction'):
        item = simulated_clip(dict(type='PennSkeletonDataset'), 50)
    assert item['keypoint'].shape == (1, 50, 13, 2) and item['keypoint_score'].shape == (1, 50, 13)
    assert item['img_shape'] == (480, 640)


def test_threads_are_as_before_afterwards():
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match='inside'), threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise RuntimeError('inside')
    assert torch.get_num_threads() == before


def test_the_report_compares_turn_by_turn():
    def model(name: str, seconds: list, **others) -> dict:
        return (
            dict(
                name=name,
                parameters=2_000_000,
                multiply_adds=10**9,
                seen=(1, 64),
                network=seconds,
                raw=seconds,
                training=None,
            )
            | others
        )

    # Twice as slow in each of three turns, in the second of which the machine was slow.
    fast = [[0.001] * 3, [0.1] * 3, [0.001] * 3]
    slow = [[0.002] * 3, [0.2] * 3, [0.002] * 3]
    text = report(
        dict(
            frames=300,
            threads=2,
            distances=dict(median=1.5e6, best=2e6, calls=4),
            models=[
                model('a', fast, training=dict(epochs=2, seconds=10.0, accuracy=0.875)),
                model('b', slow, parameters=3_000_000, training=dict(missing='nothing there')),
            ],
        )
    )
    rows = {
        cells[1]: cells[2:5]
        for line in text.splitlines()
        if line.startswith('|')
        for cells in [[cell.strip() for cell in line.split('|')]]
    }
    assert rows[''] == ['a', 'b', 'ratio']
    assert rows['parameters, millions'] == ['2.00', '3.00', '1.50']
    assert rows['multiply-adds for 300 frames, G'] == ['1.000', '1.000', '1.00']
    assert rows['network alone, 300 frames: ms, median'] == ['1.00', '2.00', '2.00']
    assert rows['clips and frames that the test pipeline leaves'] == ['1 x 64', '1 x 64', '-']
    assert rows['training: s'] == ['10', '-', '-']
    assert rows['accuracy on the test set'] == ['87.5%', '-', '-']
    assert '1.50 million frames per second' in text and 'best 2.00' in text
    assert text.endswith('b was not trained: nothing there')


def test_the_tool_measures_and_trains_both(tool, tmp_path, capsys, monkeypatch):
    (tmp_path / 'tdm_tiny.py').write_text(TINY)
    (tmp_path / 'stgcn_tiny.py').write_text(TINY.replace('channels=16', 'channels=8'))
    before = set(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    arguments = ['--rounds', '2', '--repeats', '2', '--warmup', '0', '--threads', '1']
    tool(
        'benchmark',
        tmp_path / 'tdm_tiny.py',
        *arguments,
        '--epochs',
        '1',
        '--json',
        tmp_path / 'found.json',
    )
    found = json.loads((tmp_path / 'found.json').read_text())
    assert set(tmp_path.iterdir()) - before == {tmp_path / 'found.json'}
    out = capsys.readouterr().out
    assert report(found) in out and found['machine'] in out and torch.__version__ in out
    assert [model['name'] for model in found['models']] == ['tdm_tiny', 'stgcn_tiny']
    for model in found['models']:
        assert np.shape(model['network']) == np.shape(model['raw']) == (2, 2)
        assert model['training']['epochs'] == 1 and 0 <= model['training']['accuracy'] <= 1
    assert found['models'][0]['parameters'] > found['models'][1]['parameters']
    assert found['distances']['calls'] == 4

    # Where the data are not there it says so; speed is told all the same.
    missing = tmp_path / 'tdm_missing.py'
    missing.write_text(
        "_base_ = 'tdm_tiny.py'\ntrain_dataloader = dict(dataset=dict(\n"
        "    _delete_=True, type='SkeletonFormDataset', data_root='nowhere'))"
    )
    tool(
        'benchmark',
        missing,
        *arguments,
        '--against',
        tmp_path / 'stgcn_tiny.py',
        '--cfg-options',
        'model.cls_head.num_classes=5',
        '--epochs',
        '1',
    )
    out = capsys.readouterr().out
    assert "tdm_missing was not trained: 'nowhere' was not found" in out
    with pytest.raises(SystemExit, match='stgcn_missing.py: no such config file; --against'):
        tool('benchmark', missing)
