"""Whether one row of a table is better than another: a paired bootstrap over clips.

Frames of a clip are alike, clips are not, so that whole clips are drawn anew, the same ones for
both rows (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, percentile intervals).

Shapes: V clips, K joints, S samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClipCounts:
    """What PCK is made of, clip by clip.

    Attributes:
        right: (V, K) joints that are right.
        counted: (V, K) joints that count.
    """

    right: np.ndarray
    counted: np.ndarray

    def pck(self, times: np.ndarray) -> np.ndarray:
        """PCK, the mean over joints, of samples in which clips occur so many times.

        Args:
            times: (S, V).

        Returns:
            (S,) fractions; a joint that counts nowhere in a sample is left out of its mean.
        """
        counted = times @ self.counted
        shares = np.divide(
            times @ self.right, counted, out=np.full(counted.shape, np.nan), where=counted > 0
        )
        return np.nanmean(shares, axis=1)


@dataclass(frozen=True)
class Difference:
    """Of two rows' PCK, fractions; ``low`` and ``high`` bound its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether one row is better whichever clips are drawn, but for one time in twenty."""
        return self.low > 0 or self.high < 0


def paired_bootstrap(
    first: Sequence[ClipCounts], second: Sequence[ClipCounts], samples: int = 10000, seed: int = 0
) -> Difference:
    """PCK of the first row less that of the second.

    Args:
        first: the row's runs, of which the mean counts; all of the same clips.
        second: the other row's.
        samples: S.
        seed: of the draws.

    Raises:
        ValueError: the runs are of different numbers of clips.
    """
    numbers = {len(run.counted) for run in (*first, *second)}
    if len(numbers) != 1:
        raise ValueError(f'both rows must be of the same clips, got {sorted(numbers)} clips')
    clips = numbers.pop()
    drawn = np.random.default_rng(seed).multinomial(clips, np.full(clips, 1 / clips), samples)

    def difference(times: np.ndarray) -> np.ndarray:
        of_first, of_second = (
            np.mean([run.pck(times) for run in runs], axis=0) for runs in (first, second)
        )
        return of_first - of_second

    low, high = np.percentile(difference(drawn), [2.5, 97.5])
    return Difference(float(difference(np.ones((1, clips)))[0]), float(low), float(high))
