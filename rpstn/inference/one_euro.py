"""One-euro filter: little lag where joints move fast, little jitter where they stand still.

Casiez, Roussel, Vogel, "1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in
Interactive Systems", CHI 2012. https://doi.org/10.1145/2207676.2208639

    filtered:    x^_i  = a x_i + (1 - a) x^_{i-1}                          (equation 1)
    smoothing:   a     = 1 / (1 + tau / Te),  tau = 1 / (2 pi fc)          (equations 4 and 5)
    cut-off:     fc    = min_cutoff + beta |dx^_i|                         (equation 6)

where Te is the time since the last frame, and dx^_i the derivative (x_i - x^_{i-1}) / Te, itself
filtered so with the fixed cut-off ``derivative_cutoff``. Only the past is used.

Shapes: K joints.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from rpstn.errors import SettingError
from rpstn.results import FrameResult


class OneEuroFilter:
    """The filter of one person's joints, each coordinate for itself.

    The derivative is measured in sizes of the person per second, so that the same ``beta`` serves
    near and far people, and videos of any resolution.

    Args:
        min_cutoff: Hz, of a joint at rest; lower removes more jitter.
        beta: Hz for each size of the person per second; higher lags less.
        derivative_cutoff: Hz.

    Raises:
        SettingError: a frequency is not above 0, or beta below 0.
    """

    def __init__(
        self, min_cutoff: float = 2.0, beta: float = 10.0, derivative_cutoff: float = 1.0
    ) -> None:
        for name, value in (('min_cutoff', min_cutoff), ('derivative_cutoff', derivative_cutoff)):
            if not (math.isfinite(value) and value > 0):
                raise SettingError(f'one-euro filter: {name} must be above 0 Hz, got {value}')
        if not (math.isfinite(beta) and beta >= 0):
            raise SettingError(f'one-euro filter: beta must be 0 or more, got {beta}')
        self.min_cutoff = min_cutoff
        self.beta = beta
        self.derivative_cutoff = derivative_cutoff
        self._time: float | None = None
        self._points = self._speed = np.empty(0)

    @property
    def settings(self) -> dict[str, float]:
        """What it was made by."""
        return {name: getattr(self, name) for name in ('min_cutoff', 'beta', 'derivative_cutoff')}

    def __call__(self, points: np.ndarray, time: float, size: float = 1.0) -> np.ndarray:
        """The next filtered points.

        Args:
            points: (K, 2).
            time: seconds; above that of the call before.
            size: the person's, in the unit of the points.

        Raises:
            SettingError: time does not go on.
        """
        points = np.asarray(points, np.float64)
        if self._time is None:
            self._time, self._points, self._speed = time, points, np.zeros_like(points)
            return points
        elapsed = time - self._time
        if not elapsed > 0:
            raise SettingError(f'one-euro filter: time must go on, got {time} after {self._time}')
        speed = (points - self._points) / elapsed / max(size, 1e-9)
        rate = _smoothing(self.derivative_cutoff, elapsed)
        self._speed = rate * speed + (1 - rate) * self._speed
        rate = _smoothing(self.min_cutoff + self.beta * np.abs(self._speed), elapsed)
        self._points = rate * points + (1 - rate) * self._points
        self._time = time
        return self._points


def _smoothing(cutoff: float | np.ndarray, elapsed: float) -> float | np.ndarray:
    """Equations 4 and 5."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * elapsed))


class OneEuroSmoother:
    """Filters the joints of everybody in a stream, each person by a filter of their own.

    Someone who was lost, or not there for longer than ``patience``, or is found elsewhere, further
    away than the own box is large, starts anew, with the unfiltered joints: the filter would drag
    them in from where they were.

    Args:
        patience: seconds.
        **kwargs: of :class:`OneEuroFilter`.
    """

    def __init__(self, patience: float = 0.5, **kwargs: float) -> None:
        OneEuroFilter(**kwargs)  # refuses settings that cannot be before the first frame
        self.patience = patience
        self.kwargs = kwargs
        self._filters: dict[int, tuple[float, np.ndarray, OneEuroFilter]] = {}

    def __call__(self, result: FrameResult) -> FrameResult:
        """The same frame with smoothed joints; boxes and scores stay."""
        people = []
        for person in result.people:
            nobody = -math.inf, person.keypoints, None
            seen, last, smooth = self._filters.pop(person.id, nobody)
            if person.state == 'lost':
                people.append(person)
                continue
            size = person.size
            way = np.median(np.linalg.norm(person.keypoints - last, axis=1))
            if smooth is None or result.time - seen > self.patience or way > size:
                smooth = OneEuroFilter(**self.kwargs)
            self._filters[person.id] = (result.time, person.keypoints, smooth)
            joints = smooth(person.keypoints, result.time, size).astype(person.keypoints.dtype)
            people.append(dataclasses.replace(person, keypoints=joints))
        # Who has left is forgotten: a stream of hours sees many.
        self._filters = {
            number: kept
            for number, kept in self._filters.items()
            if result.time - kept[0] <= self.patience
        }
        return dataclasses.replace(result, people=tuple(people))
