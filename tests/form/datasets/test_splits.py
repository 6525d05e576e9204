"""Splits of labelled sequences: whole groups, strata, nesting, and what is refused."""

import csv
from collections import Counter

import numpy as np
import pytest

from rpstn.form.datasets.splits import split_indices
from rpstn.pose.datasets import find_data

try:
    REAL = find_data('squat_mediapipe19/labels.csv')
except FileNotFoundError:
    REAL = None


def table(seed=0, groups=9, classes=3, n=200):
    """Labels and fields of sequences whose days hold unequal shares of each class."""
    rng = np.random.default_rng(seed)
    days = rng.integers(0, groups, n)
    days[:groups] = np.arange(groups)
    labels = (rng.integers(0, classes, n) * rng.integers(0, 2, n) + days) % classes
    return labels.tolist(), dict(
        day=[f'day{d}' for d in days],
        split=[('train', 'test')[int(v)] for v in rng.random(n) < 0.3],
    )


def folds(labels, fields, num_folds, **kwargs):
    count = len(set(fields['day'])) if num_folds == 'all' else num_folds
    return [
        tuple(
            split_indices(
                dict(
                    type='leave_group_out',
                    group='day',
                    num_folds=num_folds,
                    fold=fold,
                    part=part,
                    **kwargs,
                ),
                labels,
                fields,
            )
            for part in ('train', 'test')
        )
        for fold in range(count)
    ]


@pytest.mark.parametrize('num_folds', [2, 4, 'all'])
@pytest.mark.parametrize('seed', [None, 3])
def test_groups_are_never_divided_and_folds_cover_everything_once(num_folds, seed):
    labels, fields = table()
    days = np.array(fields['day'])
    tested = []
    for train, test in folds(labels, fields, num_folds, seed=seed):
        assert not set(days[train]) & set(days[test])
        assert sorted([*train, *test]) == list(range(len(labels)))
        assert (np.diff(train) > 0).all() and (np.diff(test) > 0).all()
        tested += test.tolist()
        if num_folds == 'all':
            assert len(set(days[test])) == 1
    assert sorted(tested) == list(range(len(labels)))


def test_folds_repeat_and_a_seed_gives_others():
    labels, fields = table()
    first, second, other = (folds(labels, fields, 4, seed=s) for s in (None, None, 1))
    assert all((a[1] == b[1]).all() for a, b in zip(first, second))
    assert any(a[1].tolist() != b[1].tolist() for a, b in zip(first, other))


def test_folds_are_balanced_by_class():
    # One class a day. Splitting by size alone would not see that a fold lacks a class.
    labels = np.repeat(np.arange(3), 40).tolist()
    fields = dict(day=[f'{i // 10}' for i in range(120)])
    for _, test in folds(labels, fields, 4):
        assert Counter(np.array(labels)[test].tolist()) == {0: 10, 1: 10, 2: 10}


def test_inner_folds_see_only_what_the_outer_leaves():
    labels, fields = table()
    days = np.array(fields['day'])
    outer = dict(type='leave_days_out', fold=1, num_folds=3)
    held_out = set(days[split_indices({**outer, 'part': 'test'}, labels, fields)])
    inner_days = []
    for fold in range(3):
        inner = dict(type='leave_days_out', fold=fold, num_folds=3)
        train, test = (
            split_indices([{**outer, 'part': 'train'}, {**inner, 'part': part}], labels, fields)
            for part in ('train', 'test')
        )
        assert not set(days[train]) & set(days[test])
        assert set(days[train]) | set(days[test]) == set(days) - held_out
        inner_days += sorted(set(days[test]))
    assert sorted(inner_days) == sorted(set(days) - held_out)


def test_leave_days_out_is_leave_group_out_of_days():
    labels, fields = table()
    named, general = (
        split_indices(dict(type=kind, fold=2, part='test', **more), labels, fields)
        for kind, more in (
            ('leave_days_out', {}),
            ('leave_group_out', dict(group='day', num_folds=4)),
        )
    )
    assert (named == general).all()


