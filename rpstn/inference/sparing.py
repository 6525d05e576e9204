"""Frames of files that need not be looked at, as everybody moves calmly between two others.

While all are followed, most of their joints sure, and none goes far, the next frames are left to
those around them: joints lie on the straight line from the last frame that is looked at to the next
one, ``state`` is ``between``. Smoothing, which knows more frames, puts them better
(:mod:`.kernel_smoother`). As soon as somebody is fast or unsure, every frame is looked at.
(DeciWatch, Zeng et al. 2022, https://arxiv.org/abs/2203.08713, looks at every tenth, fast or not.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

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
FAST = 0.9
"""Share of a person's sure joints that are no faster than what counts as their speed."""
SURE = 0.8
"""Share of a person's joints that must be sure."""


def followed(
    frames: Iterator[Frame],
    step: Callable[[Frame, np.ndarray | None], FrameResult],
    spare: float | None = None,
) -> Iterator[FrameResult]:
    """The results of all frames, in order, each answered while the next is looked at ahead.

    Args:
        frames: of one video, forwards or backwards. What is raised for a frame is raised behind
            the results of those before it.
        step: answers a frame, and is told the image that comes next, if within ``SOON`` seconds.
        spare: score from which joints are sure, where frames may be left to those around them.
    """
    coming, broken, ended = deque[Frame](), None, False
    results = deque[FrameResult](maxlen=2)
    between: list[Frame] = []
    frame = next(frames, None)
    while frame is not None:
        # What comes next is chosen by what is known before this frame is answered.
        reach = 0.0
        if spare is not None and len(results) == 2:
            reach = calm_seconds(results[0], results[1], spare)
        while not ended and len(coming) < MOST and _within(reach, frame, coming):
            try:
                coming.append(next(frames))
            except StopIteration:
                ended = True
            except Exception as error:
                broken, ended = error, True
        count = sum(_apart(frame, other) <= reach for other in coming)
        spared = [coming.popleft() for _ in range(min(count, len(coming)) - 1)]
        following = coming.popleft() if coming else None
        soon = following is not None and _apart(frame, following) <= SOON
        result = step(frame, following.image if soon and following else None)
        for other in between:
            yield in_between(other, results[-1], result)
        yield result
        results.append(replace(result, image=None))  # which is let go
        frame, between = following, spared
    if broken is not None:
        raise broken


def _within(reach: float, frame: Frame, coming: deque[Frame]) -> bool:
    return not coming or _apart(frame, coming[-1]) <= reach


def _apart(a: Frame, b: Frame) -> float:
    """Seconds."""
    return abs(a.time - b.time)


def calm_seconds(earlier: FrameResult, later: FrameResult, sure: float) -> float:
    """For how long nobody's joints go far, at most ``LONG``; 0 where that is not to be told.

    Args:
        earlier, later: two frames that were looked at.
        sure: score above which a joint is sure.
    """
    before = {person.id: person for person in earlier.people}
    if not later.people or before.keys() != {person.id for person in later.people}:
        return 0.0
    fastest = 0.0
    for person in later.people:
        if person.state != 'tracked':
            return 0.0
        last = before[person.id]
        known = (person.scores > sure) & (last.scores > sure)
        if known.mean() <= SURE:
            return 0.0
        ways = np.linalg.norm(person.keypoints - last.keypoints, axis=1)[known]
        fastest = max(fastest, float(np.quantile(ways, FAST)) / person.size)
    speed = fastest / abs(later.time - earlier.time)
    return min(LONG, FAR / max(speed, FAR / LONG))


def in_between(frame: Frame, earlier: FrameResult, later: FrameResult) -> FrameResult:
    """What is answered of a frame by those before and after it, which were looked at.

    Who is not followed to the later stays where they were.
    """
    share = (frame.time - earlier.time) / (later.time - earlier.time)
    after = {person.id: person for person in later.people if person.state == 'tracked'}
    people = tuple(
        _on_the_way(person, after.get(person.id, person), share) for person in earlier.people
    )
    return replace(earlier, index=frame.index, time=frame.time, people=people, image=frame.image)


def _on_the_way(before: PersonResult, after: PersonResult, share: float) -> PersonResult:
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
