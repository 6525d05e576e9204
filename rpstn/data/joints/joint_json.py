"""Joints from JSON files.

A sequence is a list of frames, or an object whose ``frames`` is that list, with, as far as known,
``joints`` (names), ``fps``, ``size`` [width, height] and ``kpt_thr``, as ``rpstn infer`` writes it;
or what MMPose's inferencers write (``instance_info``). A frame is one of

    [[x, y], ...]  or  [[x, y, z], ...]  or  [[x, y, z, score], ...]      joints in a fixed order
    {joint: [x, y], ...}, the points as above                             joints by name
    {"keypoints": [[x, y, score], ...], "frame": n, "time": s, "person": id}  (rpstn infer)
    {"keypoints": [[x, y], ...], "keypoint_scores": [...], ...}
    {"keypoints": [x, y, score, ...], "image_id": n}     (COCO's results, AlphaPose)
    {"instances": [{"keypoints": ..., "keypoint_scores": ...}, ...], "frame_id": n}  (MMPose)
    [{"keypoints": ..., "keypoint_scores": ...}, ...]    in a file of its own (MMPose, of images)
    {"people": [{"pose_keypoints_2d": [x, y, score, ...]}, ...]}  (OpenPose, Pose2Sim, Sports2D)
    {"bodies": [{"joints": [x, y, score, ...]}, ...]}    (AlphaPose)
    null, or empty: nobody was found

(an object of joints may hold frame, time and person, too), or an object has such frames by the
names of their images (AlphaPose). A joint, or a coordinate, that is null or NaN is missing, and a
person of a list without any joint is nobody. In lists and objects of points three numbers are
x, y, z; in ``keypoints`` without ``keypoint_scores`` they are x, y, score. Of whole bodies the
face and the hands are left out.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rpstn import data_files
from rpstn.skeletons import get_skeleton

from .joint_people import IDENTITIES, Person, identity_in, is_found
from .joint_sequence import Joint, joint_name
from .refusal import refuse

_ARM, _LEG, _TOES = 'shoulder elbow wrist', 'hip knee ankle', 'foot_index small_toe heel'
_FACE = ('right_eye', 'left_eye', 'right_ear', 'left_ear')


def _side(side: str, parts: str) -> list[str]:
    return [f'{side}_{part}' for part in parts.split()]


_UPPER = ('nose', 'neck', *_side('right', _ARM), *_side('left', _ARM))
_LEGS = (*_side('right', _LEG), *_side('left', _LEG))
_FEET = (*_side('left', _TOES), *_side('right', _TOES))
_COCO, _HALPE = get_skeleton('coco17').joints, get_skeleton('halpe26').joints
# Whole bodies by their number of joints: COCO-WholeBody's and Halpe's first joints.
_WHOLE_BODIES = {133: (*_COCO, *_FEET), 136: _HALPE}
# OpenPose's outputs (its documentation, "Pose Output Format"), told apart by their length, and
# what others write as OpenPose does.
OPENPOSE_JOINTS = {
    25: (*_UPPER, 'pelvis', *_LEGS, *_FACE, *_FEET),
    18: (*_UPPER, *_LEGS, *_FACE),
    17: _COCO,
    26: _HALPE,
    **_WHOLE_BODIES,
}
_FRAMES = ('frame', 'frame_id', 'image_id')


def load_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        BadSkeletonError: it is no JSON.
    """
    try:
        return data_files.read_json(path)
    except (ValueError, OSError) as error:
        refuse(str(path), 'the file', 'JSON in UTF-8', error)


def is_number(value: Any) -> bool:
    """Whether something out of a JSON file is one, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number_in(name: str) -> int | None:
    """The last number in the name of a frame's file or image, without its suffix."""
    digits = re.findall(r'\d+', Path(name).stem.replace('_keypoints', ''))
    return int(digits[-1]) if digits else None


