"""One sequence of joints as a file gives it, before it is brought to a skeleton.

T frames, V joints of the file, D = 2 or 3 coordinates.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rpstn.limits import FARTHEST, PIXELS, ROWS, UNPACKED_BYTES, Limit, LimitError

from .joint_people import Person, Points, change_places, choose
from .refusal import BadSkeletonError, refuse

# Where MMPose and Sports2D mean another place by a name than rpstn.skeletons: Halpe's 26 joints,
# which 'hip' without a side marks, and Human3.6M's, which 'root' does.
_OTHERS_NAMES = (
    dict(hip='pelvis', head='head_top'),
    dict(root='pelvis', head='head_top', left_foot='left_ankle', right_foot='right_ankle'),
)
_MIXED = 'people without identities change places in the lists of frames: --person may mix them'
# A file of n frames may span this many: more, and the frame column holds something else.
_GAPS, _SPAN = 100, 10_000


class Joint(NamedTuple):
    """A joint of a person in a frame, as the readers of files give it."""

    frame: int
    where: str
    """Its place, for error messages: file, and line or frame."""
    time: float | None = None
    """Seconds."""
    person: Person = 0
    joint: str | int | None = None
    """Its name, or its index in a file without names; None says only that there is this frame."""
    point: Sequence[float] | None = None
    """D coordinates, any of them NaN where it is missing; None is missing without telling D."""
    score: float = math.nan


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
    kpt_thr: float | None = None
    """Score from which joints are trusted; None where the file does not tell."""
    unread: tuple[str, ...] = ()
    """Columns of the file that nothing here reads."""
    remarks: tuple[str, ...] = ()
    """What else to know of how it was read, each in a few words."""


def joint_name(text: str) -> str:
    """``'Left Shoulder'``, ``'left-shoulder'``, ``'SHOULDER_LEFT'`` -> ``'left_shoulder'``.

    ``'LBigToe'``, as OpenPose and Sports2D write it, is ``'left_foot_index'``, its name here.
    """
    if re.fullmatch('[LR]?([A-Z][a-z]+)+', text.strip()):
        words = re.findall('^[LR](?=[A-Z])|[A-Z][a-z]+', text)
        text = ' '.join({'L': 'left', 'R': 'right'}.get(word, word) for word in words)
    name = '_'.join(text.strip().lower().replace('-', ' ').split())
    part, _, side = name.rpartition('_')
    name = f'{side}_{part}' if part and side in ('left', 'right') else name
    return re.sub('^(left|right)_big_?toe$', r'\1_foot_index', name)


def lay_out(
    path: str,
    rows: Iterable[Joint],
    first_frame: int | None = None,
    person: Person | None = None,
    min_score: float = 0.0,
    fps: float | None = None,
    image_size: tuple[int, int] | None = None,
    kpt_thr: float | None = None,
    unread: Iterable[str] = (),
) -> JointSequence:
    """The joints of one person, which may come in any order, by frame and joint.

    Args:
        path: of the file, for error messages.
        rows: what is in it.
        first_frame: the frame number that row 0 of the result stands for; None takes the file's
            smallest.
        person: whose joints to keep, where the file has several people: an identity as the file
            has it, or ``'most'`` for who has the most joints. None: there must be just one.
        min_score: a joint whose score is not above it is missing.
        fps: where None, it follows from the times of the frames.
        image_size, kpt_thr, unread: of the result.

    Raises:
        BadSkeletonError: naming the place, the field, what was allowed and what came.
    """
    times: dict[int, float | None] = {}
    joints: dict[str | int, int] = {}
    points: Points = {}
    dim = 0
    most = ROWS.value
    for row in rows:
        if row.frame < (first_frame or 0):
            refuse(row.where, 'frame', f'{first_frame or 0} or more', row.frame)
        times.setdefault(row.frame, None)
        if row.time is not None and math.isfinite(row.time):
            times[row.frame] = row.time
        if row.joint is None:
            continue
        key = row.person, row.frame, joints.setdefault(row.joint, len(joints))
        if row.point is None:
            continue
        if len(row.point) not in (2, 3) or len(row.point) != (dim or len(row.point)):
            allowed = f'{dim or "2 or 3"} coordinates, as many in all of the file'
            refuse(row.where, f'joint {row.joint!r}', allowed, len(row.point))
        dim = len(row.point)
        if any(map(math.isinf, row.point)) or math.isinf(row.score):
            found = f'{list(row.point)} with score {row.score}'
            refuse(row.where, f'joint {row.joint!r}', 'finite, or NaN where missing', found)
        if any(abs(value) > FARTHEST for value in row.point):
            allowed = f'within {FARTHEST:,.0f} of the origin'
            refuse(row.where, f'joint {row.joint!r}', allowed, list(row.point))
        if key in points:
            field = f'joint {row.joint!r} of frame {row.frame}'
            refuse(row.where, field, 'given once', 'it a second time')
        points[key] = row.point, row.score
        if len(points) > most:
            _within(path, 'joints of all frames', ROWS, len(points))
    if not points:
        raise BadSkeletonError(f'{path}: no joints in it')
    chosen = choose(path, points, person, min_score)
    first = min(times) if first_frame is None else first_frame
    length = max(times) - first + 1
    if length > _SPAN + _GAPS * len(times):
        found = f'numbers from {first} to {max(times)} for {len(times)} frames'
        refuse(f'{path}: all of it', 'frame', 'the number of a frame', found)
    size = 4 * length * len(joints) * dim
    _within(path, 'frames x joints', UNPACKED_BYTES, size)
    if image_size is not None:
        _within(path, 'size', PIXELS, math.prod(image_size), 'x'.join(map(str, image_size)))
    keypoints = np.full((length, len(joints), dim), np.nan, np.float32)
    scores = np.full(keypoints.shape[:2], np.nan, np.float32)
    for (who, frame, joint), (point, score) in points.items():
        if who == chosen:
            keypoints[frame - first, joint] = point
            scores[frame - first, joint] = score
    # A joint with half its coordinates is no place; with a score of 0, tools write (0, 0).
    keypoints[np.isnan(keypoints).any(axis=2) | (scores <= min_score)] = np.nan
    fps = _fps(path, times) if fps is None else fps
    if fps is not None and not (math.isfinite(fps) and 0 < fps <= 1000):
        refuse(path, 'fps', 'above 0 and at most 1000', fps)
    return JointSequence(
        path,
        keypoints,
        None if np.isnan(scores).all() else scores,
        _names(path, joints),
        fps,
        image_size,
        kpt_thr,
        tuple(unread),
        (_MIXED,) if change_places(points, chosen) else (),
    )


def _within(path: str, field: str, limit: Limit, count: int, shown: str = '') -> None:
    try:
        limit.check(count, shown)
    except LimitError as error:
        refuse(f'{path}: all of it', field, 'fewer', error)


def _names(path: str, joints: Iterable[str | int]) -> tuple[str, ...] | None:
    names = tuple(joint for joint in joints if isinstance(joint, str))
    if names and len(names) < len(tuple(joints)):
        found = f'{", ".join(names[:3])} ... and joints without names'
        refuse(f'{path}: all of it', 'joints', 'named in every frame or in none', found)
    for others in _OTHERS_NAMES:
        if next(iter(others)) in names and not {*others.values()} & {*names}:
            names = tuple(others.get(name, name) for name in names)
    return names or None


def _fps(path: str, times: dict[int, float | None]) -> float | None:
    timed = sorted((frame, time) for frame, time in times.items() if time is not None)
    for (frame, time), (after, later) in zip(timed, timed[1:]):
        if later < time:
            allowed = f'at least the {time:g} s of frame {frame}'
            refuse(f'{path}: frame {after}', 'time', allowed, f'{later:g} s')
    if len(timed) < 2 or timed[0][1] == timed[-1][1]:
        return None
    (frame, time), (last, end) = timed[0], timed[-1]  # rounded, neighbours may be equal
    return (last - frame) / (end - time)
