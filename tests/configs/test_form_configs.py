"""The configs for exercise form: they build, fit their data, and differ in what they compare."""

from inspect import signature
from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from rpstn.data.paths import find_data
from rpstn.form import get_skeleton
from rpstn.simulation.squats.squat_form import SQUAT_CLASSES

ROOT = Path(__file__).parents[2] / 'configs'
ROWS = ('tdm', 'coordinates', 'stgcn', 'form')
DATA = ('squat', 'penn_actions')
CONFIGS = sorted(path.stem for row in (*ROWS, 'movement') for path in ROOT.glob(f'{row}_*.py'))


def load(name: str) -> Config:
    return Config.fromfile(ROOT / f'{name}.py')


def pipelines(cfg: Config) -> dict[str, list[dict]]:
    return {part: cfg[f'{part}_dataloader'].dataset.pipeline for part in ('train', 'val', 'test')}


def skeleton_of(cfg: Config) -> tuple:
    """The skeleton and the unit of the data."""
    metainfo = DATASETS.get(cfg.train_dataloader.dataset.type).METAINFO
    return get_skeleton(metainfo['skeleton']), metainfo['unit']


def added(ours: list[dict], others: list[dict]) -> list[dict]:
    """What others have beside all of ours, in the same order."""
    left, extra = list(ours), []
    for step in others:
        if left and step == left[0]:
            left.pop(0)
        else:
            extra.append(step)
    assert not left
    return extra


@pytest.fixture(autouse=True)
def seeded_in_mmactions_scope():
    torch.manual_seed(0)
    np.random.seed(0)
    with DefaultScope.overwrite_default_scope('mmaction'):
        yield


def test_every_row_has_both_data_sets():
    assert {f'{row}_{data}' for row in ROWS for data in DATA} <= set(CONFIGS)


@pytest.mark.parametrize('name', CONFIGS)
def test_everything_named_exists(name):
    cfg = load(name)
    for part, pipeline in pipelines(cfg).items():
        dataset = cfg[f'{part}_dataloader'].dataset
        assert DATASETS.get(dataset.type) is not None
        for transform in [*dataset.get('prepare', []), *pipeline]:
            TRANSFORMS.build(transform)  # its arguments, too
        assert dataset.get('test_mode', False) == (part != 'train')
        where = dataset.get('split', dataset)  # simulated squats know their part themselves
        assert where['part'] == ('train' if part == 'train' else 'test')
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        assert METRICS.build(evaluator).default_prefix == 'form'
    for hook in [*cfg.default_hooks.values(), *cfg.custom_hooks]:
        assert HOOKS.get(hook.type) is not None, hook.type
    # Validation shows the test set, by which no checkpoint may be chosen.
    assert cfg.default_hooks.checkpoint.get('save_best') is None


@pytest.mark.parametrize('name', CONFIGS)
def test_the_model_builds_for_the_joints_and_classes_of_the_data(name):
    cfg = load(name)
    model = MODELS.build(cfg.model)
    skeleton, unit = skeleton_of(cfg)
    classes = 2 if name == 'form_ui_prmd' else 15 if unit == 'px' else 7
    assert model.cls_head.num_classes == classes
    dims = 2 if unit == 'px' else 3
    if cfg.model.type == 'RecognizerGCN':
        # In 2D the third channel is the score.
        assert cfg.model.backbone.get('in_channels', 3) == 3
        assert model.backbone.graph.A.shape[-1] == skeleton.num_joints
    else:
        assert all(
            part.skeleton is skeleton and max(part.axes) < dims for part in model.representations
        )
        channels = sum(part.out_channels for part in model.representations)
        assert cfg.model.backbone.in_channels == channels
        joints = torch.randn(2, 8, skeleton.num_joints, dims)
        frames = 1 if name.startswith('movement') else 8
        assert model.represent(joints).shape == (2, channels, frames)


def test_the_paper_settings():
    cfg = load('tdm_squat')
    assert cfg.model.representation == dict(
        type='DistanceMatrices', skeleton='mediapipe19', limbs='none'
    )
    assert cfg.model.backbone == dict(type='TemporalResNet1D', in_channels=171)
    assert cfg.model.cls_head.label_smooth_eps == 0.1


# Rows of one table.


