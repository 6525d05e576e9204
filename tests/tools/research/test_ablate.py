"""Ablations: two variants trained for real, small; then all that is made of results."""

import importlib.util
import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpose.registry import MODELS
from torch.nn.modules.module import register_module_forward_hook

from ablations import frame_times, plot_ablations
from experiments import Experiment, epoch_options, run_experiment

ROOT = Path(__file__).parents[3]
# rpstn_demo.py, 64x64, T = 5, a narrow network, 4 and 2 clips.
TINY = f"""
_base_ = '{ROOT}/configs/rpstn_demo.py'

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
data = dict(image_size=(64, 64), pipeline=pipeline)
alone = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(batch_size=2, dataset=dict(num_sequences=4, **data), **alone)
val_dataloader = dict(dataset=dict(num_sequences=2, **data), **alone)
test_dataloader = dict(dataset=dict(num_sequences=2, occluder_prob=1, **data), **alone)
"""


@pytest.fixture(scope='module')
def tiny(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp('configs') / 'tiny.py'
    path.write_text(TINY)
    return str(path)


@pytest.fixture
def ablate(monkeypatch) -> Callable:
    """``ablate(*arguments)`` runs the tool; ``ablate.module`` is it."""
    spec = importlib.util.spec_from_file_location('ablate', ROOT / 'tools/research/ablate.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*arguments) -> None:
        monkeypatch.setattr(sys, 'argv', ['tools/research/ablate.py', *map(str, arguments)])
        module.main()

    run.module = module
    return run


def args_of(ablate, monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['tools/research/ablate.py', *map(str, arguments)])
    return ablate.module.parse_args()


def cells(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in text.splitlines()
        if line.startswith('|')
    ][2:]


# For real.


def test_two_variants_are_trained_tested_tabulated_and_drawn(ablate, tiny, tmp_path, capsys):
    out = tmp_path / 'docs/ablations.md'
    common = ['--config', tiny, '--epochs', 1, '--work-dir', tmp_path / 'work', '--out', out]
    ablate(*common, '--only', 'base', 'cat', 't5', '--processes', 1)
    # T = 5 is the base, and not trained again.
    assert {path.name for path in (tmp_path / 'work').iterdir()} == {
        'base_0.json',
        'cat_0.json',
        'table.json',
    }
    text = out.read_text()
    assert text in capsys.readouterr().out
    found = {(row[0], row[1]): row[2:] for row in cells(text)}
    # The other groups would have one row each.
    assert list(found) == [('propagation', 'JRPSP (base)'), ('propagation', 'Cat')]
    kept = {
        name: json.loads((tmp_path / f'work/{name}_0.json').read_text()) for name in ('base', 'cat')
    }
    for label, name in ((('propagation', 'JRPSP (base)'), 'base'), (('propagation', 'Cat'), 'cat')):
        metrics = kept[name]['tests']['test']
        wanted = [
            f'{100 * metrics[metric]:.1f}'
            for metric in (
                'torso_PCK@0.2/mean',
                'bbox_PCK@0.2/mean',
                'torso_PCK@0.2/visible',
                'torso_PCK@0.2/occluded',
            )
        ]
        assert found[label][:4] == wanted
        assert found[label][4] == f'{kept[name]["parameters"] / 1e6:.2f} M'
        assert float(found[label][5]) > 0
    assert kept['base']['parameters'] != kept['cat']['parameters']
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = MODELS.build(Config.fromfile(tiny).model)
    assert kept['base']['parameters'] == sum(p.numel() for p in model.parameters())
    image = cv2.imread(str(out.with_suffix('.png')))
    assert image is not None and image.shape[1] > image.shape[0] > 300
    assert f'({out.with_suffix(".png").name})' in text
    rows = json.loads((tmp_path / 'work/table.json').read_text())
    assert set(rows) == {'base', 'cat', 't5'} and rows['t5'] == rows['base']

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / 'work').glob('*_0.json')}
    ablate(*common, '--only', 'cat', '--processes', 0)  # from what is kept
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert [row[:2] for row in cells(out.read_text())] == [['propagation', 'Cat']]
    with pytest.raises(SystemExit, match='no result'):
        ablate(*common, '--only', 'no_relation', '--processes', 0)


def test_a_relation_can_be_swapped_while_it_trains(tiny):
    path = str(ROOT / 'configs/ablations/non_local_later.py')
    options = epoch_options(tiny, 2)
    later = run_experiment(Experiment('later', tiny, options, change=path))
    base = Experiment('base', tiny, options).read()
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = MODELS.build(base.model)
        before = sum(p.numel() for p in model.parameters())
        block = MODELS.build(dict(type='NonLocalRelation', num_joints=13))
    # JRE stays, and the block has joined it.
    assert later['parameters'] == before + sum(p.numel() for p in block.parameters())


# The plan.


