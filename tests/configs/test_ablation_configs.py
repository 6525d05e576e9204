"""configs/ablations: each changes what it says and nothing else, builds, and trains a step."""

import re
import tempfile
from itertools import chain
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.registry import DATASETS, MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
STEMS = sorted(path.stem for path in (CONFIGS / 'ablations').glob('*.py'))
WEIGHTS = 'https://download.pytorch.org/models/{}.pth'
ENCODER = 'model.backbone.encoder'


def length(frames: int, batch: int, times: float) -> dict:
    """What a T is to change on a base of 8 clips."""
    sampler = 'train_dataloader.sampler'
    return {
        **{f'{part}_dataloader.dataset.clip_len': frames for part in ('train', 'val', 'test')},
        'train_dataloader.batch_size': batch,
        f'{sampler}.type': 'RepeatSampler',
        f'{sampler}.times': pytest.approx(times),
    }


# stem -> settings that it changes on top of rpstn_penn.py
CHANGES = {
    'cat': {'model.head.propagator.type': 'CatPropagator'},
    'no_propagation': {'model.head.propagator.type': 'NoPropagator'},
    'no_relation': {'model.head.relation': None},
    'prior_relation': {
        'model.head.relation.type': 'PriorRelation',
        'model.head.relation.skeleton': 'penn13',
    },
    'non_local': {'model.head.relation.type': 'NonLocalRelation'},
    'non_local_later': {
        'custom_hooks': [
            dict(type='SyncBuffersHook', _scope_='mmpose'),
            dict(type='RelationSwapHook', epoch=50),
        ]
    },
    'resnet18': {
        f'{ENCODER}.depth': 18,
        f'{ENCODER}.init_cfg.checkpoint': WEIGHTS.format('resnet18-f37072fd'),
    },
    'resnet50': {},
    'resnet101': {
        f'{ENCODER}.depth': 101,
        f'{ENCODER}.init_cfg.checkpoint': WEIGHTS.format('resnet101-63fe2227'),
    },
    't1': {**length(1, 40, 5), 'find_unused_parameters': True},
    't3': length(3, 13, 5 / 3),
    't5': {},
    't7': length(7, 6, 5 / 7),
}
TINY = f"""
_base_ = '{CONFIGS}/rpstn_demo.py'

codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
model = dict(
    backbone=dict(channels=16, input_size=(64, 64),
                  encoder=dict(stem_channels=8, base_channels=8)),
    head=dict(channels=16, decoder=codec))
pipeline = [
    dict(type='LoadClip'), dict(type='ClipBBox'),
    dict(type='ForEachFrame', transforms=[
        dict(type='TopdownAffine', input_size=(64, 64)),
        dict(type='GenerateTarget', encoder=codec)]),
    dict(type='PackClipInputs')]
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(num_sequences=4, image_size=(64, 64), pipeline=pipeline))
"""


def rebase(change: Path, base: Config) -> Config:
    """A config as it would be if it inherited from ``base`` in place of its own base."""
    text, count = re.subn(
        r"^_base_ = '[^']*'$", "_base_ = 'base.py'", Path(change).read_text(), flags=re.MULTILINE
    )
    assert count == 1
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / 'base.py').write_text(
            ''.join(f'{key} = {value!r}\n' for key, value in base.to_dict().items())
        )
        changed = Path(folder) / 'change.py'
        changed.write_text(text)
        return Config.fromfile(changed)


def flat(settings: dict, prefix: str = '') -> dict:
    """{'model.backbone.depth': 18, ...}"""
    return dict(
        chain.from_iterable(
            flat(value, f'{prefix}{key}.').items()
            if isinstance(value, dict)
            else [(f'{prefix}{key}', value)]
            for key, value in settings.items()
        )
    )


def changed(config: Config, base: Config) -> dict:
    ours, theirs = flat(config.to_dict()), flat(base.to_dict())
    return {key: value for key, value in ours.items() if theirs.get(key, '?') != value}


@pytest.fixture(scope='module')
def tiny(tmp_path_factory) -> Config:
    path = tmp_path_factory.mktemp('configs') / 'tiny.py'
    path.write_text(TINY)
    return Config.fromfile(path)


@pytest.fixture(autouse=True)
def mmpose_scope(no_default_scope):
    init_default_scope('mmpose')


