"""Joint relations W_r in figures: how sharp they are, and which joints support one.

Shapes: N frames, K joints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relations import RelatedFrame

_LOWEST = 3  # joints looked at where none is known to be occluded


def shares(relation: np.ndarray) -> np.ndarray:
    """Rows (..., K, K) that sum to 1, also of a relation normalised over columns (released)."""
    return relation / np.maximum(relation.sum(axis=-1, keepdims=True), np.finfo(np.float32).tiny)


def row_entropy(relation: np.ndarray) -> np.ndarray:
    """How evenly each joint draws on all, (..., K, K) -> (..., K).

    0: on one joint alone; 1: on all K alike (the entropy of the row, divided by log K).
    """
    rows = shares(relation)
    logs = np.log(rows, where=rows > 0, out=np.zeros_like(rows))
    return -(rows * logs).sum(axis=-1) / math.log(max(relation.shape[-1], 2))


def own_share(relation: np.ndarray) -> np.ndarray:
    """How much each joint draws on itself, (..., K, K) -> (..., K)."""
    return np.diagonal(shares(relation), axis1=-2, axis2=-1)


def describe(relation: np.ndarray) -> str:
    """One line on relations (N, K, K) that says outright where there is little in them."""
    entropy, own = row_entropy(relation).mean(axis=-1), own_share(relation).mean(axis=-1)
    text = (
        f'row entropy {entropy.mean():.2f} (0: one joint, 1: uniform), '
        f'{100 * own.mean():.0f} % on the joint itself'
    )
    identity = own > 0.95
    for kind, frames in (
        ('the identity', identity),
        ('uniform', entropy > 0.95),
        ('one-hot (each joint draws on one)', (entropy < 0.05) & ~identity),
    ):
        if frames.any():
            text += f'; nearly {kind}' + (
                '' if frames.all() else f' in {frames.sum()} of {len(frames)} frames'
            )
    return text


@dataclass(frozen=True)
class Support:
    """The joints that one joint draws on most."""

    joint: int
    why: str
    """Why this joint is looked at, e.g. ``'occluded in 3 of 5 frames'``."""
    frames: np.ndarray
    """(N,) bool, those averaged over."""
    own: float
    """Mean share of the joint itself."""
    supporters: tuple[int, ...]
    """The other joints, in order of their mean share, largest first."""
    mean: tuple[float, ...]
    """Their mean shares."""
    std: tuple[float, ...]
    """Their standard deviations over the frames."""


def find_support(
    frames: Sequence[RelatedFrame], joints: Sequence[str], chosen: Sequence[str] = ()
) -> list[Support]:
    """Who supports the occluded joints.

    Args:
        frames: N frames.
        joints: K names.
        chosen: names to look at. By default those labelled as occluded, most often first; where
            none is, the three with the lowest mean scores.

    Raises:
        ValueError: a name is not among the joints.
    """
    unknown = [name for name in chosen if name not in joints]
    if unknown:
        raise ValueError(f'no joint {unknown[0]!r}; the joints are {", ".join(joints)}')
    occluded = np.array([frame.occluded for frame in frames])
    scores = np.array([frame.person.scores for frame in frames]).mean(axis=0)
    counts = occluded.sum(axis=0)
    if chosen:
        wanted = [joints.index(name) for name in chosen]
    elif occluded.any():
        wanted = [k for k in np.argsort(-counts, kind='stable') if counts[k]]
    else:
        wanted = np.argsort(scores, kind='stable')[:_LOWEST]
    rows = shares(np.array([frame.relation for frame in frames]))
    found = []
    for k in map(int, wanted):
        hidden = occluded[:, k]
        over_time = len(frames) > 1
        why = (
            (f'occluded in {hidden.sum()} of {len(frames)} frames' if over_time else 'occluded')
            if hidden.any()
            else f'{"mean " if over_time else ""}score {scores[k]:.2f}'
            + ('' if chosen else ', among the lowest')
        )
        used = hidden if hidden.any() else np.ones(len(frames), bool)
        mean, std = rows[used, k].mean(axis=0), rows[used, k].std(axis=0)
        order = tuple(int(j) for j in np.argsort(-mean, kind='stable') if j != k)
        found.append(
            Support(
                k,
                why,
                used,
                float(mean[k]),
                order,
                tuple(map(float, mean[list(order)])),
                tuple(map(float, std[list(order)])),
            )
        )
    return found
