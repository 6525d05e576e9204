"""One sequence of joints from a file, or from a folder with one file per frame."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..sequence import BadSkeletonError
from .joint_json import add_frame, load_json, read_json
from .joint_sequence import JointSequence, SequenceBuilder, joint_name
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
    builder = SequenceBuilder(str(path), first_frame, person, min_score)
    if path.is_dir():
        return builder.build(unread=_read_frames(builder, sorted(path.iterdir())))
    suffix = path.suffix.lower()
    if suffix in TABLES:
        return builder.build(unread=read_table(builder, path))
    if suffix == JSON:
        return builder.build(**read_json(builder, path))
    if suffix == ARRAYS:
        return _read_arrays(path, min_score)
    raise BadSkeletonError(f'{path}: the file must be one of {", ".join(SUFFIXES)}')


def _read_frames(builder: SequenceBuilder, files: Iterable[Path]) -> list[str]:
    seen: dict[int, str] = {}
    unread: dict[str, None] = {}
    for file in files:
        if file.suffix.lower() not in (JSON, *TABLES):
            unread[file.name] = None
            continue
        numbers = _NUMBER.findall(file.stem.replace('_keypoints', ''))
        if not numbers:
            builder.refuse(file.name, 'the name', 'with the number of the frame', file.name)
        number = int(numbers[-1])
        if number in seen:
            builder.refuse(
                file.name, 'the number of the frame', f'another than that of {seen[number]}', number
            )
        seen[number] = file.name
        if file.suffix.lower() == JSON:
            add_frame(builder, load_json(builder, file), number, file.name)
        else:
            builder.mark(number, file.name)
            unread.update(dict.fromkeys(read_table(builder, file, number)))
    return list(unread)


def _read_arrays(path: Path, min_score: float) -> JointSequence:
    """``keypoints`` (T, V, D), or the only array there is; perhaps ``scores`` (T, V), ``joints``
    (V,) names, ``fps``, ``image_size`` (width, height).
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise BadSkeletonError(
            f'{path}: the file must be an .npz of plain arrays, got: {error}'
        ) from None
    if 'keypoints' not in content and len(content) == 1:
        content = {'keypoints': next(iter(content.values()))}
    unread = content.keys() - {'keypoints', 'scores', 'joints', 'fps', 'image_size'}
    try:
        keypoints = np.array(content['keypoints'], np.float32)
        scores = np.array(content['scores'], np.float32) if 'scores' in content else None
        fps = float(content['fps']) if 'fps' in content else None
        size = tuple(map(int, content['image_size'])) if 'image_size' in content else None
    except KeyError:
        raise BadSkeletonError(
            f"{path}: arrays must be 'keypoints', or just one, got "
            f'{", ".join(sorted(content)) or "none"}'
        ) from None
    except (TypeError, ValueError) as error:
        raise BadSkeletonError(
            f'{path}: keypoints, scores, fps and image_size must be numbers: {error}'
        ) from None
    joints = tuple(map(joint_name, map(str, content['joints']))) if 'joints' in content else None
    if scores is not None:
        if scores.shape != keypoints.shape[:2]:
            raise BadSkeletonError(
                f'{path}: scores must be {keypoints.shape[:2]}, as keypoints, got {scores.shape}'
            )
        keypoints[scores <= min_score] = np.nan
    if keypoints.ndim == 3:
        keypoints[np.isnan(keypoints).any(axis=2)] = np.nan
    return JointSequence(
        str(path), keypoints, scores, joints, fps, size, tuple(sorted(unread))
    ).check()