def test_every_config_is_known_here():
    assert STEMS == sorted(CHANGES)


@pytest.mark.parametrize('stem', STEMS)
def test_it_changes_on_the_papers_setting_what_it_says_and_nothing_else(stem):
    path = CONFIGS / f'ablations/{stem}.py'
    base = Config.fromfile(CONFIGS / 'rpstn_penn.py')
    config = Config.fromfile(path)
    assert changed(config, base) == CHANGES[stem]
    gone = set(flat(base.to_dict())) - set(flat(config.to_dict()))
    assert gone == ({'model.head.relation.type'} if stem == 'no_relation' else set())
    # Put on its own base it is itself.
    assert rebase(path, base).to_dict() == config.to_dict()
    lines = [
        line
        for line in path.read_text().splitlines()
        if line.strip() and not line.startswith(('#', '_base_'))
    ]
    assert len(lines) <= 8


@pytest.mark.parametrize('stem', STEMS)
def test_it_makes_the_same_change_on_jhmdb(stem):
    base = Config.fromfile(CONFIGS / 'rpstn_jhmdb.py')
    found = changed(rebase(CONFIGS / f'ablations/{stem}.py', base), base)
    expected = dict(CHANGES[stem])
    if stem == 'prior_relation':
        expected['model.head.relation.skeleton'] = 'jhmdb15'
    assert found == expected


def test_a_base_without_pretrained_weights_keeps_none(tiny):
    for depth in (18, 50, 101):
        config = rebase(CONFIGS / f'ablations/resnet{depth}.py', tiny)
        assert config.model.backbone.encoder.init_cfg is None
        assert config.model.backbone.encoder.depth == depth


@pytest.mark.parametrize('frames', [1, 3, 5, 7])
def test_every_t_sees_the_same_frames_in_as_many_steps(frames):
    # 1000 videos, as in a training of Penn Action; only their number counts here.
    base = Config.fromfile(CONFIGS / 'rpstn_penn.py').train_dataloader
    loader = Config.fromfile(CONFIGS / f'ablations/t{frames}.py').train_dataloader
    options = {key: loader[key] for key in ('batch_size', 'sampler')}
    loader = Runner.build_dataloader(dict(dataset=range(1000), num_workers=0, **options), seed=0)
    clips = [clip for batch in loader for clip in batch]
    assert len(clips) * frames == pytest.approx(1000 * base.dataset.clip_len, rel=1e-3)
    assert len(loader) == pytest.approx(1000 / base.batch_size, rel=0.06)


@pytest.mark.parametrize('frames', [1, 3, 5, 7])
def test_every_t_is_tested_on_the_same_frames_each_once(frames, tiny):
    config = rebase(CONFIGS / f'ablations/t{frames}.py', tiny)
    loader = config.test_dataloader.dataset
    dataset = DATASETS.build({**loader, 'num_sequences': 2, 'pipeline': []})
    counted = [
        (frame['video'], frame['frame_index'])
        for i in range(len(dataset))
        for frame in dataset.get_data_info(i)['frames']
        if not frame['padded']
    ]
    assert len(counted) == len(set(counted)) == 2 * loader.num_frames
    assert config.val_dataloader.dataset.clip_len == loader.clip_len == frames


@pytest.mark.parametrize('stem', STEMS)
def test_it_builds_and_takes_a_training_step(stem, tiny):
    config = rebase(CONFIGS / f'ablations/{stem}.py', tiny)
    torch.manual_seed(0)
    model = MODELS.build(config.model).train()
    dataset = DATASETS.build(config.train_dataloader.dataset)
    batch = model.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), training=True)
    frames = int(re.sub(r'\D', '', stem)) if stem[1:].isdigit() else 5
    assert batch['inputs'].shape == (2, frames, 3, 64, 64)
    losses = model(**batch, mode='loss')
    loss, _ = model.parse_losses(losses)
    loss.backward()
    assert torch.isfinite(loss)
    without = {
        name.split('.')[0] + '.' + name.split('.')[1]
        for name, p in model.named_parameters()
        if p.grad is None
    }
    # What serves the frames after the first has no part in a clip of one.
    assert without == ({'backbone.encoder', 'head.propagator'} if stem == 't1' else set())
