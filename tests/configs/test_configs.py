"""The configs: they load, build, are short, and baselines differ in the model only."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS

ROOT = Path(__file__).parents[2] / 'configs'
CONFIGS = sorted(
    path.stem for path in ROOT.glob('*.py') if path.stem.startswith(('rpstn_', 'baseline_'))
)
PAIRS = [name.removeprefix('rpstn_') for name in CONFIGS if name.startswith('rpstn_')]


def load(name: str) -> Config:
    return Config.fromfile(ROOT / f'{name}.py')


def transforms_of(pipeline: list[dict]) -> list[dict]:
    return [t for step in pipeline for t in [step, *transforms_of(step.get('transforms', []))]]


@pytest.fixture(autouse=True)
def mmpose_scope():
    init_default_scope('mmpose')


@pytest.mark.parametrize('name', CONFIGS)
def test_the_model_builds_for_the_joints_of_the_data(name):
    cfg = load(name)
    model = MODELS.build(cfg.model)
    dataset = DATASETS.get(cfg.train_dataloader.dataset.type)
    joints = model.head.out_channels
    assert len(dataset.METAINFO['keypoint_info']) == joints
    codecs = {
        tuple(t.encoder.input_size): tuple(t.encoder.heatmap_size)
        for t in transforms_of(cfg.train_dataloader.dataset.pipeline)
        if t.type == 'GenerateTarget'
    }
    assert codecs == {tuple(model.head.decoder.input_size): tuple(model.head.decoder.heatmap_size)}


@pytest.mark.parametrize('name', CONFIGS)
def test_everything_named_exists(name):
    cfg = load(name)
    for part in ('train', 'val', 'test'):
        dataset = cfg[f'{part}_dataloader'].dataset
        assert DATASETS.get(dataset.type) is not None
        for transform in transforms_of(dataset.pipeline):
            assert TRANSFORMS.get(transform.type) is not None, transform.type
        assert dataset.get('start', 'random') == ('random' if part == 'train' else 'fixed')
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        assert evaluator.type == 'FrameEvaluator'
        assert all(METRICS.get(metric.type) is not None for metric in evaluator.metrics)
    assert all(HOOKS.get(hook.type) is not None for hook in cfg.default_hooks.values())
    best = cfg.default_hooks.checkpoint.save_best
    metric = cfg.val_evaluator.metrics[0]
    normalizers = metric.get('normalizers', ['bbox', 'torso'])
    assert best in [f'{n}_PCK@{metric.thr:g}/mean' for n in normalizers]


def test_every_config_has_its_baseline():
    assert [f'baseline_{name}' for name in PAIRS] == [
        name for name in CONFIGS if name.startswith('baseline_')
    ]
    assert {'penn', 'r18_penn', 'jhmdb', 'demo'} <= set(PAIRS)


@pytest.mark.parametrize('name', PAIRS)
def test_the_baseline_differs_in_nothing_but_the_model(name):
    ours, baseline = (load(f'{kind}_{name}').to_dict() for kind in ('rpstn', 'baseline'))
    models = ours.pop('model'), baseline.pop('model')
    assert ours == baseline
    ours, baseline = models
    # Even there: the same backbone, codec, and normalisation of the images.
    assert ours['backbone']['encoder'] == baseline['backbone']
    assert ours['head']['decoder'] == baseline['head']['decoder']
    assert baseline['data_preprocessor'].pop('fold_frames') is True
    assert ours['data_preprocessor'] == baseline['data_preprocessor']
    assert baseline['type'] == 'TopdownPoseEstimator'
    assert baseline['head']['type'] == 'HeatmapHead'
    assert ours.get('test_cfg') == baseline.get('test_cfg')


@pytest.mark.parametrize('path', sorted(ROOT.rglob('*.py')), ids=lambda path: path.stem)
def test_configs_are_short(path):
    assert len(path.read_text().splitlines()) <= (60 if path.parent.name == '_base_' else 40)


def test_the_papers_settings():
    cfg = load('rpstn_penn')
    model = MODELS.build(cfg.model)
    assert cfg.train_cfg.max_epochs == 100 and cfg.train_dataloader.batch_size == 8
    assert cfg.optim_wrapper.optimizer == dict(type='Adam', lr=5e-4)
    assert cfg.param_scheduler[0].milestones == [8, 15, 25, 40, 80]
    assert cfg.param_scheduler[0].gamma == 0.333
    assert cfg.train_dataloader.dataset.clip_len == 5
    assert model.backbone.input_size == (256, 256) and model.backbone.channels == 256
    assert tuple(model.head.decoder.heatmap_size) == (64, 64) and model.head.decoder.sigma == 2
    assert model.backbone.encoder.backbone.depth == 50
    assert [
        m.out_channels
        for m in model.backbone.initializer.head.deconv_layers
        if hasattr(m, 'out_channels')
    ] == [256] * 3