def test_random_split_takes_its_part_of_each_class():
    labels = [0] * 50 + [1] * 10 + [2] * 5
    fractions = {}
    for seed in (0, 1):
        train, test = (
            split_indices(dict(type='random', fraction=0.8, seed=seed, part=part), labels, {})
            for part in ('train', 'test')
        )
        assert sorted([*train, *test]) == list(range(65))
        assert Counter(np.array(labels)[train].tolist()) == {0: 40, 1: 8, 2: 4}
        fractions[seed] = train.tolist()
    assert fractions[0] != fractions[1]
    assert fractions[0] == split_indices(dict(type='random', part='train'), labels, {}).tolist()


def test_each_combination_of_labels_is_a_stratum():
    labels = [[0, 1]] * 10 + [[1, 0]] * 10 + [[]] * 10 + [[2]] * 10
    train = split_indices(dict(type='random', fraction=0.5, part='train'), labels, {})
    counts = np.bincount(train // 10, minlength=4)
    assert counts[0] + counts[1] == 10 and counts[2] == counts[3] == 5


def test_given_parts_of_one_or_several_splits():
    assert split_indices(
        dict(type='given', part='test'), [0, 1, 0], dict(split=['train', 'test', 'test'])
    ).tolist() == [1, 2]
    several = dict(split=[('xsub_train', 'xview_val'), ('xsub_val',), ()])
    assert split_indices(dict(type='given', part='xview_val'), [0, 0, 0], several).tolist() == [0]
    assert split_indices(None, [0, 1], {}).tolist() == [0, 1]


LEAVE = dict(type='leave_group_out', group='day', fold=0, part='train')


@pytest.mark.parametrize(
    'split, message',
    [
        (dict(type='kfold', part='train'), "type must be one of .*'given'.* got 'kfold'"),
        (dict(part='train'), 'type must be one of'),
        (dict(type='given', part='val'), r"part must be one of \['test', 'train'\], got 'val'"),
        (dict(type='given'), "missing 1 required positional argument: 'part'"),
        (dict(type='random', part='val'), r"part must be one of \('train', 'test'\), got 'val'"),
        (
            dict(type='random', part='train', fraction=80),
            'fraction must lie between 0 and 1, got 80',
        ),
        (dict(type='random', part='test', fraction=0.999), 'leaves none of 200 sequences'),
        ({**LEAVE, 'part': 'all'}, "part must be one of .* got 'all'"),
        ({**LEAVE, 'group': 'subject'}, r"no field 'subject', it has \['day', 'room', 'split'\]"),
        ({**LEAVE, 'num_folds': 10}, "2 to the number of groups 'day', 9, got 10"),
        ({**LEAVE, 'num_folds': 1}, 'got 1'),
        ({**LEAVE, 'fold': 4}, 'fold must be 0 to 3, got 4'),
        ({**LEAVE, 'fold': -1}, 'fold must be 0 to 3, got -1'),
        ({**LEAVE, 'fold': 9, 'num_folds': 'all'}, 'fold must be 0 to 8, got 9'),
        ({**LEAVE, 'group': 'room'}, "group 'room' is missing for 200 of 200 sequences"),
        ({**LEAVE, 'days': 3}, "unexpected keyword argument 'days'"),
    ],
)
def test_what_is_refused_is_named(split, message):
    labels, fields = table()
    with pytest.raises(ValueError, match=message):
        split_indices(split, labels, {**fields, 'room': [''] * len(labels)})


@pytest.mark.skipif(REAL is None, reason='the real squats are not here')
def test_folds_of_the_real_squats():
    with REAL.open() as file:
        rows = list(csv.DictReader(file))
    names = sorted({r['label'] for r in rows})
    labels, fields = [names.index(r['label']) for r in rows], dict(day=[r['day'] for r in rows])
    found = folds(labels, fields, 4)
    # Results are compared across releases, so the folds must not move with scikit-learn's.
    assert [sorted({fields['day'][i][:4] for i in test}) for _, test in found] == [
        ['1204', '1205', '1304'],
        ['0205', '0305', '1804', '2104'],
        ['0604', '1704', '2004'],
        ['0504', '0905', '1404', '1904'],
    ]
    assert [len(test) for _, test in found] == [378, 281, 263, 241]
    for train, test in found:
        assert len(set(np.array(labels)[train])) == len(set(np.array(labels)[test])) == 7
