"""One sequence of joints from a file, or from a folder with one file per frame."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rpstn.data_files import read_npz
from rpstn.limits import ROWS

from .joint_json import JsonFrames, load_json, number_in, read_json
from .joint_people import Person, identity
from .joint_sequence import Joint, JointSequence, joint_name, lay_out
from .joint_tables import read_table
from .joint_trc import read_trc
from .refusal import BadSkeletonError, refuse

TABLES, JSON, ARRAYS, MARKERS = ('.csv', '.tsv'), '.json', '.npz', '.trc'
SUFFIXES = (JSON, *TABLES, ARRAYS, MARKERS)
ENDINGS = (*SUFFIXES, '.mmpose.json', '.coco.json')
"""What follows the name of a sequence, the first of them where a sequence has several files: the
last two of ``rpstn infer`` say neither the frame rate nor, COCO's, the joints."""
_FACTS = ('joints', 'fps', 'image_size', 'kpt_thr', 'box')


def ending(path: Path) -> str:
    """Which of :data:`ENDINGS` the name of a file has, or an empty one."""
    name = path.name.lower()
    return max((e for e in ENDINGS if name.endswith(e)), key=len, default='')


def read_joints(
    path: Path, person: Person | None = None, min_score: float = 0.0, first_frame: int | None = None
) -> JointSequence:
    """The joints in a file (:data:`SUFFIXES`), or in a folder of files of a frame each.

    A gap in the numbers of the frames becomes frames of NaN, so that what follows keeps its time.

    Args:
        path: the file or folder.
        person: whose joints, where there are several people: an identity that the file gives, or,
            where it gives none, the place in a frame's list of people (0, ...), or 'most', who has
            the most joints.
        min_score: a joint whose score is not above it is missing (tools write zeros for it).
        first_frame: the number of the frame that comes first in the result; None takes the
            file's smallest.

    Raises:
        BadSkeletonError: naming the file, the line or frame, the field, what was allowed and what
            came.
    """
    suffix, facts = path.suffix.lower(), dict[str, Any]()
    if path.is_dir():
        facts['unread'] = {}
        rows = _frames(path, facts['unread'])
    elif suffix in TABLES:
        rows, facts['unread'] = read_table(path)
    elif suffix == JSON:
        rows, facts = read_json(path)
    elif suffix == ARRAYS:
        rows, facts = read_arrays(path)
    elif suffix == MARKERS:
        rows = read_trc(path)
    else:
        raise BadSkeletonError(f'{path}: the file must be one of {", ".join(SUFFIXES)}')
    return _in_pixels(lay_out(str(path), rows, first_frame, person, min_score, **facts))


def _frames(folder: Path, unread: dict[str, None]) -> Iterator[Joint]:
    """The joints of all frames; adds the names of files and columns that are not read."""
    seen: dict[int, str] = {}
    reader = JsonFrames()
    reader.unread = unread
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() not in (JSON, *TABLES):
            unread[file.name] = None
            continue
        number = number_in(file.name)
        if number is None:
            refuse(str(file), 'the name', 'with the number of the frame', file.name)
        if number in seen:
            allowed = f'another than that of {seen[number]}'
            refuse(str(file), 'the number of the frame', allowed, number)
        seen[number] = file.name
        if file.suffix.lower() == JSON:
            yield from reader.read(load_json(file), number, str(file))
        else:
            yield Joint(number, str(file))  # even if nobody is in it
            rows, columns = read_table(file, number)
            yield from rows
            unread.update(dict.fromkeys(columns))


