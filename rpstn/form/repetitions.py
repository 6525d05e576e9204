"""Repetitions of an exercise, from one angle over time: where each starts, turns and ends.

The angle is one that is small at rest and large at the turning point: flexion of the knees in a
squat, of the elbows in a push-up, elevation of the arms in a press.

Shape letter: T frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from rpstn.errors import SettingError

# What is without the angle is bridged for so many seconds, or frames, of which a busy machine sees
# few; longer gaps end what goes on.
_GAP, _FRAMES = 0.5, 2.5
_MEDIAN, _SMOOTH = 0.2, 0.08  # seconds: window of the median, sigma of the Gaussian behind it
_EDGE, _STILL = 0.1, 0.1  # shares of the way and of the top speed at which a phase begins or ends
_RETURN = 0.5  # share of the angle from which a movement back is a return


@dataclass(frozen=True)
class Counting:
    """What is counted as a repetition; degrees of the counting angle, and seconds.

    Attributes:
        rest: a whole repetition starts and ends at or below.
        least: what turns below is no repetition at all.
        whole: what turns below, but not below ``least``, is a partial repetition.
        swing: the hysteresis: movements back and forth of less do not count.
        min_seconds, max_seconds: from start to end; quicker and slower ones are none.

    Raises:
        SettingError: the levels do not rise, or the seconds.
    """

    rest: float
    least: float
    whole: float
    swing: float
    min_seconds: float = 0.5
    max_seconds: float = 20.0

    def __post_init__(self) -> None:
        if not (0 < self.swing <= self.least <= self.whole):
            raise SettingError(
                'counting needs 0 < swing <= least <= whole, got '
                f'{self.swing}, {self.least} and {self.whole}'
            )
        if not 0 < self.min_seconds < self.max_seconds:
            raise SettingError(
                'counting needs 0 < min_seconds < max_seconds, got '
                f'{self.min_seconds} and {self.max_seconds}'
            )


@dataclass(frozen=True)
class Repetition:
    """One repetition: frames ``start`` to ``end``, both included, turning at ``bottom``.

    Attributes:
        start: the last frame at rest before it.
        bottom: the frame of the largest angle.
        end: the first frame at rest after it, before the ``start`` of the next.
        partial: not a whole one, see ``reason``.
        down, pause, up: seconds until the turning point is reached, near it, and back.
        reason: why it is partial, in numbers; empty for a whole one.
    """

    start: int
    bottom: int
    end: int
    partial: bool
    down: float
    pause: float
    up: float
    reason: str = ''


def find_repetitions(angle: np.ndarray, times: np.ndarray, counting: Counting) -> list[Repetition]:
    """The repetitions in an angle over time, in order and apart from each other.

    The angle, freed of noise by a median and a Gaussian over time, is followed from turning point
    to turning point, where only swings of ``counting.swing`` count. Each way up and back is a
    repetition if it turns at ``counting.least`` or above. Before the first rest nothing counts:
    the person is getting into position. What the recording cuts off at its start or end is left
    out, and so is what a longer gap interrupts.

    Args:
        angle: (T,) degrees; NaN where it is not known or the person is not in position.
        times: (T,) seconds, rising.

    Raises:
        SettingError: shapes differ, or times do not rise.
    """
    angle, times = np.asarray(angle, float), np.asarray(times, float)
    if angle.ndim != 1 or angle.shape != times.shape:
        raise SettingError(
            f'angle and times must both be of shape (T,), got {angle.shape} and {times.shape}'
        )
    if not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
        raise SettingError('times must be finite and rise from frame to frame')
    found: list[Repetition] = []
    for begin, stop in _pieces(angle, times):
        piece = slice(begin, stop)
        for repetition in _find(_clean(angle[piece], times[piece]), times[piece], counting):
            found.append(_shifted(repetition, begin))
    return found


def _pieces(angle: np.ndarray, times: np.ndarray) -> list[tuple[int, int]]:
    """Runs of frames [begin, stop) in which no two known angles are more than a gap apart."""
    known = np.flatnonzero(np.isfinite(angle))
    if len(known) < 2:
        return []
    gap = max(_GAP, _FRAMES * float(np.median(np.diff(times))))
    cuts = np.flatnonzero(np.diff(times[known]) > gap)
    begins, ends = known[np.r_[0, cuts + 1]], known[np.r_[cuts, len(known) - 1]]
    return [(int(begin), int(end) + 1) for begin, end in zip(begins, ends) if end - begin >= 2]


def _clean(angle: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Without gaps and noise."""
    known = np.isfinite(angle)
    angle = np.interp(times, times[known], angle[known])
    step = float(np.median(np.diff(times)))
    window = 2 * int(round(_MEDIAN / step / 2)) + 1
    return gaussian_filter1d(
        median_filter(angle, window, mode='nearest'), _SMOOTH / step, mode='nearest'
    )


