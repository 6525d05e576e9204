"""One sequence of joints as a file gives it, before it is brought to a skeleton.

T frames, V joints of the file, D = 2 or 3 coordinates.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from ..sequence import BadSkeletonError

# A file of n frames may span this many: more, and the frame column holds something else.
_GAPS, _SPAN = 100, 10_000


@dataclass(frozen=True)
class JointSequence:
    """Joints of one person in consecutive frames."""

    path: str
    """File or folder, for error messages."""
    keypoints: np.ndarray
    """(T, V, D) float32 in the file's units, NaN where a joint is missing."""
    scores: np.ndarray | None = None
    """(T, V) float32, NaN where there is none; None if the file has no scores."""
    joints: tuple[str, ...] | None = None
    """V names, or None if the file does not name its joints."""
    fps: float | None = None
    image_size: tuple[int, int] | None = None
    """(width, height) in pixels."""
    unread: tuple[str, ...] = ()
    """Columns of the file that nothing here reads."""

    def check(self) -> JointSequence:
        """Itself, unless nothing could be made of it.

        Raises:
            BadSkeletonError: wrong shape, no joint in any frame, no number of frames per second.
        """
        shape = np.shape(self.keypoints)
        if len(shape) != 3 or shape[2] not in (2, 3) or 0 in shape:
            raise BadSkeletonError(
                f'{self.path}: keypoints must be (T, V, 2) or (T, V, 3) with at '
                f'least one frame and joint, got shape {shape}'
            )
        if np.isinf(self.keypoints).any():
            frame, joint = np.argwhere(np.isinf(self.keypoints).any(axis=2))[0]
            raise BadSkeletonError(
                f'{self.path}: frame {frame}: joint {joint} must be finite, or NaN where missing, '
                f'got {self.keypoints[frame, joint].tolist()}'
            )
        if np.isnan(self.keypoints).any(axis=2).all():
            raise BadSkeletonError(
                f'{self.path}: no joint has all its coordinates in any of {shape[0]} frames'
            )
        if self.fps is not None and not (math.isfinite(self.fps) and 0 < self.fps <= 1000):
            raise BadSkeletonError(
                f'{self.path}: fps must be above 0 and at most 1000, got {self.fps}'
            )
        if self.joints is not None and (len(self.joints), len(set(self.joints))) != shape[1:2] * 2:
            raise BadSkeletonError(
                f'{self.path}: joints must be {shape[1]} different names, as '
                f'many as keypoints has, got {", ".join(self.joints)}'
            )
        return self


def joint_name(text: str) -> str:
    """``'Left Shoulder'``, ``'left-shoulder'``, ``'SHOULDER_LEFT'`` -> ``'left_shoulder'``."""
    name = '_'.join(text.strip().lower().replace('-', ' ').split())
    part, _, side = name.rpartition('_')
    return f'{side}_{part}' if part and side in ('left', 'right') else name


