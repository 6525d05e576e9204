"""Which frames of a video are looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """A place in a video, by the number of a frame or by its time."""

    value: float
    seconds: bool = False
    """Whether ``value`` is in seconds, and not the 0-based number of a frame."""

    @classmethod
    def parse(cls, text: str) -> Moment:
        """Out of ``'250'``, a frame, or ``'10s'``, ``'2.5s'``, seconds.

        Raises:
            ValueError: it is neither.
        """
        number = text.strip()
        seconds = number.endswith('s')
        try:
            value = float(number[:-1]) if seconds else int(number)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(
                'must be the number of a frame, such as 250, or seconds, such as '
                f'10s or 2.5s, got {text!r}'
            )
        return cls(value, seconds)

    def reached(self, index: int, time: float) -> bool:
        """Whether a frame with this number and time lies here, or after."""
        return (time if self.seconds else index) >= self.value


@dataclass(frozen=True)
class Part:
    """Every ``stride``-th frame from ``start`` on, up to and without ``end``.

    Raises:
        ValueError: the stride is no whole number above 0.
    """

    start: Moment = Moment(0)
    end: Moment | None = None
    stride: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.stride, int) or self.stride < 1:
            raise ValueError(f'stride must be a whole number of at least 1, got {self.stride!r}')


WHOLE = Part()


class Picker:
    """Tells, frame after frame, which belong to a part."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self._first: int | None = None

    def over(self, index: int, time: float) -> bool:
        """Whether this frame, and so all that follow, come after the part."""
        return self.part.end is not None and self.part.end.reached(index, time)

    def wants(self, index: int, time: float) -> bool:
        """Whether this frame belongs to it."""
        if self._first is None and self.part.start.reached(index, time):
            self._first = index
        return self._first is not None and (index - self._first) % self.part.stride == 0