def _turning_points(angle: np.ndarray, swing: float) -> tuple[list[int], bool]:
    """Frames of alternating extremes between which the angle moves by at least ``swing``, and
    whether the first is a low one. The first and the last may lie at the ends."""
    points: list[int] = []
    low = high = 0
    rising: bool | None = None
    first_low = True
    for frame, value in enumerate(angle):
        if value > angle[high]:
            high = frame
        if value <= angle[low]:
            low = frame
        if rising is not True and value - angle[low] >= swing:
            first_low = first_low if points else True
            points.append(low)
            rising, high = True, frame
        elif rising is not False and angle[high] - value >= swing:
            first_low = first_low if points else False
            points.append(high)
            rising, low = False, frame
    if rising is not None:
        points.append(high if rising else low)
    return points, first_low


def _find(angle: np.ndarray, times: np.ndarray, counting: Counting) -> list[Repetition]:
    points, first_low = _turning_points(angle, counting.swing)
    found: list[Repetition] = []
    rested = False
    lows, highs = points[not first_low :: 2], points[first_low::2][not first_low :]
    lows, highs = _without_wobbles(angle, lows, highs, counting.rest)
    for before, bottom, after in zip(lows, highs, lows[1:]):
        rested = rested or bool(angle[before] <= counting.rest)
        if not rested or angle[bottom] < counting.least:
            continue
        start, down = _phase(angle, times, before, bottom)
        # The way back is a way there, looked at from the end.
        end, up = (
            len(angle) - 1 - frame
            for frame in _phase(
                angle[::-1], -times[::-1], len(angle) - 1 - after, len(angle) - 1 - bottom
            )
        )
        if found and start <= found[-1].end:  # few frames a second, no rest between the two
            start = found[-1].end + 1
        if not counting.min_seconds <= times[end] - times[start] <= counting.max_seconds:
            continue
        reason = _shortfall(angle[before], angle[bottom], angle[after], counting)
        found.append(
            Repetition(
                start,
                bottom,
                end,
                bool(reason),
                float(times[down] - times[start]),
                float(times[up] - times[down]),
                float(times[end] - times[up]),
                reason,
            )
        )
    return found


def _without_wobbles(
    angle: np.ndarray, lows: list[int], highs: list[int], rest: float
) -> tuple[list[int], list[int]]:
    """Low and high points without the lows between two highs that are no return.

    A return comes to rest, or at least half of the way back: whoever stops on the way up, or is
    lost by the camera for a moment, has not finished.
    """
    kept_lows, kept_highs = lows[:1], highs[:1]
    for low, high in zip(lows[1:], highs[1:]):
        before = kept_highs[-1]
        if angle[low] <= max(rest, _RETURN * min(angle[before], angle[high])):
            kept_lows.append(low)
            kept_highs.append(high)
        elif angle[high] > angle[before]:
            kept_highs[-1] = high
    return kept_lows + lows[len(highs) :], kept_highs


def _phase(angle: np.ndarray, times: np.ndarray, low: int, high: int) -> tuple[int, int]:
    """The frames at which the movement from ``low`` up to ``high`` starts and has arrived.

    From a tenth of the way outward, and from nine tenths on, for as long as the angle changes at
    a tenth of its top speed, so that a stop in the middle does not count as either.
    """
    way = angle[low : high + 1]
    speed = np.gradient(way, times[low : high + 1])
    still = speed < _STILL * speed.max()
    reached = (way - way[0]) / (way[-1] - way[0])
    start = int(np.flatnonzero(reached <= _EDGE)[-1])
    while start > 0 and not still[start]:
        start -= 1
    arrived = int(np.flatnonzero(reached >= 1 - _EDGE)[0])
    while arrived < len(way) - 1 and not still[arrived]:
        arrived += 1
    return low + start, low + arrived


def _shortfall(before: float, bottom: float, after: float, counting: Counting) -> str:
    if bottom < counting.whole:
        return f'turned at {bottom:.0f} degrees (whole: {counting.whole:.0f} or more)'
    for moment, value in (('started', before), ('ended', after)):
        if value > counting.rest:
            return f'{moment} at {value:.0f} degrees (at rest: {counting.rest:.0f} or less)'
    return ''


def _shifted(repetition: Repetition, frames: int) -> Repetition:
    return replace(
        repetition,
        start=repetition.start + frames,
        bottom=repetition.bottom + frames,
        end=repetition.end + frames,
    )
