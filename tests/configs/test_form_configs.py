"""The configs for exercise form: they build, fit their data, and differ in what they compare."""

import json
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

from rpstn.checkpoints import SHIPPED
from rpstn.data.paths import find_data
from rpstn.form import get_skeleton
from rpstn.simulation.squats.squat_form import SQUAT_CLASSES

ROOT = Path(__file__).parents[2] / 'configs'
ROWS = ('tdm', 'coordinates', 'stgcn', 'form')
DATA = ('squat', 'penn_actions')
CONFIGS = sorted(path.stem for row in (*ROWS, 'movement') for path in ROOT.glob(f'{row}_*.py'))


def load(name: str) -> Config:
    return Config.fromfile(ROOT / f'{name}.py')


def dataset_of(cfg: Config, part: str) -> Config:
    """The data set of a part; of several joined, the first."""
    dataset = cfg[f'{part}_dataloader'].dataset
    return dataset.datasets[0] if dataset.type == 'ConcatDataset' else dataset


def pipelines(cfg: Config) -> dict[str, list[dict]]:
    return {part: dataset_of(cfg, part).pipeline for part in ('train', 'val', 'test')}


def skeleton_of(cfg: Config) -> tuple:
    """The skeleton and the unit of the data."""
    metainfo = DATASETS.get(dataset_of(cfg, 'train').type).METAINFO
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
        dataset = dataset_of(cfg, part)
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


def test_simulated_squats_are_one_day_of_the_training_by_the_classes_of_the_real_ones():
    cfg = load('movement_squat_feet')
    for part in ('val', 'test'):
        assert cfg[f'{part}_dataloader'].dataset.type == 'SkeletonFormDataset'
    real, simulated = cfg.train_dataloader.dataset.datasets
    assert real.type == 'SkeletonFormDataset' and simulated.type == 'SyntheticSquatDataset'
    assert cfg.train_cfg.group == 'day' in simulated.pipeline[-1].meta_keys
    # The mapping's names exist; those without a like are the ones that the page gives reasons for.
    assert set(simulated.mapping.values()) <= set(simulated.metainfo.classes)
    assert set(SQUAT_CLASSES) - simulated.mapping.keys() == {
        'round back',
        'warped back',
        'upwards head',
        'frontal knee',
    }
    dataset = DATASETS.build(simulated)
    counts = dataset.class_counts()
    assert {name for name, count in counts.items() if count} == set(simulated.mapping.values())
    assert set(counts.values()) == {0, 10}
    assert {dataset[index]['data_samples'].day for index in range(30)} == {'simulated'}
    # Metres about the feet, y down, as the real ones become.
    joints = dataset.get_data_info(0)['keypoint'][0]
    height = np.ptp(joints[0, :, 1])
    assert 1.2 < height < 2.1 and joints[0, 0, 1] < -1.2
    saved = json.loads((SHIPPED / 'form_squat.json').read_text())
    assert tuple(saved['recognizer']['test_dataloader']['dataset']['metainfo']['classes']) == (
        simulated.metainfo.classes
    )
    assert saved['about']['simulated'] == len(dataset)


# Real data.


def test_no_simulated_squat_is_ever_tested_on(monkeypatch):
    try:
        find_data('squat_mediapipe19')
    except FileNotFoundError as error:
        pytest.skip(str(error))
    monkeypatch.syspath_prepend(str(ROOT.parent / 'tools/research/form'))
    from fit_classifier import set_split

    cfg = load('movement_squat_feet')
    for dataset in (*cfg.train_dataloader.dataset.datasets, cfg.test_dataloader.dataset):
        dataset.prepare = []
    for fold in (0, None):
        split = dict(type='leave_group_out', group='day', fold=fold)
        set_split(cfg, None if fold is None else split)
        days = {}
        for part in ('train', 'test'):
            dataset = DATASETS.build(cfg[f'{part}_dataloader'].dataset)
            days[part] = [dataset.get_data_info(index)['day'] for index in range(len(dataset))]
        assert days['train'].count('simulated') == 30 and 'simulated' not in days['test']
        if fold is None:
            assert len(days['train']) == len(days['test']) + 30 == 1193
        else:
            assert not set(days['train']) & set(days['test'])


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
