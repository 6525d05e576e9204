"""Frames of files that need not be looked at, as everybody moves calmly between two others.

While all are followed, most of their joints sure, and none goes far, the next frames are left to
those around them: joints lie on the straight line from the last frame that is looked at to the next
one, ``state`` is ``between``. Smoothing, which knows more frames, puts them better
(:mod:`.kernel_smoother`). Where somebody was unsure or fast in one of the last three frames that
were looked at, the next is looked at, too. (DeciWatch, Zeng et al. 2022,
https://arxiv.org/abs/2203.08713, looks at every tenth frame, fast or not.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from rpstn.pose.streaming.ahead import SOON
from rpstn.results import FrameResult, PersonResult
from rpstn.video.frames import Frame

FAR = 0.045
"""Of a person's size: how far joints may go from one frame that is looked at to the next."""
LONG = 0.105
"""Seconds from one to the next, at most."""
MOST = 8
"""Frames from one to the next, at most."""
BYTES = 1 << 28
"""Of their images, at most."""
KNOWN = 3
"""Frames that must have been looked at, of which the fastest motion counts: whoever turns back is
slow for a moment."""
FAST = 0.9
"""Share of a person's sure joints that are no faster than what counts as their speed."""
SURE = 0.8
"""Share of a person's joints that must be sure."""
ELSEWHERE = 0.25
"""Of a person's size: whose joints have come further was not on the way there, but is another, or
was followed wrongly. (In ``LONG`` seconds; nobody runs two sizes a second.)"""


def followed(
    frames: Iterator[Frame],
    step: Callable[[Frame, np.ndarray | None], FrameResult],
    calm: Callable[[Sequence[FrameResult]], float] = lambda results: 0.0,
) -> Iterator[FrameResult]:
    """The results of all frames, in order, each answered while the next is looked at ahead.

    Args:
        frames: of one video, forwards or backwards. What is raised for a frame is raised behind
            the results of those before it.
        step: answers a frame, and is told the image that is looked at next, if it comes within
            ``SOON`` seconds. What it raises is raised at once.
        calm: for how many seconds frames may be left out, by what was answered of the last
            ``KNOWN`` frames that were looked at, or fewer, without their images. Defaults to none.
    """
    coming = _Coming(frames)
    results = deque[FrameResult](maxlen=KNOWN)
    between: list[Frame] = []
    _, frame = coming.next_after(None, 0.0)
    while frame is not None:
        # Chosen by what is known before this frame is answered, so that the next can be encoded.
        spared, following = coming.next_after(frame, calm(results))
        soon = following is not None and _apart(frame, following) <= SOON
        result = step(frame, following.image if following is not None and soon else None)
        for other in between:
            yield in_between(other, results[-1], result)
        yield result
        results.append(replace(result, image=None))  # which is let go
        frame, between = following, spared
    if coming.broken is not None:
        raise coming.broken


class _Coming:
    """A video's frames that were taken, and not given out yet."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        self.broken: Exception | None = None
        self._frames, self._ended = frames, False
        self._waiting: deque[Frame] = deque()

    def next_after(self, frame: Frame | None, reach: float) -> tuple[list[Frame], Frame | None]:
        """The last frame within so many seconds of one, or else the next, and all before it."""
        waiting = self._waiting
        most = MOST if frame is None else max(1, min(MOST, BYTES // max(frame.image.nbytes, 1)))

        def within(other: Frame) -> bool:
            return frame is not None and reach > 0 and _apart(frame, other) <= reach

        while not self._ended and len(waiting) < most and (not waiting or within(waiting[-1])):
            self._take()
        before: list[Frame] = []
        while len(waiting) > 1 and within(waiting[1]):
            before.append(waiting.popleft())
        return before, waiting.popleft() if waiting else None

    def _take(self) -> None:
        try:
            self._waiting.append(next(self._frames))
        except StopIteration:
            self._ended = True
        except Exception as error:
            self.broken, self._ended = error, True


def _apart(a: Frame, b: Frame) -> float:
    """Seconds."""
    return abs(a.time - b.time)


def calm_seconds(results: Sequence[FrameResult], sure: float) -> float:
    """For how long nobody's joints go far, at most ``LONG``; 0 where that is not to be told.

    Args:
        results: of the last frames that were looked at.
        sure: score from which a joint is sure.
    """
    if len(results) < KNOWN:
        return 0.0
    fastest = max(_speed(earlier, later, sure) for earlier, later in pairwise(results))
    return 0.0 if fastest == np.inf else min(LONG, FAR / max(fastest, FAR / LONG))


def _speed(earlier: FrameResult, later: FrameResult, sure: float) -> float:
    """The fastest person's, in sizes a second; infinite where it is not to be told."""
    before = {person.id: person for person in earlier.people}
    seconds = abs(later.time - earlier.time)
    if not (seconds > 0 and later.people and len(later.people) == len(before)):
        return np.inf
    fastest = 0.0
    for person in later.people:
        last = before.get(person.id)
        if last is None or person.state != 'tracked':
            return np.inf
        known = (person.scores >= sure) & (last.scores >= sure)
        if known.mean() < SURE:
            return np.inf
        ways = np.linalg.norm(person.keypoints - last.keypoints, axis=1)[known]
        fastest = max(fastest, float(np.quantile(ways, FAST)) / person.size / seconds)
    return fastest


def in_between(frame: Frame, earlier: FrameResult, later: FrameResult) -> FrameResult:
    """What is answered of a frame by those before and after it, which were looked at.

    Who is not followed to the later, or is found elsewhere there, stays where they were.
    """
    whole = later.time - earlier.time
    share = float(np.clip((frame.time - earlier.time) / whole, 0, 1)) if whole else 0.0
    after = {person.id: person for person in later.people if person.state == 'tracked'}
    people = tuple(
        _on_the_way(person, after.get(person.id, person), share) for person in earlier.people
    )
    return replace(earlier, index=frame.index, time=frame.time, people=people, image=frame.image)


def _on_the_way(before: PersonResult, after: PersonResult, share: float) -> PersonResult:
    way = np.median(np.linalg.norm(after.keypoints - before.keypoints, axis=1))
    if way > ELSEWHERE * before.size:
        after = before

    def mixed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a + share * (b - a)).astype(a.dtype)

    turn = (after.rotation - before.rotation + 180) % 360 - 180
    return replace(
        before,
        state='between',
        box=mixed(before.box, after.box),
        keypoints=mixed(before.keypoints, after.keypoints),
        scores=mixed(before.scores, after.scores),
        rotation=before.rotation + share * turn,
        world=None
        if before.world is None or after.world is None
        else mixed(before.world, after.world),
    )
