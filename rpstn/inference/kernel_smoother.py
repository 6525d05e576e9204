"""Joints of files smoothed by the frames before and after.

About each frame a parabola of time is fitted to each joint's places, and the joint put where it
passes: local regression (LOESS: Cleveland, Devlin 1988, https://doi.org/10.2307/2289282). The
weights say how near a frame is, how sure the joint was there, and how far from the parabola it lay:

    y_i    = b_0,  b = argmin_b sum_j w_ij r_ij |x_j - p(u_ij)|^2 + RIDGE (|b_1|^2 + |b_2|^2)
    p(u)   = b_0 + b_1 u + b_2 u^2,  u_ij = (t_j - t_i) / REACH
    w_ij   = s_j^2 (g(u_ij) - g(1)),  g(u) = exp(-(REACH u / sigma_i)^2 / 2)
    sigma_i = NARROW + (WIDE - NARROW) (1 - s_i)
    r_ij   = 1 / (1 + (|x_j - p(u_ij)| / (FAR size))^2)

with times t, scores s and joints x. The weights r, which make wild joints count for little, are
Cauchy's, found anew twice from 1 on (Holland, Welsch 1977,
https://doi.org/10.1080/03610927708827533). Frames that were not looked at (:mod:`.sparing`) do not
count for others. A joint that is unsure, as one that something hides, is
so told from those before and after it; one that is sure moves little, and does not lag, as behind a
filter that looks back only.

Shapes: N frames, K joints.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from rpstn.errors import SettingError
from rpstn.results import FrameResult, PersonResult

NARROW = 0.05
"""Seconds, sigma of joints of score 1."""
WIDE = 0.235
"""Seconds, sigma of joints of score 0."""
REACH = 0.4
"""Seconds, from frame to frame, that are looked at."""
FAR = 0.06
"""Of the person's size: a joint that lies so far away counts half."""
RIDGE = 0.005
"""Weight, of joints' at most 1, against motion where hardly anything is sure."""
LEAST = 1e-3
"""Score that joints have at least."""
BYTES = 1 << 28
"""Of images that wait for frames after them, at most."""
FRAMES = 256
"""That wait, at most."""


def smoothed_joints(
    times: np.ndarray,
    keypoints: np.ndarray,
    scores: np.ndarray,
    time: float,
    score: np.ndarray,
    size: float,
) -> np.ndarray:
    """The joints (K, 2) at a time, by the formulas above, out of N frames.

    Args:
        times: (N,) seconds, no further than ``REACH`` from that time.
        keypoints: (N, K, 2) pixels.
        scores: (N, K).
        time: s, which may be one of theirs or lie between two.
        score: (K,) then.
        size: the person's, pixels.
    """
    sure = np.clip(scores, LEAST, 1)
    way = (times - time) / REACH
    narrow = -0.5 * (REACH / (NARROW + (WIDE - NARROW) * (1 - np.clip(score, LEAST, 1)))) ** 2
    near = (np.exp(narrow * way[:, None] ** 2) - np.exp(narrow)) * sure**2
    powers = way[:, None] ** [0, 1, 2, 3, 4]

    def fitted(weights: np.ndarray) -> np.ndarray:
        """The coefficients b (3, K, 2), by weights (N, K)."""
        s0, s1, s2, s3, s4 = powers.T @ weights
        a, b = s2 + RIDGE, s4 + RIDGE
        # The normal equations by Cramer's rule, as LAPACK wakes threads for such small ones.
        first = a * b - s3 * s3, s2 * s3 - s1 * b, s1 * s3 - s2 * a
        last = s1 * s2 - s0 * s3
        inverse = np.array(
            [first, (first[1], s0 * b - s2 * s2, last), (first[2], last, s0 * a - s1 * s1)]
        ) / (s0 * first[0] + s1 * first[1] + s2 * first[2])
        places = np.einsum('np,nk,nkc->pkc', powers[:, :3], weights, keypoints)
        return np.einsum('pqk,qkc->pkc', inverse, places)

    curve = fitted(near)
    for _ in range(2):
        apart = keypoints - np.einsum('np,pkc->nkc', powers[:, :3], curve)
        curve = fitted(near / (1 + (apart**2).sum(axis=-1) / (FAR * size) ** 2))
    return curve[0]


class KernelSmoother:
    """Smooths everybody's joints in a file, each person's for themselves; boxes and scores stay.

    A frame is given out once those of the next ``REACH`` seconds are known, or as many as memory
    holds. Who is found elsewhere, further away than the own box is large, starts anew there.
    """

    def __init__(self) -> None:
        self._waiting: deque[FrameResult] = deque()
        self._tracks: defaultdict[int, list[_Seen]] = defaultdict(list)

    def __call__(self, results: Iterable[FrameResult]) -> Iterator[FrameResult]:
        """The same frames with smoothed joints, in order; where there is an error, it comes last.

        Raises:
            SettingError: time does not go on.
        """
        last = -math.inf
        coming = iter(results)
        while True:
            try:
                result = next(coming)
                if not result.time > last:
                    raise SettingError(
                        f'smoothing: time must go on, got {result.time} after {last}'
                    )
            except StopIteration:
                break
            except BaseException:
                yield from self._rest()
                raise
            last = result.time
            self._waiting.append(result)
            for person in result.people:
                self._see(person, result.time)
            while self._is_ready(result.time):
                yield self._next()
        yield from self._rest()

    def _rest(self) -> Iterator[FrameResult]:
        while self._waiting:
            yield self._next()

    def _see(self, person: PersonResult, time: float) -> None:
        track = self._tracks[person.id]
        span = 0
        if track:
            way = np.linalg.norm(person.keypoints - track[-1].person.keypoints, axis=1)
            span = track[-1].span + int(np.median(way) > person.size)
        track.append(_Seen(time, person, span))

    def _is_ready(self, now: float) -> bool:
        """Whether the frame that has waited longest waits no more."""
        first, others = self._waiting[0], len(self._waiting) - 1
        size = 0 if first.image is None else first.image.nbytes
        return now - first.time > REACH or others > min(FRAMES, BYTES // max(size, 1))

    def _next(self) -> FrameResult:
        """The frame that has waited longest."""
        result = self._waiting.popleft()
        people = tuple(self._smoothed(person, result.time) for person in result.people)
        for number, track in list(self._tracks.items()):
            track = [seen for seen in track if seen.time >= result.time - REACH]
            if track:
                self._tracks[number] = track
            else:  # who has left is forgotten
                del self._tracks[number]
        return replace(result, people=people)

    def _smoothed(self, person: PersonResult, time: float) -> PersonResult:
        track = self._tracks[person.id]
        (own,) = (seen for seen in track if seen.time == time)
        near = [
            seen
            for seen in track
            if seen.span == own.span
            and abs(seen.time - time) <= REACH
            and seen.person.state != 'between'
        ]
        if not near or near[-1].time < time:  # memory could hold none of those after it
            return person
        joints = smoothed_joints(
            np.array([seen.time for seen in near]),
            np.stack([seen.person.keypoints for seen in near]),
            np.stack([seen.person.scores for seen in near]),
            time,
            person.scores,
            person.size,
        )
        return replace(person, keypoints=joints.astype(person.keypoints.dtype))


@dataclass(frozen=True, eq=False)
class _Seen:
    """A person in a frame."""

    time: float
    person: PersonResult
    span: int
    """Counts how often the person was found elsewhere."""
