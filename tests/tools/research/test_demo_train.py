"""The tutorial's training: where it starts, how it counts, and, slow, as its users run it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import MODELS

from rpstn.engine.shipped import from_pretrained
from rpstn.pose import VideoPCK
from rpstn.pose.datasets.metainfo import METAINFO
from rpstn.skeletons import get_skeleton

from demo_train import counts, save_start, tables

ROOT = Path(__file__).parents[3]
SMALL = [
    'train_dataloader.dataset.num_sequences=4',
    'val_dataloader.dataset.num_sequences=1',
    'test_dataloader.dataset.num_sequences=2',
]


def test_both_models_start_from_the_shipped_one(tmp_path):
    """What they answer for a first frame is what it answers, for the joints that both have."""
    start = tmp_path / 'start.pth'
    save_start(start)
    shipped = from_pretrained()
    image = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    penn, blazepose = get_skeleton('penn13'), get_skeleton('blazepose33')
    both = [joint for joint in penn.joints if joint in blazepose.joints]
    assert len(both) == 12
    with torch.no_grad():
        wanted = shipped.backbone.start(image)[1][:, [blazepose.index(joint) for joint in both]]
    for name in ('rpstn', 'single'):
        cfg = Config.fromfile(ROOT / f'configs/tutorial/{name}.py').model
        cfg.backbone.pretrained.checkpoint = cfg.head.propagator.pretrained = str(start)
        model = MODELS.build(cfg)
        model.init_weights()
        model.eval()
        with torch.no_grad():
            maps = model.backbone.start(image)[1]
        got = maps[:, [penn.index(joint) for joint in both]]
        torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-3)
        assert not any(p.requires_grad for p in model.backbone.encoder.parameters())
        # The later frames' last layer starts there, too.
        torch.testing.assert_close(
            model.head.propagator.predict.weight, model.backbone.heatmaps.weight
        )


@pytest.fixture
def metric():
    metric = VideoPCK()
    metric.dataset_meta = parse_pose_metainfo(METAINFO['penn13'])
    return metric


def clips_of(metric, noise: float) -> list[list[dict]]:
    rng = np.random.default_rng(0)
    for number in range(40):
        joints = rng.uniform(50, 150, (1, 13, 2))
        truth = dict(
            keypoints=joints,
            bboxes=np.array([[40.0, 40, 160, 160]]),
            keypoints_visible=(rng.random((1, 13)) > 0.2).astype(float),
            keypoints_occluded=(rng.random((1, 13)) > 0.6).astype(float),
        )
        found = dict(keypoints=joints + rng.normal(0, noise, joints.shape))
        metric.process({}, [dict(img_id=number, gt_instances=truth, pred_instances=found)])
    return [metric.results[start : start + 8] for start in range(0, 40, 8)]


def test_counts_are_those_of_the_metric(metric):
    found = counts(metric, clips_of(metric, 12.0))
    figures = metric.compute_metrics(metric.results)
    for normalizer in ('torso', 'bbox'):
        for part in ('visible', 'occluded'):
            whole = found[normalizer][part].pck(np.ones((1, 5)))[0]
            assert 0.2 < whole < 0.95
            assert whole == pytest.approx(figures[f'{normalizer}_PCK@0.2/{part}'])


def test_the_table_tells_who_is_ahead(metric):
    found = {}
    for name, noise in (('single frame', 40.0), ('RPSTN', 1.0)):
        metric.results.clear()
        clips = clips_of(metric, noise)
        found[name] = metric.compute_metrics(metric.results), counts(metric, clips)
    text = tables({n: f[0] for n, f in found.items()}, {n: f[1] for n, f in found.items()})
    assert re.search(r'RPSTN \| *torso .*\| +9\d\.\d+|RPSTN .*100\.0', text)
    differences = text.splitlines()[-2:]
    assert all(line.count('**+') == 2 for line in differences), differences


@pytest.mark.slow
def test_it_compares_both_models_and_draws(tmp_path):
    options = ['--epochs', '1', '--work-dir', str(tmp_path), '--cfg-options', *SMALL]
    done = subprocess.run(
        [sys.executable, 'tools/research/demo_train.py', *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads((tmp_path / 'pck.json').read_text())
    assert list(figures) == ['single frame', 'RPSTN']
    for values in figures.values():
        # A few steps do not spoil what the weights know.
        assert 0.5 < values['bbox_PCK@0.2/mean'] <= 1
        assert f'{100 * values["torso_PCK@0.2/occluded"]:.1f}' in done.stdout
    assert cv2.imread(str(tmp_path / 'curves.png')) is not None
    frames = int(cv2.VideoCapture(str(tmp_path / 'predictions.mp4')).get(cv2.CAP_PROP_FRAME_COUNT))
    assert frames in (8, 16)  # 8 of each motion