def read_json(path: Path) -> tuple[Iterator[Joint], dict[str, Any]]:
    """All joints of a JSON file of one sequence.

    Returns:
        The joints; and ``fps``, ``image_size`` and ``kpt_thr``, each None where the file does not
        tell, and what is ``unread``, complete when the joints are.

    Raises:
        BadSkeletonError: naming the frame and the field, some of it on the way.
    """
    content, where = load_json(path), str(path)
    head, frames = content if isinstance(content, Mapping) else {}, content
    for key in ('frames', 'instance_info'):
        frames = head.get(key, frames)
    per_frame = '(one file per frame is another layout: per_frame)'
    if isinstance(frames, Mapping) and frames and all(map(_is_people, frames.values())):
        frames = [dict(people, image_id=image) for image, people in frames.items()]
    if isinstance(frames, Mapping):
        allowed = f"a list of frames, or an object with the list 'frames' {per_frame}"
        refuse(where, 'the file', allowed, f'an object with {", ".join(map(repr, [*frames][:5]))}')
    if not isinstance(frames, list):
        refuse(where, 'the file', 'a list of frames', type(frames).__name__)
    if frames and all(map(_is_instance, frames)):
        refuse(where, 'the file', f'a list of frames {per_frame}', 'the people of one image')
    joints, fps, size = head.get('joints'), head.get('fps'), head.get('size')
    if joints is None:
        joints = _mmpose_names(head)
    if joints and not (isinstance(joints, list) and all(isinstance(j, str) for j in joints)):
        refuse(where, 'joints', 'a list of names', joints)
    kpt_thr = head.get('kpt_thr')
    for name, value in (('fps', fps), ('kpt_thr', kpt_thr)):
        if value is not None and not is_number(value):
            refuse(where, name, 'a number', repr(value))
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
    return rows, dict(fps=fps, image_size=size, kpt_thr=kpt_thr, unread=reader.unread)


def _is_people(content: Any) -> bool:
    return isinstance(content, Mapping) and ('people' in content or 'bodies' in content)


def _is_instance(entry: Any) -> bool:
    """Whether it is a person as MMPose writes those of an image, which no frame's number tells."""
    return (
        isinstance(entry, Mapping)
        and {'keypoints', 'bbox'} <= entry.keys()
        and not entry.keys() & {*_FRAMES}
    )


def _mmpose_names(head: Mapping) -> Any:
    """The joints that a file's meta_info names, if it does."""
    meta = head.get('meta_info')
    names = meta.get('keypoint_id2name') if isinstance(meta, Mapping) else None
    return [names.get(str(i)) for i in range(len(names))] if isinstance(names, Mapping) else None


