"""Which sequences are for training and which for testing: given, random, or whole groups out.

A split is a dict ``dict(type=..., part='train' or 'test', ...)`` with the arguments of the function
that is registered under ``type``, or a list of such dicts, each of which divides what the one
before it leaves. So settings are chosen on training days alone::

    outer = dict(type='leave_days_out', fold=0, part='train')
    train_split = [outer, dict(type='leave_days_out', fold=1, num_folds=3, part='train')]
    val_split = [outer, dict(type='leave_days_out', fold=1, num_folds=3, part='test')]

N sequences.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from mmengine.registry import Registry

from rpstn.errors import SettingError

SPLITS = Registry('split', scope='rpstn')
PARTS = ('train', 'test')
Label = int | Sequence[int]
Field = Sequence[str | tuple[str, ...]]


def split_indices(
    split: Mapping | Sequence[Mapping] | None, labels: Sequence[Label], fields: Mapping[str, Field]
) -> np.ndarray:
    """The sequences that a split, or a list of nested ones, chooses.

    Args:
        split: see the module; None chooses all.
        labels: N class numbers, or lists of them.
        fields: what is known of the sequences, e.g. ``dict(day=[...], split=[...])``, N each.

    Returns:
        Indices into 0 .. N - 1, ascending.

    Raises:
        SettingError: a split that is not known, has wrong arguments, or leaves nothing.
    """
    chosen = np.arange(len(labels))
    if split is None:
        return chosen
    for step in [split] if isinstance(split, Mapping) else split:
        arguments = dict(step)
        function = SPLITS.get(kind) if (kind := arguments.pop('type', None)) else None
        if function is None:
            raise SettingError(
                f'split: type must be one of {sorted(SPLITS.module_dict)}, got {kind!r}'
            )
        try:
            kept = function(
                [labels[i] for i in chosen],
                {name: [values[i] for i in chosen] for name, values in fields.items()},
                **arguments,
            )
        except (TypeError, ValueError) as error:
            raise SettingError(f'split {dict(step)}: {error}') from None
        if not len(kept):
            raise SettingError(f'split {dict(step)}: leaves none of {len(chosen)} sequences')
        chosen = chosen[kept]
    return chosen


@SPLITS.register_module('given')
def given_split(
    labels: Sequence[Label], fields: Mapping[str, Field], part: str | int
) -> np.ndarray:
    """The sequences that the data set's own split puts into ``part``, e.g. ``'train'``.

    MMAction2's annotation files hold several splits at once, such as ``'xsub_train'``: there a
    sequence belongs to several parts.
    """
    belongs = [
        {value} if isinstance(value, str) else set(value) for value in _field('split', fields)
    ]
    known = sorted(set().union(*belongs) - {''})
    part = str(part)  # a table's 1 is '1'
    if part not in known:
        raise SettingError(f'part must be one of {known}, got {part!r}')
    return np.flatnonzero([part in parts for parts in belongs])


@SPLITS.register_module('random')
def random_split(
    labels: Sequence[Label],
    fields: Mapping[str, Field],
    part: str,
    fraction: float = 0.8,
    seed: int = 0,
) -> np.ndarray:
    """A random part of each class, stratified by label; the same for the same seed.

    Recordings of one session fall on both sides, so this measures fit rather than generalization.

    Args:
        labels: of the sequences; each combination of labels is a class of its own.
        fields: not used.
        part: ``'train'`` or ``'test'``.
        fraction: of each class that is for training, rounded.
        seed: of the order.
    """
    _check_part(part)
    if not 0 < fraction < 1:
        raise SettingError(f'fraction must lie between 0 and 1, got {fraction}')
    strata, rng = _strata(labels), np.random.default_rng(seed)
    train = np.zeros(len(strata), bool)
    for stratum in range(strata.max(initial=-1) + 1):
        members = rng.permutation(np.flatnonzero(strata == stratum))
        train[members[: round(fraction * len(members))]] = True
    return np.flatnonzero(train == (part == 'train'))


@SPLITS.register_module('leave_group_out')
def leave_group_out(
    labels: Sequence[Label],
    fields: Mapping[str, Field],
    part: str,
    group: str,
    fold: int,
    num_folds: int | str = 4,
    seed: int | None = None,
) -> np.ndarray:
    """Whole groups are tested on, those of fold ``fold``; all others are trained on.

    Folds are balanced by class as far as groups allow (scikit-learn's StratifiedGroupKFold).

    Args:
        labels: of the sequences.
        fields: holds the field ``group``.
        part: ``'train'`` or ``'test'``.
        group: the field whose values stay together, e.g. ``'day'`` or ``'subject'``.
        fold: 0 .. number of folds - 1.
        num_folds: a number, or ``'all'``: each group is a fold, in the order of their names.
        seed: None always gives the same folds, largest groups being placed first; a number gives
            others, placed in random order.
    """
    _check_part(part)
    groups = np.array([str(value) for value in _field(group, fields)])
    if missing := int((groups == '').sum()):
        raise SettingError(f'group {group!r} is missing for {missing} of {len(groups)} sequences')
    names = np.unique(groups)
    if num_folds == 'all':
        num_folds = len(names)
        if num_folds < 2:
            raise SettingError(f'num_folds needs at least 2 groups {group!r}, got {names.tolist()}')
        tests = [np.flatnonzero(groups == name) for name in names]
    elif isinstance(num_folds, int) and 2 <= num_folds <= len(names):
        tests = _stratified_folds(_strata(labels), groups, num_folds, seed)
    else:
        raise SettingError(
            f"num_folds must be 'all' or 2 to the number of groups {group!r}, "
            f'{len(names)}, got {num_folds!r}'
        )
    if not isinstance(fold, int) or not 0 <= fold < num_folds:
        raise SettingError(f'fold must be 0 to {num_folds - 1}, got {fold!r}')
    test = np.zeros(len(groups), bool)
    test[tests[fold]] = True
    return np.flatnonzero(test == (part == 'test'))


@SPLITS.register_module('leave_days_out')
def leave_days_out(
    labels: Sequence[Label],
    fields: Mapping[str, Field],
    part: str,
    fold: int,
    num_folds: int | str = 4,
    seed: int | None = None,
) -> np.ndarray:
    """:func:`leave_group_out` of the field ``day``: generalization to sessions never seen."""
    return leave_group_out(labels, fields, part, 'day', fold, num_folds, seed)


def _stratified_folds(
    strata: np.ndarray, groups: np.ndarray, num_folds: int, seed: int | None
) -> list[np.ndarray]:
    # Imported here, for it takes a second that most users of this package need not wait.
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(num_folds, shuffle=seed is not None, random_state=seed)
    # It warns of classes with fewer sequences than folds, which no choice of groups can mend.
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'The least populated class', UserWarning)
        return [test for _, test in folds.split(np.zeros(len(strata)), strata, groups)]


def _strata(labels: Sequence[Label]) -> np.ndarray:
    """(N,) a number for each label, or combination of labels; equal where these are."""
    keys = [tuple(sorted(np.atleast_1d(label).astype(int).tolist())) for label in labels]
    order = {key: number for number, key in enumerate(sorted(set(keys)))}
    return np.array([order[key] for key in keys], int)


def _field(name: str, fields: Mapping[str, Field]) -> Field:
    if name not in fields:
        raise SettingError(f'the data set has no field {name!r}, it has {sorted(fields)}')
    return fields[name]


def _check_part(part: str) -> None:
    if part not in PARTS:
        raise SettingError(f'part must be one of {PARTS}, got {part!r}')
