"""Joints of files smoothed by the frames before and after.

Each joint becomes a mean of what it was in the frames about it, by weights that say how near a
frame is, how sure the joint was there, and how far from the mean it lay:

    y_i  = sum_j w_ij r_ij x_j / sum_j w_ij r_ij
    w_ij = s_j^2 exp(-(t_j - t_i)^2 / (2 sigma_i^2)),   sigma_i = NARROW + (WIDE - NARROW) (1 - s_i)
    r_ij = 1 / (1 + (|x_j - y_i| / (FAR size))^2)

with times t, scores s and joints x. The means of weights w alone are those of Nadaraya and Watson
(1964); the weights r, which make wild joints count for little, are Cauchy's, reweighted twice as in
robust regression (Holland, Welsch 1977, https://doi.org/10.1080/03610927708827533). A joint that
is unsure, as one that something hides, is so told from those before and after it; one that is sure
hardly moves, and does not lag, as behind a filter that looks back only.

Shapes: N frames, K joints.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from rpstn.results import FrameResult, PersonResult

NARROW, WIDE = 0.04, 0.16
"""Seconds, sigma of joints of score 1 and 0."""
FAR = 0.06
"""Of the person's size, from the mean: a joint that lies so far away counts half."""
LEAST = 1e-3
"""Score that joints have at least."""
REACH = 1 / 3
"""Seconds, from frame to frame, that are looked at."""
BYTES, FRAMES = 1 << 28, 256
"""Of images that wait for frames after them, and number of frames, at most."""


def smoothed_joints(
    times: np.ndarray, keypoints: np.ndarray, scores: np.ndarray, at: int, size: float
) -> np.ndarray:
    """The joints (K, 2) of one of N frames, by the formulas above.

    Args:
        times: (N,) seconds.
        keypoints: (N, K, 2) pixels.
        scores: (N, K).
        at: number of that frame.
        size: the person's, pixels.
    """
    sure = np.clip(scores, LEAST, 1)
    sigma = NARROW + (WIDE - NARROW) * (1 - sure[at])
    near = np.exp(-0.5 * ((times - times[at])[:, None] / sigma) ** 2) * sure**2
    mean = _mean(near, keypoints)
    for _ in range(2):
        apart = keypoints - mean
        far = (apart * apart).sum(axis=-1) / (FAR * size) ** 2
        mean = _mean(near / (1 + far), keypoints)
    return mean


def _mean(weights: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    total = np.einsum('nk,nkc->kc', weights, keypoints)
    return total / weights.sum(axis=0)[:, None]


class KernelSmoother:
    """Smooths everybody's joints in a file, each person's for themselves; boxes and scores stay.

    A frame is given out once those of the next third of a second are known. Who is found
    elsewhere, further away than the own box is large, starts anew there.
    """

    def __init__(self) -> None:
        self._waiting: deque[FrameResult] = deque()
        self._tracks: defaultdict[int, list[_Seen]] = defaultdict(list)

    def __call__(self, results: Iterable[FrameResult]) -> Iterator[FrameResult]:
        """The same frames with smoothed joints, in order."""
        for result in results:
            self._waiting.append(result)
            for person in result.people:
                self._see(person, result.time)
            while self._is_ready(result.time):
                yield self._next()
        while self._waiting:
            yield self._next()

    def _see(self, person: PersonResult, time: float) -> None:
        track = self._tracks[person.id]
        span = 0
        if track:
            way = np.linalg.norm(person.keypoints - track[-1].person.keypoints, axis=1)
            span = track[-1].span + int(np.median(way) > _size(person))
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
        (own,) = (seen for seen in track if seen.person is person)
        near = [s for s in track if s.span == own.span and abs(s.time - time) <= REACH]
        joints = smoothed_joints(
            np.array([seen.time for seen in near]),
            np.stack([seen.person.keypoints for seen in near]),
            np.stack([seen.person.scores for seen in near]),
            near.index(own),
            _size(person),
        )
        return replace(person, keypoints=joints.astype(person.keypoints.dtype))


@dataclass(frozen=True, eq=False)
class _Seen:
    """A person in a frame."""

    time: float
    person: PersonResult
    span: int
    """Counts how often the person was found elsewhere."""


def _size(person: PersonResult) -> float:
    return max(float(np.max(person.box[2:] - person.box[:2])), 1e-9)