@pytest.mark.parametrize('data', DATA)
@pytest.mark.parametrize('row', ROWS[1:])
def test_rows_differ_in_nothing_but_the_model(row, data):
    plain, cfg = load(f'tdm_{data}').to_dict(), load(f'{row}_{data}').to_dict()
    extra = {}
    for part in ('train', 'val', 'test'):
        extra[part] = added(
            *(c[f'{part}_dataloader']['dataset'].pop('pipeline') for c in (plain, cfg))
        )
    model, other = plain.pop('model'), cfg.pop('model')
    # Names that only one has are its own, and none that a runner reads.
    names = plain.keys() ^ cfg.keys()
    assert not names & signature(Runner).parameters.keys()
    assert all(cfg[key] == plain[key] for key in plain.keys() - names)
    kinds = {part: {step['type'] for step in steps} for part, steps in extra.items()}
    if row == 'form':  # augmentation, and scores averaged over a clip and its mirror image
        assert kinds['train'] <= {'JitterSkeleton', 'RotateSkeleton', 'StretchSkeleton'}
        assert kinds['test'] <= {'AddMirrored'} and extra['val'] == extra['test']
    else:
        assert set(map(frozenset, kinds.values())) == {
            frozenset({'FillMissing'} if row == 'stgcn' else {})
        }
    if row == 'coordinates':
        for part in (model, other):
            part.pop('representation'), part['backbone'].pop('in_channels')
        assert other == model
    assert (other['cls_head']['label_smooth_eps'], other['cls_head']['num_classes']) == (
        model['cls_head']['label_smooth_eps'],
        model['cls_head']['num_classes'],
    )


@pytest.mark.parametrize('data', DATA)
def test_the_graph_of_st_gcn_is_the_skeletons(data):
    cfg = load(f'stgcn_{data}')
    skeleton, _ = skeleton_of(cfg)
    layout = cfg.model.backbone.graph_cfg.layout
    assert layout.num_node == skeleton.num_joints and layout.center == skeleton.root
    limbs = [(child, parent) for parent, child in skeleton.limb_indices]
    assert len(layout.inward) == len(limbs)
    assert {tuple(limb) for limb in layout.inward} == set(limbs)


# Training and prediction, on simulated squats.


@pytest.mark.parametrize('name', [f'{row}_squat' for row in ROWS])
def test_a_step_of_training_and_a_prediction(name):
    cfg = load(name)

    def batch(part: str, count: int) -> dict:
        given = cfg[f'{part}_dataloader'].dataset
        # Simulated in metres; the configs' own data are in centimetres.
        prepare = [dict(type='CenterSkeleton', unit=0.01), *given.prepare]
        dataset = DATASETS.build(
            dict(
                type='SyntheticSquatDataset',
                skeleton='mediapipe19',
                part=part,
                num_sequences=count,
                pipeline=given.pipeline,
                prepare=prepare,
                test_mode=part == 'test',
            )
        )
        return pseudo_collate([dataset[index] for index in range(count)])

    model = MODELS.build(cfg.model)
    model.init_weights()
    before = {key: value.clone() for key, value in model.named_parameters()}
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    losses = model.train().train_step(batch('train', 7), optimizer)
    assert losses['loss'].isfinite() and losses['loss'] < 10
    assert not any(
        torch.equal(before[key], value)
        for key, value in model.named_parameters()
        if before[key].any()
    )
    model.eval()
    samples = model.test_step(batch('test', 7))
    scores = torch.stack([sample.pred_score for sample in samples])
    assert scores.shape == (7, len(SQUAT_CLASSES))
    torch.testing.assert_close(scores.sum(1), torch.ones(7))
    assert [sample.gt_label.item() for sample in samples] == [*range(7)]


# Real data.


@pytest.mark.parametrize(
    'name, folder, sizes',
    [
        ('tdm_squat', 'squat_mediapipe19', (932, 231)),
        ('tdm_penn_actions', 'penn_action', (1258, 1068)),
    ],
)
def test_the_given_split_of_real_data(name, folder, sizes):
    try:
        find_data(folder)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    cfg = load(name)
    found = [
        DATASETS.build({**cfg[f'{part}_dataloader'].dataset, 'prepare': []})
        for part in ('train', 'test')
    ]
    assert tuple(map(len, found)) == sizes
    names = [
        {dataset.get_data_info(index)['frame_dir'] for index in range(len(dataset))}
        for dataset in found
    ]
    assert not names[0] & names[1]
    for dataset in found:
        assert len(dataset.metainfo['classes']) == cfg.model.cls_head.num_classes
        assert all(dataset.class_counts().values())
        prepared = dataset.get_data_info(0)
        for step in cfg.train_dataloader.dataset.prepare:
            prepared = TRANSFORMS.build(step)(prepared)
        # Metres, or sizes of the body, about the middle.
        assert 0.2 < np.sqrt(np.nanmean(np.square(prepared['keypoint']))) < 2
        assert abs(np.nanmean(prepared['keypoint'])) < 0.05