class JsonFrames:
    """Reads the frames of a sequence, of any form, one after the other.

    Args:
        joints: names of the joints, for points in a list.
    """

    def __init__(self, joints: Sequence[str] | None = None) -> None:
        self.joints = joints and list(map(joint_name, joints))
        # How many points a list must have, as soon as that is known.
        self.count = len(joints or ())
        self.unread: dict[str, None] = {}
        # People of COCO's results without identities, by their frame.
        self._places: Counter[int] = Counter()

    def read(self, frame: Any, index: int, where: str) -> Iterator[Joint]:
        """The joints of a frame.

        Args:
            frame: what the file holds.
            index: its number, unless it says another.
            where: its place.
        """
        if isinstance(frame, Mapping) and isinstance(frame.get('instance_info'), list):
            names = _mmpose_names(frame)
            self.joints = self.joints or (names and [joint_name(str(name)) for name in names])
            frame = frame['instance_info']
        if isinstance(frame, list) and frame and isinstance(frame[0], Mapping):
            if 'image_id' in frame[0]:
                for entry in frame:
                    yield from self.read(entry, index, where)
                return
            frame = {'instances': frame}
        record = dict(frame) if isinstance(frame, Mapping) else {}
        about = {
            key: record.pop(key)
            for key in (*_FRAMES, 'time', *IDENTITIES)
            if key in record and (key in IDENTITIES or not isinstance(record[key], list))
        }
        number, time = (
            next((about[key] for key in _FRAMES if key in about), index),
            about.get('time'),
        )
        if isinstance(number, str) and 'image_id' in about:
            number = next((n for n in [number_in(number)] if n is not None), number)
        if type(number) is not int:
            refuse(where, 'frame', 'a whole number', _short(number))
        if time is not None and not is_number(time):
            refuse(where, 'time', 'a number of seconds', _short(time))
        yield Joint(number, where, time)
        if not (record if isinstance(frame, Mapping) else frame):
            return
        for person, points, scored in self._people(frame, record, about, number, where):
            for joint, place, point in points:
                yield Joint(number, place, time, person, joint, *_point(point, scored, place))

    def _people(
        self, frame: Any, record: dict, about: dict, number: int, where: str
    ) -> Iterator[tuple[Person, list[tuple], bool]]:
        """The people of a frame: who, (joint, place, point) of each, and if points have scores."""
        for key, read in (
            ('people', self._openpose),
            ('bodies', self._openpose),
            ('instances', self._keypoints),
        ):
            if key in record:
                place = 0
                for i, entry in enumerate(_list(record[key], where, key)):
                    points, scored = read(entry, f'{where}: {key}[{i}]')
                    who = identity_in(entry, place)
                    if isinstance(who, str) or _is_somebody(points, scored):
                        yield who, points, scored
                        place += 1
                return
        person = identity_in(about)
        if 'keypoints' in record:
            points, scored = self._keypoints(record, where)
            if person == 0 and 'image_id' in about:
                person = self._places[number]
                self._places[number] += _is_somebody(points, scored)
                if person == self._places[number]:
                    return
            yield person, points, scored
        elif record:
            named = [
                (joint_name(name), f'{where}: {name}', point) for name, point in record.items()
            ]
            yield person, named, False
        else:
            yield person, self._listed(frame, where), False

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
        elif points and not isinstance(points[0], list | None):
            points = _in_threes(points, where, 'keypoints')
        return self._listed(points, where), True

    def _listed(self, points: Any, where: str) -> list[tuple]:
        points = _list(points, where, 'the frame')
        if points and len(points) != (self.count or len(points)):
            allowed = f'a list of {self.count} joints, as in the frames before and the names'
            refuse(where, 'the frame', allowed, len(points))
        self.count = self.count or len(points)
        names = self.joints or self._body(len(points)) or range(len(points))
        return [(name, f'{where}: joint {i}', points[i]) for i, name in enumerate(names)]

    def _body(self, count: int) -> Sequence[str] | None:
        """The joints that are read of a whole body."""
        if count in _WHOLE_BODIES:
            self.unread['joints of face and hands'] = None
        return _WHOLE_BODIES.get(count)

    def _openpose(self, entry: Any, where: str) -> tuple[list[tuple], bool]:
        entry = entry if isinstance(entry, Mapping) else {}
        fields = ('pose_keypoints_3d', 'pose_keypoints_2d', 'joints')
        field = next((field for field in fields if entry.get(field)), fields[1])
        numbers = _list(entry.get(field, entry.get('joints')), where, field)
        size = 4 if field == fields[0] else 3
        joints = OPENPOSE_JOINTS.get(len(numbers) // size, ())
        if numbers and (not joints or len(numbers) % size):
            allowed = ' or '.join(str(size * count) for count in sorted(OPENPOSE_JOINTS))
            refuse(where, field, f'{allowed} numbers', len(numbers))
        self._body(len(numbers) // size)
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


def _is_somebody(points: list[tuple], scored: bool) -> bool:
    """Whether any joint is there; who has none takes no place from those that follow."""
    read = (_point(point, scored, place) for _, place, point in points)
    return any(point is not None and is_found(point, score) for point, score in read)


def _in_threes(numbers: list, where: str, field: str) -> list[list]:
    """[x, y, score, x, ...] as [[x, y, score], ...]."""
    if len(numbers) % 3:
        refuse(where, field, 'x, y and score of each joint', f'{len(numbers)} numbers')
    return [numbers[i : i + 3] for i in range(0, len(numbers), 3)]


def _list(value: Any, where: str, field: str) -> list:
    if not isinstance(value, list):
        refuse(where, field, 'a list', _short(value))
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
