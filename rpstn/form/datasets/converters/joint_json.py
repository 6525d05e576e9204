"""Joints from JSON files.

A sequence is a list of frames, or an object whose ``frames`` is that list, with, as far as known,
``joints`` (names), ``fps`` and ``size`` [width, height], as ``tools/infer.py`` writes it; or what
MMPose's inferencers write (``instance_info``). A frame is one of

    [[x, y], ...]  or  [[x, y, z], ...]  or  [[x, y, z, score], ...]      joints in a fixed order
    {joint: [x, y], ...}, the points as above                             joints by name
    {"keypoints": [[x, y, score], ...], "frame": n, "time": s, "person": id}  (tools/infer.py)
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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .joint_sequence import SequenceBuilder, joint_name

_LEG, _TOES = ('hip', 'knee', 'ankle'), ('big_toe', 'small_toe', 'heel')
_ARM = ('shoulder', 'elbow', 'wrist')


def _side(side: str, parts: Sequence[str]) -> tuple[str, ...]:
    return tuple(f'{side}_{part}' for part in parts)


# OpenPose's outputs (its documentation, "Pose Output Format"), told apart by their length.
OPENPOSE_JOINTS = {
    25: (
        'nose',
        'neck',
        *_side('right', _ARM),
        *_side('left', _ARM),
        'pelvis',
        *_side('right', _LEG),
        *_side('left', _LEG),
        'right_eye',
        'left_eye',
        'right_ear',
        'left_ear',
        *_side('left', _TOES),
        *_side('right', _TOES),
    ),
    18: (
        'nose',
        'neck',
        *_side('right', _ARM),
        *_side('left', _ARM),
        *_side('right', _LEG),
        *_side('left', _LEG),
        'right_eye',
        'left_eye',
        'right_ear',
        'left_ear',
    ),
}


def load_json(builder: SequenceBuilder, path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        BadSkeletonError: it is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding='utf-8-sig'))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        builder.refuse(path.name, 'the file', 'JSON in UTF-8', error)


def read_json(builder: SequenceBuilder, path: Path) -> dict:
    """Add all frames of a JSON file of one sequence.

    Returns:
        ``fps`` and ``image_size``, each None where the file does not tell.

    Raises:
        BadSkeletonError: naming the frame and the field.
    """
    content = load_json(builder, path)
    head, frames = content if isinstance(content, Mapping) else {}, content
    for key in ('frames', 'instance_info'):
        frames = head.get(key, frames)
    if isinstance(frames, Mapping):
        builder.refuse(
            path.name,
            'the file',
            'a list of frames, or an object with the list '
            "'frames' (one file per frame is another layout: per_frame)",
            f'an object with {_keys(frames)}',
        )
    if not isinstance(frames, list):
        builder.refuse(path.name, 'the file', 'a list of frames', type(frames).__name__)
    joints = head.get('joints')
    if joints is None and isinstance(head.get('meta_info'), Mapping):
        names = head['meta_info'].get('keypoint_id2name')
        joints = isinstance(names, Mapping) and [names.get(str(i)) for i in range(len(names))]
    if joints and not (isinstance(joints, list) and all(isinstance(j, str) for j in joints)):
        builder.refuse(path.name, 'joints', 'a list of names', joints)
    for index, frame in enumerate(frames):
        add_frame(builder, frame, index, f'frames[{index}]', joints or None)
    return dict(
        fps=_optional_fps(builder, path, head.get('fps')),
        image_size=_optional_size(builder, path, head.get('size')),
    )


def add_frame(
    builder: SequenceBuilder,
    frame: Any,
    index: int,
    where: str,
    joints: Sequence[str] | None = None,
) -> None:
    """Add one frame, of any form.

    Args:
        index: its number, unless it says another.
        where: its place in the file.
        joints: names of the joints, for points in a list.
    """
    record = dict(frame) if isinstance(frame, Mapping) else {}
    about = {
        key: record.pop(key)
        for key in ('frame', 'frame_id', 'time', 'person')
        if key in record and not isinstance(record[key], list)
    }
    number, time = about.get('frame', about.get('frame_id', index)), about.get('time')
    if not isinstance(number, int) or isinstance(number, bool):
        builder.refuse(where, 'frame', 'a whole number', _short(number))
    if time is not None and (isinstance(time, bool) or not isinstance(time, int | float)):
        builder.refuse(where, 'time', 'a number of seconds', _short(time))
    builder.mark(number, where, time)
    who = str(about.get('person', 0))
    if isinstance(frame, Mapping) and not record or not frame:
        return
    if 'people' in record:
        for i, person in enumerate(_list(builder, record['people'], where, 'people')):
            _add_openpose(builder, number, str(i), person, f'{where}: people[{i}]')
    elif 'instances' in record:
        for i, person in enumerate(_list(builder, record['instances'], where, 'instances')):
            _add_record(builder, number, str(i), person, f'{where}: instances[{i}]', joints)
    elif 'keypoints' in record:
        _add_record(builder, number, who, record, where, joints)
    elif record:
        for name, point in record.items():
            _add_point(builder, number, who, joint_name(name), point, f'{where}: {name}')
    else:
        _add_points(builder, number, who, frame, where, joints)


def _add_record(
    builder: SequenceBuilder,
    frame: int,
    person: str,
    record: Any,
    where: str,
    joints: Sequence[str] | None,
) -> None:
    if not isinstance(record, Mapping) or 'keypoints' not in record:
        builder.refuse(where, 'the entry', "an object with 'keypoints'", type(record).__name__)
    scores = record.get('keypoint_scores')
    points = _list(builder, record['keypoints'], where, 'keypoints')
    if scores is None:
        _add_points(builder, frame, person, points, where, joints, scored=True)
        return
    scores = _list(builder, scores, where, 'keypoint_scores')
    if len(scores) != len(points):
        builder.refuse(
            where, 'keypoint_scores', f'{len(points)} numbers, as keypoints', len(scores)
        )
    points = [
        [*_list(builder, point, where, 'keypoints'), score] for point, score in zip(points, scores)
    ]
    _add_points(builder, frame, person, points, where, joints, scored=True)


def _add_points(
    builder: SequenceBuilder,
    frame: int,
    person: str,
    points: Any,
    where: str,
    joints: Sequence[str] | None,
    scored: bool = False,
) -> None:
    points = _list(builder, points, where, 'the frame')
    expected = len(joints or builder.joints) or len(points)
    if points and len(points) != expected:
        builder.refuse(
            where,
            'the frame',
            f'a list of {expected} joints, as in the frames before and the names',
            len(points),
        )
    for i, point in enumerate(points):
        _add_point(
            builder,
            frame,
            person,
            joint_name(joints[i]) if joints else i,
            point,
            f'{where}: joint {i}',
            scored,
        )


def _add_point(
    builder: SequenceBuilder,
    frame: int,
    person: str,
    joint: str | int,
    point: Any,
    where: str,
    scored: bool = False,
) -> None:
    """A point [x, y], [x, y, z], [x, y, z, score], or, if ``scored``, [x, y, score]."""
    if point is None:
        builder.add_missing(joint)
        return
    if (
        not isinstance(point, list)
        or not 2 <= len(point) <= 4
        or any(isinstance(v, bool) or not isinstance(v, int | float | None) for v in point)
    ):
        builder.refuse(
            where, 'the joint', 'null, [x, y], [x, y, z] or [x, y, z, score]', _short(point)
        )
    values = [math.nan if v is None else float(v) for v in point]
    last = values.pop() if len(values) == 4 or (scored and len(values) == 3) else math.nan
    builder.add(frame, person, joint, values, last, where)


def _add_openpose(
    builder: SequenceBuilder, frame: int, person: str, entry: Any, where: str
) -> None:
    entry = entry if isinstance(entry, Mapping) else {}
    field, size = (
        ('pose_keypoints_3d', 4) if entry.get('pose_keypoints_3d') else ('pose_keypoints_2d', 3)
    )
    numbers = _list(builder, entry.get(field), where, field)
    if not numbers:
        return
    joints = OPENPOSE_JOINTS.get(len(numbers) // size)
    if joints is None or len(numbers) % size:
        allowed = ' or '.join(str(size * count) for count in OPENPOSE_JOINTS)
        builder.refuse(where, field, f'{allowed} numbers', len(numbers))
    for i, joint in enumerate(joints):
        _add_point(
            builder,
            frame,
            person,
            joint,
            numbers[size * i : size * (i + 1)],
            f'{where}: {field}: joint {i}',
            scored=True,
        )


def _optional_fps(builder: SequenceBuilder, path: Path, value: Any) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        builder.refuse(path.name, 'fps', 'a number', repr(value))
    return value


def _optional_size(builder: SequenceBuilder, path: Path, value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    if (
        not isinstance(value, list)
        or len(value) != 2
        or any(isinstance(v, bool) or not isinstance(v, int) or v <= 0 for v in value)
    ):
        builder.refuse(path.name, 'size', '[width, height] in pixels', _short(value))
    return value[0], value[1]


def _list(builder: SequenceBuilder, value: Any, where: str, field: str) -> list:
    if not isinstance(value, list):
        builder.refuse(where, field, 'a list', _short(value))
    return value


def _keys(value: Mapping) -> str:
    return ', '.join(map(repr, list(value)[:5]))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