def read_arrays(path: Path) -> tuple[Iterator[Joint], dict[str, Any]]:
    """All joints of an NPZ of ``keypoints`` (N, V, D), or of the only array there is.

    A row is a frame; or, as ``rpstn infer`` writes it, a person in a frame, with ``frame`` (N,)
    and perhaps ``time`` (N,) and ``person`` (N,). Perhaps ``scores`` (N, V), ``joints`` (V,)
    names, ``fps``, ``image_size`` (width, height), ``kpt_thr``.

    Returns:
        The joints; and ``fps``, ``image_size``, ``kpt_thr`` and the arrays that are ``unread``.
    """
    where = str(path)
    try:
        content = read_npz(path)
        ROWS.check(max((math.prod(array.shape[:2]) for array in content.values()), default=0))
    except (OSError, ValueError) as error:
        refuse(where, 'the file', 'an .npz of plain arrays', error)
    if 'keypoints' not in content and len(content) == 1:
        content = {'keypoints': next(iter(content.values()))}
    if 'keypoints' not in content:
        refuse(where, 'arrays', "'keypoints', or just one", ', '.join(sorted(content)) or 'none')
    if 'frame' not in content and (rest := sorted({'person', 'time'} & content.keys())):
        refuse(where, 'arrays', f"with 'frame', as {' and '.join(rest)} need it", sorted(content))
    shape = content['keypoints'].shape
    if len(shape) != 3 or shape[2] not in (2, 3) or 0 in shape:
        allowed = '(N, V, 2) or (N, V, 3) with at least one frame and joint'
        refuse(where, 'keypoints', allowed, f'shape {shape}')
    shapes = dict(
        keypoints=shape, scores=shape[:2], frame=shape[:1], time=shape[:1], person=shape[:1]
    )
    columns = {'frame': np.arange(len(content['keypoints'])), **content}
    for name in shapes.keys() & columns.keys():
        if columns[name].shape != shapes[name]:
            refuse(where, name, f'of shape {shapes[name]}, as keypoints', columns[name].shape)
    try:
        points, scores, times = (
            columns[name].astype(float) if name in columns else np.full(shapes[name], np.nan)
            for name in ('keypoints', 'scores', 'time')
        )
        frames = columns['frame'].astype(int)
        wrong = frames[frames != columns['frame'].astype(float)]
        fps, kpt_thr = (
            float(content[name]) if name in content else None for name in ('fps', 'kpt_thr')
        )
        width, height = map(int, content.get('image_size', (0, 0)))
    except (TypeError, ValueError, OverflowError) as error:
        refuse(
            where, 'frame, time, keypoints, scores, fps, kpt_thr and image_size', 'numbers', error
        )
    if len(wrong):
        refuse(where, 'frame', 'whole numbers', columns['frame'].tolist())
    given: np.ndarray = np.atleast_1d(content.get('joints', ()))
    names = [joint_name(str(name)) for name in given.tolist()] or [*range(shape[1])]
    if len({*names}) != shape[1] or len(names) != shape[1]:
        allowed = f'{shape[1]} different names, as many as keypoints has'
        refuse(where, 'joints', allowed, ', '.join(map(str, names)))
    people = [identity(who) or 0 for who in columns.get('person', np.zeros(len(points))).tolist()]
    rows = (
        Joint(frame, f'{where}: row {i}', time, who, name, point, score)
        for i, (frame, time, who, row) in enumerate(
            zip(frames.tolist(), times.tolist(), people, zip(points.tolist(), scores.tolist()))
        )
        for name, point, score in zip(names, *row)
    )
    unread = sorted(content.keys() - shapes.keys() - {*_FACTS})
    size = (width, height) if 'image_size' in content else None
    return rows, dict(fps=fps, image_size=size, kpt_thr=kpt_thr, unread=unread)


def _in_pixels(sequence: JointSequence) -> JointSequence:
    """Shares of width and height, as MediaPipe's landmarks are, in pixels where the size is known.

    No body is three pixels large, so 2D joints of an image cannot be anything else.
    """
    joints, size = sequence.keypoints, sequence.image_size
    low, high = np.nanmin(joints), np.nanmax(joints)
    if joints.shape[2] != 2 or low < -1 or high > 2:
        return sequence
    if size is not None and min(size) > 8:
        joints = joints * np.array(size, np.float32)
        remark = 'coordinates were shares of width and height and became pixels'
    elif size is None and low >= 0 and high <= 1:
        remark = 'coordinates lie within 0..1: if they are shares of the image, state its size'
    else:
        return sequence
    return replace(sequence, keypoints=joints, remarks=(*sequence.remarks, remark))