def test_trainings_differ_in_the_change_and_have_the_same_budget(ablate, tiny, monkeypatch):
    names = ['base', 'cat', 'resnet18', 't1', 't5', 't7']
    args = args_of(
        ablate,
        monkeypatch,
        '--config',
        tiny,
        '--seeds',
        2,
        '--epochs',
        4,
        '--amp',
        '--only',
        *names,
        '--cfg-options',
        'train_dataloader.batch_size=4',
    )
    planned = ablate.module.plan(args)
    assert list(planned) == names
    names = {e.name for experiments in planned.values() for e in experiments}
    # ResNet-18 and T = 5 are the base.
    assert len(names) == 2 * (len(planned) - 2)
    assert planned['resnet18'] == planned['t5'] == planned['base']
    batches = {}
    for name, experiments in planned.items():
        assert [e.seed for e in experiments] == [0, 1] and all(e.amp for e in experiments)
        cfg = experiments[1].load()
        assert cfg.randomness.seed == 1 and cfg.val_cfg is None
        assert cfg.train_cfg.max_epochs == 4 and cfg.param_scheduler[1].T_max == pytest.approx(4)
        batches[name] = cfg.train_dataloader.batch_size
    # The change is made on top of the options: shorter clips, larger batches.
    assert batches == dict(base=4, cat=4, resnet18=4, t1=20, t5=4, t7=3)


def test_configs_can_be_written_for_the_training_tool(ablate, tmp_path):
    ablate(
        '--config',
        ROOT / 'configs/rpstn_jhmdb.py',
        '--only',
        'base',
        't3',
        '--epochs',
        50,
        '--dump',
        tmp_path,
    )
    written = {path.stem: Config.fromfile(path) for path in tmp_path.iterdir()}
    assert set(written) == {'rpstn_jhmdb_base', 'rpstn_jhmdb_t3'}
    config = written['rpstn_jhmdb_t3']
    # Whole: with validation and checkpoints.
    assert config.val_cfg is not None and config.default_hooks.checkpoint.save_best
    assert config.train_cfg.max_epochs == 50
    assert config.param_scheduler[0].milestones == [4, 8, 12, 20, 40]
    assert config.train_dataloader.dataset.clip_len == 3
    assert config.train_dataloader.batch_size == 13


def test_fewer_epochs_take_the_same_course_of_the_learning_rate(tiny):
    course = epoch_options(str(ROOT / 'configs/rpstn_penn.py'), 7)
    assert course == {'train_cfg.max_epochs': 7, 'param_scheduler.0.milestones': [1, 1, 2, 3, 6]}
    course = epoch_options(tiny, 3)
    assert course['param_scheduler.0.end'] == 10 and course['param_scheduler.1.T_max'] == 3


# What is made of results.


def test_a_row_is_mean_and_deviation_over_seeds(ablate):
    def row(torso, **other) -> dict:
        return dict(
            dict(
                is_base=False,
                torso=torso,
                bbox=[50.0],
                visible=torso,
                occluded=[],
                parameters=2_500_000,
                ms_per_frame=12.34,
                seconds=[10.0, 20.0],
                from_scratch=[],
            ),
            **other,
        )

    text = ablate.module.table({'base': row([94.0, 95.0, 96.0], is_base=True), 'cat': row([90.0])})
    found = {row[1]: row[2:] for row in cells(text)}
    assert found == {
        'JRPSP (base)': ['95.0 ± 1.0', '50.0', '95.0 ± 1.0', '-', '2.50 M', '12.3', '15'],
        'Cat': ['90.0', '50.0', '90.0', '-', '2.50 M', '12.3', '15'],
    }


def test_the_plot_shows_bars_of_a_height_in_proportion(tmp_path):
    plot_ablations(
        {
            'relation': {
                'JRE*': dict(mean=[80.0], visible=[], occluded=[]),
                'none': dict(mean=[40.0], visible=[], occluded=[]),
            }
        },
        tmp_path / 'plot.png',
        'PCK (%)',
    )
    image = cv2.imread(str(tmp_path / 'plot.png')).astype(int)
    bars = (np.abs(image - 0x4D) <= 2).all(axis=-1)
    heights = bars.sum(axis=0)
    half = image.shape[1] // 2
    left, right = (np.median(h[h > 30]) for h in (heights[:half], heights[half:]))
    assert left / right == pytest.approx(2, rel=0.03)


def test_a_larger_model_takes_longer_per_frame(tiny, monkeypatch):
    """By a clock that goes on with every layer."""
    small, large = Config.fromfile(tiny), Config.fromfile(tiny)
    large.model.backbone.encoder.depth = 101
    clock = Counter()
    monkeypatch.setattr('ablations.time.perf_counter', clock.total)
    hook = register_module_forward_hook(lambda module, *_: clock.update([type(module)]))
    try:
        times = frame_times(dict(small=small, large=large), rounds=3)
    finally:
        hook.remove()
    assert list(times) == ['small', 'large'] and 0 < 2 * times['small'] < times['large']


def test_the_help_names_every_variant(ablate, capsys):
    with pytest.raises(SystemExit):
        ablate('--help')
    text = re.sub(r'\s+', ' ', capsys.readouterr().out)
    assert all(name in text for name in ablate.module.NAMES)
