"""Trainings run for real, small, on synthetic squats: kept, resumed, repeated, failed."""

import json
from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope

from rpstn.engine.cpu import has_bfloat16
from rpstn.errors import SettingError

from experiments import Experiment, epoch_options, run_experiment, run_experiments

ROOT = Path(__file__).parents[3]
MIXED_PRECISION = torch.cuda.is_available() or has_bfloat16()
# tdm_squat.py, a narrow network, 28 and 14 synthetic squats, 4 epochs.
TINY = f"""
_base_ = '{ROOT}/configs/tdm_squat.py'

model = dict(backbone=dict(channels=16, num_layers=2), cls_head=dict(in_channels=16))
data = dict(type='SyntheticSquatDataset', skeleton='mediapipe19', _delete_=True)
train_dataloader = dict(
    batch_size=7,
    dataset=dict(**data, num_sequences=28, pipeline=_base_.train_pipeline))
test_dataloader = dict(dataset=dict(
    **data, part='test', num_sequences=14, pipeline=_base_.test_pipeline, test_mode=True))
val_dataloader = test_dataloader
train_cfg = dict(max_epochs=4)
optim_wrapper = dict(optimizer=dict(lr=1e-2))
param_scheduler = [dict(type='CosineAnnealingLR', begin=0, end=4, convert_to_iter_based=True)]
"""
COORDINATES = {
    'model.representation': dict(_delete_=True, type='JointCoordinates', skeleton='mediapipe19'),
    'model.backbone.in_channels': 57,
}
ROTATED = dict(test=[], rotated=[dict(type='RotateSkeleton', seed=0)])