class SequenceBuilder:
    """Collects joints in any order, and lays them out by frame, person and joint.

    Args:
        path: of the file, for error messages.
        first_frame: the frame number that row 0 of the result stands for; None takes the file's
            smallest.
        person: whose joints to keep, where the file has several people: an identity as the file
            has it, or ``'most'`` for who has the most joints. None: there must be just one.
        min_score: a joint whose score is not above it is missing.
    """

    def __init__(
        self,
        path: str,
        first_frame: int | None = None,
        person: str | None = None,
        min_score: float = 0.0,
    ) -> None:
        self.path = path
        self.first_frame, self.person, self.min_score = first_frame, person, min_score
        self.joints: dict[str | int, int] = {}
        self._frames: dict[int, float | None] = {}
        self._points: dict[tuple[str, int, int], tuple[Sequence[float], float]] = {}
        self._dim = 0

    def refuse(self, where: str, field: str, allowed: str, found: object) -> NoReturn:
        """End with one line on what is wrong.

        Raises:
            BadSkeletonError: always.
        """
        raise BadSkeletonError(f'{self.path}: {where}: {field} must be {allowed}, got {found}')

    def mark(self, frame: int, where: str, time: float | None = None) -> None:
        """There is a frame of this number, seen at ``time`` seconds, even if nobody is in it."""
        if frame < (self.first_frame or 0):
            self.refuse(where, 'frame', f'{self.first_frame or 0} or more', frame)
        if time is not None and not math.isfinite(time):
            time = None
        if time is None and frame in self._frames:
            return
        self._frames[frame] = time

    def add_missing(self, joint: str | int) -> None:
        """The file has this joint, though not in this frame."""
        self.joints.setdefault(joint, len(self.joints))

    def add(
        self,
        frame: int,
        person: str,
        joint: str | int,
        point: Sequence[float],
        score: float,
        where: str,
    ) -> None:
        """One joint of one person in a frame that was marked before.

        Args:
            joint: its name, or its index in a file without names.
            point: D coordinates, any of them NaN where the joint is missing.
            score: NaN if the file gives none.
            where: what to call the place in the file, e.g. ``'line 12'``.
        """
        index = self.joints.setdefault(joint, len(self.joints))
        if len(point) not in (2, 3) or len(point) != (self._dim or len(point)):
            self.refuse(
                where,
                f'joint {joint!r}',
                f'{self._dim or "2 or 3"} coordinates, as many in all of the file',
                len(point),
            )
        self._dim = len(point)
        if any(map(math.isinf, point)) or math.isinf(score):
            self.refuse(
                where,
                f'joint {joint!r}',
                'finite, or NaN where missing',
                f'{list(point)} with score {score}',
            )
        key = person, frame, index
        if key in self._points:
            self.refuse(
                where, f'joint {joint!r} of frame {frame}', 'given once', 'it a second time'
            )
        self._points[key] = point, score

    def build(
        self,
        fps: float | None = None,
        image_size: tuple[int, int] | None = None,
        unread: Sequence[str] = (),
    ) -> JointSequence:
        """All that was collected.

        Args:
            fps: where None, it follows from the times of the frames.
        """
        if not self._frames or not self._points:
            raise BadSkeletonError(f'{self.path}: no joints in it')
        person = self._choose()
        first = min(self._frames) if self.first_frame is None else self.first_frame
        length = max(self._frames) - first + 1
        if length > _SPAN + _GAPS * len(self._frames):
            self.refuse(
                'all of it',
                'frame',
                'the number of a frame',
                f'numbers from {first} to {max(self._frames)} for {len(self._frames)} frames',
            )
        keypoints = np.full((length, len(self.joints), self._dim), np.nan, np.float32)
        scores = np.full(keypoints.shape[:2], np.nan, np.float32)
        for (who, frame, joint), (point, score) in self._points.items():
            if who == person:
                keypoints[frame - first, joint] = point
                scores[frame - first, joint] = score
        # A joint with half its coordinates is no place; with a score of 0, tools write (0, 0).
        keypoints[np.isnan(keypoints).any(axis=2) | (scores <= self.min_score)] = np.nan
        return JointSequence(
            self.path,
            keypoints,
            None if np.isnan(scores).all() else scores,
            self._names(),
            fps if fps is not None else self._fps(),
            image_size,
            tuple(unread),
        ).check()

    def _choose(self) -> str:
        joints = Counter()
        for (who, _, _), (point, score) in self._points.items():
            joints[who] += not (any(map(math.isnan, point)) or score <= self.min_score)
        if self.person == 'most' or (self.person is None and len(joints) == 1):
            return joints.most_common(1)[0][0]
        found = ', '.join(sorted(joints))
        if self.person is None:
            self.refuse(
                'all of it',
                'person',
                "chosen ('most', or one of them) where there are several",
                found,
            )
        if self.person not in joints:
            self.refuse('all of it', 'person', f'one of {found}', self.person)
        return self.person

    def _names(self) -> tuple[str, ...] | None:
        names = tuple(j for j in self.joints if isinstance(j, str))
        if names and len(names) < len(self.joints):
            self.refuse(
                'all of it',
                'joints',
                'named in every frame or in none',
                f'{", ".join(names[:3])} ... and joints without names',
            )
        return names or None

    def _fps(self) -> float | None:
        timed = sorted((f, t) for f, t in self._frames.items() if t is not None)
        if len(timed) < 2:
            return None
        for (frame, time), (after, later) in zip(timed, timed[1:]):
            if later <= time:
                self.refuse(
                    f'frame {after}',
                    'time',
                    f'more than the {time:g} s of frame {frame}',
                    f'{later:g} s',
                )
        (frame, time), (last, end) = timed[0], timed[-1]
        return (last - frame) / (end - time)
