"""Tempo of repeated movements, with the unevenness of people.

Shape letters: N frames.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Repetitions:
    """Where each frame stands in a row of repetitions.

    Attributes:
        count: (N,) repetitions done so far, the running one included as its share.
        share: (N,) in [0, 1), the share of the running repetition that is over.
        effort: (N,) amplitude of the running repetition, around 1.
    """

    count: np.ndarray
    share: np.ndarray
    effort: np.ndarray

    def depth(self, down: float = 0.5) -> np.ndarray:
        """(N,) 0 at the start, 1 at the turning point, 0 at the end; smooth everywhere.

        Args:
            down: the share of a repetition that its first half takes, in (0, 1).
        """
        warped = np.where(
            self.share < down, 0.5 * self.share / down, 0.5 + 0.5 * (self.share - down) / (1 - down)
        )
        return 0.5 - 0.5 * np.cos(2 * np.pi * warped)


def draw_repetitions(
    rng: np.random.Generator, times: np.ndarray, period: float, variation: float = 0.07
) -> Repetitions:
    """Repetitions of about `period` seconds from a random phase, tempo and amplitude uneven.

    Args:
        times: (N,) seconds, rising from 0.
        variation: standard deviation of tempo and amplitude between repetitions, relative.
    """
    num = int(np.ceil(times[-1] / (0.7 * period))) + 3
    periods = period * np.clip(rng.normal(1, variation, num), 0.75, 1.3)
    efforts = np.clip(rng.normal(1, variation, num), 0.8, 1.15)
    starts = np.concatenate(([0.0], np.cumsum(periods)))
    count = np.interp(times + rng.uniform(0, periods[0]), starts, np.arange(num + 1.0))
    index = np.minimum(count.astype(int), num - 1)
    return Repetitions(count, count - index, efforts[index])


def sway(
    rng: np.random.Generator,
    times: np.ndarray,
    size: float,
    frequencies: tuple[float, float] = (0.15, 0.9),
) -> np.ndarray:
    """(N,) smooth noise of standard deviation `size`: three slow sines of random phase."""
    frequency = rng.uniform(*frequencies, 3)
    phase = rng.uniform(0, 2 * np.pi, 3)
    waves = np.sin(2 * np.pi * frequency * times[:, None] + phase)
    return size * np.sqrt(2 / 3) * waves.sum(1)