@pytest.fixture(scope='module')
def tiny(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp('configs') / 'tiny.py'
    path.write_text(TINY)
    return str(path)


@pytest.fixture(scope='module')
def distances(tiny) -> dict:
    """The result of an experiment in this process."""
    return run_experiment(Experiment('distances', tiny, tests=ROTATED))


# One experiment.


def test_a_result_tells_parameters_time_and_every_test(tiny, distances):
    cfg = Config.fromfile(tiny)
    with DefaultScope.overwrite_default_scope('mmaction'):
        model = MODELS.build(cfg.model)
    assert distances['parameters'] == sum(p.numel() for p in model.parameters())
    assert distances['seconds'] > 0 and list(distances['tests']) == ['test', 'rotated']
    metrics = distances['tests']['test']
    # Both parts have seven classes alike.
    assert metrics['form/accuracy'] == pytest.approx(metrics['form/balanced_accuracy'])
    assert 14 * metrics['form/accuracy'] == pytest.approx(round(14 * metrics['form/accuracy']))
    assert {value for name, value in metrics.items() if '/support/' in name} == {2}


def test_a_rotated_test_set_changes_nothing_for_distances_but_all_for_coordinates(tiny, distances):
    def change(result: dict) -> float:
        tests = result['tests']
        return abs(tests['rotated']['form/nll'] - tests['test']['form/nll'])

    assert change(distances) < 1e-4
    assert distances['tests']['rotated']['form/accuracy'] == pytest.approx(
        distances['tests']['test']['form/accuracy'], abs=1 / 14 + 1e-9
    )
    coordinates = run_experiment(Experiment('coordinates', tiny, COORDINATES, tests=ROTATED))
    assert change(coordinates) > 1e-2


def test_the_seed_decides_everything(tiny, distances):
    again = run_experiment(Experiment('again', tiny, tests=ROTATED))
    assert again['tests']['test'] == pytest.approx(distances['tests']['test'], nan_ok=True)
    assert again['fingerprint'] == distances['fingerprint']
    other = run_experiment(Experiment('other', tiny, seed=1, tests=ROTATED))
    assert other['tests']['test']['form/nll'] != distances['tests']['test']['form/nll']
    assert other['fingerprint'] != distances['fingerprint']


def test_it_trains_in_mixed_precision_and_leaves_no_file(tiny, distances, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if not MIXED_PRECISION:
        pytest.skip('mixed precision needs a GPU, or a processor with bfloat16')
    experiment = Experiment('amp', tiny, amp=True)
    result = run_experiment(experiment)
    assert list(tmp_path.iterdir()) == []
    assert 'Amp' in experiment.load().optim_wrapper.type
    exact = distances['tests']['test']['form/nll']
    assert result['tests']['test']['form/nll'] == pytest.approx(exact, rel=0.2)
    assert result['tests']['test']['form/nll'] != exact


def test_mixed_precision_is_refused_at_once_where_it_would_be_slow(tiny, tmp_path):
    if MIXED_PRECISION:
        pytest.skip('it is fast here')
    experiments = [Experiment('float', tiny), Experiment('amp', tiny, amp=True)]
    with pytest.raises(SettingError, match='leave --amp out'):
        list(run_experiments(experiments, tmp_path, 1))
    assert list(run_experiments(experiments, tmp_path, 0)) == []  # nothing was trained


def test_it_never_looks_at_the_test_set_while_it_trains(tiny):
    cfg = Experiment('x', tiny).load()
    assert cfg.val_cfg is cfg.val_dataloader is cfg.val_evaluator is None
    assert cfg.custom_hooks == []


@pytest.mark.parametrize(
    'change',
    [
        dict(options={'model.backbone.channels': 8}),
        dict(seed=3),
        dict(amp=True),
        dict(tests=dict(test=[dict(type='RotateSkeleton', seed=1)])),
    ],
)
def test_the_fingerprint_changes_with_all_that_counts(tiny, change):
    assert (
        Experiment('a', tiny, **change).fingerprint()
        != Experiment('a', tiny).fingerprint()
        == Experiment('b', tiny).fingerprint()
    )


def test_fewer_epochs_take_the_same_course_of_the_learning_rate():
    path = str(ROOT / 'configs/tdm_squat.py')
    whole = Config.fromfile(path)
    epochs = whole.train_cfg.max_epochs
    short = Experiment('short', path, epoch_options(path, 5)).load()
    assert short.train_cfg.max_epochs == 5
    for a, b in zip(whole.param_scheduler, short.param_scheduler, strict=True):
        assert b.type == a.type
        assert [b.begin / 5, b.end / 5] == pytest.approx([a.begin / epochs, a.end / epochs])
    assert short.param_scheduler[-1].end == 5


# Several, each in a file.


def test_results_are_kept_and_a_failure_names_its_experiment(tiny, tmp_path):
    folder = tmp_path / 'results'
    good = Experiment('good', tiny)
    bad = Experiment('bad', tiny, {'train_dataloader.dataset.num_subjects': 0})
    found = run_experiments([good, bad], folder, processes=1)
    assert not folder.exists()  # nothing happens before it is asked for
    experiment, result = next(found)
    assert experiment is good
    # As text, for a class that is never predicted has no precision, and NaN equals nothing.
    assert json.dumps(result, indent=1) == (folder / 'good.json').read_text()
    with pytest.raises(RuntimeError, match='experiment bad: SettingError: .*num_subjects'):
        next(found)
    assert [path.name for path in folder.iterdir()] == ['good.json']

    ((experiment, kept),) = run_experiments([good], folder, processes=1)
    # Another training would take another time.
    assert experiment is good and json.dumps(kept) == json.dumps(result)

    changed = Experiment(
        'good', tiny, {'model.backbone.channels': 8, 'model.cls_head.in_channels': 8}
    )
    ((_, other),) = run_experiments([changed], folder, processes=1)
    assert other['fingerprint'] != result['fingerprint']
    assert other['parameters'] < result['parameters']
    assert json.dumps(other, indent=1) == (folder / 'good.json').read_text()
    assert [path.name for path in folder.iterdir()] == ['good.json']


@pytest.mark.slow
def test_trainings_are_tasks_of_a_cluster(tiny, distances, tmp_path):
    """Of one on this machine: the same results, kept one by one."""
    from rpstn.cluster.pool import connected

    good = [Experiment(name, tiny, seed=seed, tests=ROTATED) for name, seed in (('a', 0), ('b', 1))]
    bad = Experiment('bad', tiny, {'model.type': 'NoSuchModel'})
    with connected(None, cores=2):
        found = {one.name: told for one, told in run_experiments(good, tmp_path, 1, cluster='auto')}
        metric = [told['tests']['test']['form/ece'] for told in (found['a'], distances)]
        assert metric[0] == pytest.approx(metric[1], abs=1e-5) and set(found) == {'a', 'b'}
        assert {one.name for one, _ in run_experiments(good, tmp_path, 0)} == {'a', 'b'}, 'kept'
        with pytest.raises(RuntimeError, match='experiment bad: .*NoSuchModel'):
            list(run_experiments([bad], tmp_path, 1, cluster='auto'))


def test_a_config_that_cannot_be_read_is_named_too(tmp_path):
    with pytest.raises(RuntimeError, match='experiment x: FileNotFoundError: .*nowhere.py'):
        list(run_experiments([Experiment('x', 'nowhere.py')], tmp_path, processes=1))


def test_names_must_be_unique(tiny, tmp_path):
    twice = [Experiment('x', tiny), Experiment('x', tiny, seed=1), Experiment('y', tiny)]
    with pytest.raises(ValueError, match=r"must be unique, got \['x'\]"):
        next(run_experiments(twice, tmp_path, processes=1))
