"""One sequence of joints from a file, or from a folder with one file per frame."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..sequence import BadSkeletonError, refuse
from .joint_json import JsonFrames, load_json, read_json
from .joint_sequence import Joint, JointSequence, joint_name, lay_out
from .joint_tables import read_table

TABLES, JSON, ARRAYS = ('.csv', '.tsv'), '.json', '.npz'
SUFFIXES = (JSON, *TABLES, ARRAYS)
_NUMBER = re.compile(r'(\d+)\D*')


def read_joints(
    path: Path, person: str | None = None, min_score: float = 0.0, first_frame: int | None = None
) -> JointSequence:
    """The joints in a file (.csv, .tsv, .json, .npz), or in a folder of files of a frame each.

    A gap in the numbers of the frames becomes frames of NaN, so that what follows keeps its time.

    Args:
        path: the file or folder.
        person: whose joints, where there are several people: an identity that the file gives, or
            the place in a frame's list of people ('0', ...), or 'most', who has the most joints.
        min_score: a joint whose score is not above it is missing (tools write zeros for it).
        first_frame: the number of the frame that comes first in the result; None takes the
            file's smallest.

    Raises:
        BadSkeletonError: naming the file, the line or frame, the field, what was allowed and what
            came.
    """
    suffix, options = path.suffix.lower(), (first_frame, person, min_score)
    if path.is_dir():
        unread: dict[str, None] = {}
        return lay_out(str(path), _frames(path, unread), *options, unread=unread)
    if suffix in TABLES:
        rows, columns = read_table(path)
        return lay_out(str(path), rows, *options, unread=columns)
    if suffix == JSON:
        rows, facts = read_json(path)
        return lay_out(str(path), rows, *options, **facts)
    if suffix == ARRAYS:
        return _read_arrays(path, min_score)
    raise BadSkeletonError(f'{path}: the file must be one of {", ".join(SUFFIXES)}')


def _frames(folder: Path, unread: dict[str, None]) -> Iterator[Joint]:
    """The joints of all frames; adds the names of files and columns that are not read."""
    seen: dict[int, str] = {}
    reader = JsonFrames()
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() not in (JSON, *TABLES):
            unread[file.name] = None
            continue
        numbers = _NUMBER.findall(file.stem.replace('_keypoints', ''))
        if not numbers:
            refuse(str(file), 'the name', 'with the number of the frame', file.name)
        number = int(numbers[-1])
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


def _read_arrays(path: Path, min_score: float) -> JointSequence:
    """``keypoints`` (T, V, D), or the only array there is; perhaps ``scores`` (T, V), ``joints``
    (V,) names, ``fps``, ``image_size`` (width, height).
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        refuse(str(path), 'the file', 'an .npz of plain arrays', error)
    if 'keypoints' not in content and len(content) == 1:
        content = {'keypoints': next(iter(content.values()))}
    unread = content.keys() - {'keypoints', 'scores', 'joints', 'fps', 'image_size'}
    try:
        keypoints = np.array(content['keypoints'], np.float32)
        scores = np.array(content['scores'], np.float32) if 'scores' in content else None
        fps = float(content['fps']) if 'fps' in content else None
        width, height = map(int, content.get('image_size', (0, 0)))
    except KeyError:
        found = ', '.join(sorted(content)) or 'none'
        refuse(str(path), 'arrays', "'keypoints', or just one", found)
    except (TypeError, ValueError) as error:
        refuse(str(path), 'keypoints, scores, fps and image_size', 'numbers', error)
    joints = tuple(map(joint_name, map(str, content['joints']))) if 'joints' in content else None
    if scores is not None:
        if scores.shape != keypoints.shape[:2]:
            allowed = f'{keypoints.shape[:2]}, as keypoints'
            refuse(str(path), 'scores', allowed, scores.shape)
        keypoints[scores <= min_score] = np.nan
    if keypoints.ndim == 3:
        keypoints[np.isnan(keypoints).any(axis=2)] = np.nan
    size = (width, height) if 'image_size' in content else None
    return JointSequence(
        str(path), keypoints, scores, joints, fps, size, tuple(sorted(unread))
    ).check()
