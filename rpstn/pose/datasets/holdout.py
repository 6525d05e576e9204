"""A part of the training sequences held out for validation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from rpstn.errors import SettingError

SUBSETS = ('train', 'val', 'trainval', 'test')


def hold_out(names: Iterable[str], fraction: float, group: Callable[[str], str]) -> set[str]:
    """About ``fraction`` of the sequences, whole groups at a time, the same ones always.

    Groups are taken in the order of a hash of their name, as far as they fit. Of two groups or
    more, at least one is held out, the smallest if none fits, and one is not.

    Args:
        names: of the sequences.
        fraction: between 0 and 1.
        group: gives what must not be divided, e.g. the video a sequence was cut from.
    """
    names = sorted(names)
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(group(name), []).append(name)
    held_out: set[str] = set()
    order = sorted(groups, key=lambda key: hashlib.sha256(key.encode()).digest())
    limit = min(round(fraction * len(names)), len(names) - 1)
    for key in order:
        if len(held_out) + len(groups[key]) <= limit:
            held_out.update(groups[key])
    if not held_out and len(order) > 1:
        smallest = min((groups[key] for key in order), key=len)
        held_out.update(smallest)
    return held_out


def choose_subset(
    names: dict[str, bool], subset: str, fraction: float, group: Callable[[str], str]
) -> set[str]:
    """The sequences of a subset.

    Args:
        names: name -> whether it is for training, officially.
        subset: ``'trainval'`` and ``'test'`` are the official lists, ``'val'`` is held out from
            the former, ``'train'`` its rest.
        fraction: of ``'trainval'`` that is ``'val'``.
        group: see :func:`hold_out`.
    """
    training = {name for name, train in names.items() if train}
    if subset in ('trainval', 'test'):
        return training if subset == 'trainval' else set(names) - training
    held_out = hold_out(training, fraction, group)
    return held_out if subset == 'val' else training - held_out


def check_subset(subset: str, fraction: float, allowed: tuple[str, ...] = SUBSETS) -> None:
    """Refuse, with a ValueError, an unknown subset and a fraction not between 0 and 1."""
    if subset not in allowed:
        raise SettingError(f'subset must be one of {allowed}, got {subset!r}')
    if not 0 < fraction < 1:
        raise SettingError(f'val_fraction must lie between 0 and 1, got {fraction}')
