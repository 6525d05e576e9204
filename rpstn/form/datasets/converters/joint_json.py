"""Joints from JSON files.

A sequence is a list of frames, or an object whose ``frames`` is that list, with, as far as known,
``joints`` (names), ``fps`` and ``size`` [width, height], as ``rpstn infer`` writes it; or what
MMPose's inferencers write (``instance_info``). A frame is one of

    [[x, y], ...]  or  [[x, y, z], ...]  or  [[x, y, z, score], ...]      joints in a fixed order
    {joint: [x, y], ...}, the points as above                             joints by name
    {"keypoints": [[x, y, score], ...], "frame": n, "time": s, "person": id}  (rpstn infer)
    {"keypoints": [[x, y], ...], "keypoint_scores": [...], ...}
    {"instances": [{"keypoints": ..., "keypoint_scores": ...}, ...], "frame_id": n}  (MMPose)
    {"people": [{"pose_keypoints_2d": [x, y, score, ...]}, ...]}              (OpenPose)
    null, or empty: nobody was found

(an object of joints may hold frame, time and person, too). A joint, or a coordinate, that is null
or NaN is missing. In lists and objects of points three numbers are x, y, z; in ``keypoints``
without ``keypoint_scores`` they are x, y, score.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..sequence import refuse
from .joint_sequence import Joint, joint_name

_ARM, _LEG, _TOES = 'shoulder elbow wrist', 'hip knee ankle', 'big_toe small_toe heel'
_FACE = ('right_eye', 'left_eye', 'right_ear', 'left_ear')


def _side(side: str, parts: str) -> list[str]:
    return [f'{side}_{part}' for part in parts.split()]


_UPPER = ('nose', 'neck', *_side('right', _ARM), *_side('left', _ARM))
_LEGS = (*_side('right', _LEG), *_side('left', _LEG))
# OpenPose's outputs (its documentation, "Pose Output Format"), told apart by their length.
OPENPOSE_JOINTS = {
    25: (*_UPPER, 'pelvis', *_LEGS, *_FACE, *_side('left', _TOES), *_side('right', _TOES)),
    18: (*_UPPER, *_LEGS, *_FACE),
}


def load_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        BadSkeletonError: it is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding='utf-8-sig'))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        refuse(str(path), 'the file', 'JSON in UTF-8', error)


def is_number(value: Any) -> bool:
    """Whether something out of a JSON file is one, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_json(path: Path) -> tuple[Iterator[Joint], dict[str, Any]]:
    """All joints of a JSON file of one sequence.

    Returns:
        The joints; and ``fps`` and ``image_size``, each None where the file does not tell.

    Raises:
        BadSkeletonError: naming the frame and the field, some of it on the way.
    """
    content, where = load_json(path), str(path)
    head, frames = content if isinstance(content, Mapping) else {}, content
    for key in ('frames', 'instance_info'):
        frames = head.get(key, frames)
    if isinstance(frames, Mapping):
        allowed = (
            "a list of frames, or an object with the list 'frames' (one file per frame is another "
            'layout: per_frame)'
        )
        refuse(where, 'the file', allowed, f'an object with {", ".join(map(repr, [*frames][:5]))}')
    if not isinstance(frames, list):
        refuse(where, 'the file', 'a list of frames', type(frames).__name__)
    joints, fps, size = head.get('joints'), head.get('fps'), head.get('size')
    if joints is None and isinstance(head.get('meta_info'), Mapping):
        names = head['meta_info'].get('keypoint_id2name')
        joints = isinstance(names, Mapping) and [names.get(str(i)) for i in range(len(names))]
    if joints and not (isinstance(joints, list) and all(isinstance(j, str) for j in joints)):
        refuse(where, 'joints', 'a list of names', joints)
    if fps is not None and not is_number(fps):
        refuse(where, 'fps', 'a number', repr(fps))
    if size is not None:
        ints = isinstance(size, list) and [type(side) is int and side > 0 for side in size]
        if ints != [True, True]:
            refuse(where, 'size', '[width, height] in pixels', _short(size))
        size = tuple(size)
    reader = JsonFrames(joints or None)
    rows = (
        row
        for index, frame in enumerate(frames)
        for row in reader.read(frame, index, f'{path}: frames[{index}]')
    )
    return rows, dict(fps=fps, image_size=size)


