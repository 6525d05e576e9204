"""Joints in space without jitter, once the whole video is known: no lag, unlike one-euro filters.

Shapes: T frames, V joints.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from rpstn.errors import SettingError

from .structures import Joints3D

_REACH = 3.0  # standard deviations


def smoothed(joints: Joints3D, cutoff: float) -> Joints3D:
    """The same through a Gaussian low-pass over time; unknown joints stay unknown, and count not.

    Frames need not be equally far apart: weights follow from their times.

    Args:
        joints: of one person.
        cutoff: Hz at which movements keep 1 / sqrt(2) of their size (-3 dB).

    Raises:
        SettingError: the cut-off is not above 0.
    """
    if not (math.isfinite(cutoff) and cutoff > 0):
        raise SettingError(f'cutoff must be above 0 Hz, got {cutoff}')
    # A Gaussian of deviation s passes exp(-(2 pi f s)^2 / 2).
    deviation = math.sqrt(math.log(2)) / (2 * math.pi * cutoff)
    places = joints.joints.reshape(len(joints.times), -1)
    known = np.isfinite(places)
    filled = np.where(known, places, 0.0)
    total, weight = np.zeros_like(filled), np.zeros_like(filled)
    for offset in range(-_most_frames(joints.times, _REACH * deviation), 0):
        apart = joints.times[-offset:] - joints.times[:offset]
        share = np.exp(-0.5 * (apart / deviation) ** 2)[:, None]
        share = np.where(apart[:, None] <= _REACH * deviation, share, 0.0)
        for to, source in (
            (slice(-offset, None), slice(None, offset)),
            (slice(None, offset), slice(-offset, None)),
        ):
            total[to] += share * filled[source]
            weight[to] += share * known[source]
    total, weight = total + filled, weight + known
    places = np.where(known, total / np.maximum(weight, 1e-12), np.nan)
    return replace(joints, joints=places.reshape(joints.joints.shape))


def _most_frames(times: np.ndarray, reach: float) -> int:
    """How many frames follow one within ``reach`` seconds, at most."""
    return int((np.searchsorted(times, times + reach, 'right') - np.arange(len(times))).max()) - 1
