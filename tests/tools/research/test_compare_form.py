"""The comparison's plan and tables, from results that are given instead of hours of training."""

import importlib.util
import json
import sys
from argparse import Namespace
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from experiments import Experiment

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope='module')
def compare_form():
    spec = importlib.util.spec_from_file_location(
        'compare_form', ROOT / 'tools/research/compare_form.py'
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def planned(module, **given) -> list[tuple[str, str, Experiment]]:
    args = Namespace(**(dict(seeds=3, epochs=None, amp=[], inner=False, cfg_options={}) | given))
    return [
        (row, column, experiment)
        for row in module.ROWS
        for column, experiment in module.experiments_of(row, args)
    ]


def result(accuracy: float, rotated: float | None = None, f1: float = 0.5) -> dict:
    tests = dict(test=accuracy) if rotated is None else dict(test=accuracy, rotated=rotated)
    return dict(
        seconds=12.0,
        parameters=2_760_000,
        tests={
            name: {'form/accuracy': value, 'form/macro_f1': f1} for name, value in tests.items()
        },
    )


def cells(text: str) -> dict[str, list[str]]:
    """First column -> the others, of the tables in a text."""
    lines = [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in text.splitlines()
        if line.startswith('|')
    ]
    return {line[0]: line[1:] for line in lines}


# The plan.


def test_every_cell_has_its_trainings(compare_form):
    plan = planned(compare_form)
    names = [experiment.name for _, _, experiment in plan]
    assert len(set(names)) == len(names)
    assert all(Path(name).name == name for name in names)
    for row in compare_form.ROWS:
        stem, _ = compare_form.ROWS[row]
        seeds = 1 if stem in compare_form.ONE_SEED else 3
        found = Counter(column for r, column, _ in plan if r == row)
        penn = {} if stem == 'movement' else dict(penn=seeds)
        assert found == dict(given=seeds, days=4 * seeds, **penn)
    assert {'stgcn', 'tdm', 'coordinates', 'form', 'movement'} == {
        stem for stem, _ in compare_form.ROWS.values()
    }


def test_experiments_are_what_their_rows_and_columns_say(compare_form):
    limbs, folds, epochs = set(), set(), set()
    for _row, column, experiment in planned(compare_form, seeds=1, epochs=7, amp=['stgcn']):
        stem = Path(experiment.config).stem
        assert experiment.amp == stem.startswith('stgcn')
        assert stem.endswith('_penn_actions' if column == 'penn' else '_squat')
        assert list(experiment.tests) == (['test', 'rotated'] if column == 'penn' else ['test'])
        cfg = experiment.load()
        train, test = (cfg[f'{part}_dataloader'].dataset.split for part in ('train', 'test'))
        assert (train.part, test.part) == ('train', 'test')
        if column == 'days':
            assert {**train, 'part': ''} == {**test, 'part': ''}
            assert train.type == 'leave_days_out' and train.num_folds == 4
            folds.add((experiment.name.rpartition('_days')[0], train.fold))
        else:
            assert train.type == test.type == 'given'
        if stem != 'movement_squat':  # one pass
            epochs.add((cfg.train_cfg.max_epochs, cfg.param_scheduler[-1].end))
        if stem.startswith('tdm'):
            limbs.add(cfg.model.representation.limbs)
    assert limbs == {'none', 'head', 'body', 'full'} and epochs == {(7, 7)}
    assert len(folds) == 4 * len(compare_form.ROWS)


def test_inner_splits_never_reach_the_test_sets(compare_form):
    outer = {
        (column, e.name): e.load().train_dataloader.dataset.split
        for _, column, e in planned(compare_form, seeds=1)
    }
    for _, column, experiment in planned(compare_form, seeds=1, inner=True):
        cfg = experiment.load()
        train, test = (cfg[f'{part}_dataloader'].dataset.split for part in ('train', 'test'))
        assert train[0] == test[0] == outer[column, experiment.name]
        assert {**train[1], 'part': 'test'} == test[1] and train[1]['part'] == 'train'


def test_options_reach_every_training(compare_form):
    options = {'train_dataloader.batch_size': 5}
    assert all(
        e.load().train_dataloader.batch_size == 5
        for _, _, e in planned(compare_form, seeds=1, cfg_options=options)
    )


# The tables.


def test_a_cell_is_mean_and_deviation_over_seeds(compare_form):
    assert compare_form.mean_and_spread([]) == ''
    assert compare_form.mean_and_spread([95.06]) == '95.1'
    # Of a sample: n - 1.
    assert compare_form.mean_and_spread([94.0, 95.0, 96.0]) == '95.0 ± 1.0'


def test_folds_are_averaged_before_seeds_are_compared(compare_form):
    done = [
        ('days', Experiment(f'{seed}{fold}', '', seed=seed), result(accuracy))
        for seed, accuracies in enumerate(((0.1, 0.2, 0.3, 0.8), (0.3, 0.3, 0.3, 0.3)))
        for fold, accuracy in enumerate(accuracies)
    ]
    done += [
        ('given', Experiment('g', ''), result(0.9)),
        ('penn', Experiment('p', ''), result(0.8, rotated=0.7)),
    ]
    found = {
        column: compare_form.collect(done, column, 'form/accuracy')
        for column in compare_form.COLUMNS
    }
    assert found == {
        'given': [pytest.approx(90)],
        'penn': [pytest.approx(80)],
        'days': [pytest.approx(35), pytest.approx(30)],
        'rotated': [pytest.approx(70)],
    }
    assert compare_form.collect(done, 'days', 'form/macro_f1') == [50, 50]
    table = cells(compare_form.table({'ours': done, 'nothing yet': []}, 'form/accuracy'))
    columns = list(compare_form.COLUMNS)
    shown = dict(zip(columns, table['ours'], strict=True))
    assert shown == dict(
        given='90.0', days=f'32.5 ± {np.std([35, 30], ddof=1):.1f}', penn='80.0', rotated='70.0'
    )
    assert set(table['nothing yet']) == {''}


def test_a_run_from_kept_results(compare_form, tmp_path, monkeypatch, capsys):
    """All trainings are done: nothing is left but to gather, the longest first, and to write."""
    work_dir, out = tmp_path / 'work', tmp_path / 'docs/table.md'
    work_dir.mkdir()
    plan = [
        entry
        for entry in planned(compare_form, seeds=2)
        if Path(entry[2].config).stem.startswith(('stgcn_', 'coordinates_'))
    ]
    assert len(plan) == 2 * 6 + 6
    for number, (_, column, experiment) in enumerate(plan):
        kept = result(0.5 + number / 100, 0.25 if column == 'penn' else None)
        kept['fingerprint'] = experiment.fingerprint()
        (work_dir / f'{experiment.name}.json').write_text(json.dumps(kept))
    before = {path: path.stat().st_mtime_ns for path in work_dir.iterdir()}
    monkeypatch.setattr(
        sys,
        'argv',
        [
            'compare_form.py',
            '--seeds',
            '2',
            '--rows',
            'coordinates',
            'stgcn',
            '--processes',
            '1',
            '--work-dir',
            str(work_dir),
            '--out',
            str(out),
        ],
    )
    compare_form.main()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    printed = capsys.readouterr().out
    order = [
        line.split(':')[0]
        for line in printed.splitlines()
        if line.split(':')[0] in {experiment.name for _, _, experiment in plan}
    ]
    assert len(order) == 18
    stems = {experiment.name: Path(experiment.config).stem for _, _, experiment in plan}
    first = [stems[name].startswith('stgcn') for name in order]
    assert first == [True] * 6 + [False] * 12

    text = out.read_text()
    assert text in printed
    figures = json.loads((work_dir / 'table.json').read_text())
    for row in {row for row, _, _ in plan}:
        of_row = [
            (column, experiment.seed, 0.5 + number / 100)
            for number, (r, column, experiment) in enumerate(plan)
            if r == row
        ]
        for column in ('given', 'days', 'penn'):
            seeds = sorted({seed for _, seed, _ in of_row})
            expected = [
                100 * np.mean([a for c, s, a in of_row if (c, s) == (column, seed)])
                for seed in seeds
            ]
            assert figures[row][column] == pytest.approx(expected)
            assert f'{np.mean(expected):.1f}' in text
        assert set(figures[row]['rotated']) == {25}
        assert row in text