class JsonFrames:
    """Reads the frames of a sequence, of any form, one after the other.

    Args:
        joints: names of the joints, for points in a list.
    """

    def __init__(self, joints: Sequence[str] | None = None) -> None:
        self.joints = joints and list(map(joint_name, joints))
        # How many points a list must have, as soon as that is known.
        self.count = len(joints or ())

    def read(self, frame: Any, index: int, where: str) -> Iterator[Joint]:
        """The joints of a frame.

        Args:
            frame: what the file holds.
            index: its number, unless it says another.
            where: its place.
        """
        record = dict(frame) if isinstance(frame, Mapping) else {}
        about = {
            key: record.pop(key)
            for key in ('frame', 'frame_id', 'time', 'person')
            if key in record and not isinstance(record[key], list)
        }
        number, time = about.get('frame', about.get('frame_id', index)), about.get('time')
        if type(number) is not int:
            refuse(where, 'frame', 'a whole number', _short(number))
        if time is not None and not is_number(time):
            refuse(where, 'time', 'a number of seconds', _short(time))
        yield Joint(number, where, time)
        if not (record if isinstance(frame, Mapping) else frame):
            return
        person = str(about.get('person', 0))
        if 'people' in record:
            people = [
                (str(i), *_openpose(entry, f'{where}: people[{i}]'))
                for i, entry in enumerate(_list(record['people'], where, 'people'))
            ]
        elif 'instances' in record:
            people = [
                (str(i), *self._keypoints(entry, f'{where}: instances[{i}]'))
                for i, entry in enumerate(_list(record['instances'], where, 'instances'))
            ]
        elif 'keypoints' in record:
            people = [(person, *self._keypoints(record, where))]
        elif record:
            named = [
                (joint_name(name), f'{where}: {name}', point) for name, point in record.items()
            ]
            people = [(person, named, False)]
        else:
            people = [(person, self._listed(frame, where), False)]
        for person, points, scored in people:
            for joint, place, point in points:
                yield Joint(number, place, time, person, joint, *_point(point, scored, place))

    def _keypoints(self, record: Any, where: str) -> tuple[list[tuple], bool]:
        """The points of an object with ``keypoints``, and that they have scores."""
        if not isinstance(record, Mapping) or 'keypoints' not in record:
            refuse(where, 'the entry', "an object with 'keypoints'", type(record).__name__)
        points = _list(record['keypoints'], where, 'keypoints')
        if record.get('keypoint_scores') is not None:
            scores = _list(record['keypoint_scores'], where, 'keypoint_scores')
            if len(scores) != len(points):
                allowed = f'{len(points)} numbers, as keypoints'
                refuse(where, 'keypoint_scores', allowed, len(scores))
            points = [[*_list(p, where, 'keypoints'), score] for p, score in zip(points, scores)]
        return self._listed(points, where), True

    def _listed(self, points: Any, where: str) -> list[tuple]:
        points = _list(points, where, 'the frame')
        if points and len(points) != (self.count or len(points)):
            allowed = f'a list of {self.count} joints, as in the frames before and the names'
            refuse(where, 'the frame', allowed, len(points))
        self.count = self.count or len(points)
        names = self.joints or range(len(points))
        return [(names[i], f'{where}: joint {i}', point) for i, point in enumerate(points)]


def _openpose(entry: Any, where: str) -> tuple[list[tuple], bool]:
    entry = entry if isinstance(entry, Mapping) else {}
    field, size = (
        ('pose_keypoints_3d', 4) if entry.get('pose_keypoints_3d') else ('pose_keypoints_2d', 3)
    )
    numbers = _list(entry.get(field), where, field)
    joints = OPENPOSE_JOINTS.get(len(numbers) // size, ())
    if len(numbers) != size * len(joints):
        allowed = ' or '.join(str(size * count) for count in OPENPOSE_JOINTS)
        refuse(where, field, f'{allowed} numbers', len(numbers))
    return [
        (joint, f'{where}: {field}: joint {i}', numbers[size * i : size * (i + 1)])
        for i, joint in enumerate(joints)
    ], True


def _point(point: Any, scored: bool, where: str) -> tuple[list[float] | None, float]:
    """Coordinates and score; three numbers are x, y, score if scored, else x, y, z."""
    if point is None:
        return None, math.nan
    if (
        not isinstance(point, list)
        or not 2 <= len(point) <= 4
        or not all(value is None or is_number(value) for value in point)
    ):
        allowed = 'null, [x, y], [x, y, z] or [x, y, z, score]'
        refuse(where, 'the joint', allowed, _short(point))
    values = [math.nan if value is None else float(value) for value in point]
    last = values.pop() if len(values) == 4 or (scored and len(values) == 3) else math.nan
    return values, last


def _list(value: Any, where: str, field: str) -> list:
    if not isinstance(value, list):
        refuse(where, field, 'a list', _short(value))
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
