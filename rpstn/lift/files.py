"""Joints in space as files, of our own and of other tools.

What :func:`save_joints` writes says in words what its axes, origin and unit are. NPZ: ``joints``
(V names), ``keypoints`` (T, V, 3), ``scores`` (T, V), ``frame`` (T,), ``time`` (T,), and ``axes``,
``origin``, ``unit``, ``scale``, ``source``, ``skeleton``, ``upright``. JSON: the same fields, and
``frames``, a list of {frame, time, keypoints [V times [x, y, z, score] or null]}.

Shapes: T frames, V joints.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rpstn.choices import KPT_THR
from rpstn.data.joints import ToSkeleton, read_joints
from rpstn.data.joints.joint_people import Person
from rpstn.data_files import read_json, read_npz
from rpstn.errors import SettingError, first_line
from rpstn.files import replacing
from rpstn.skeletons import SKELETONS, get_skeleton

from .axes import ORIGIN, check_body, stated_axes, with_axes
from .sources import SOURCES, centred
from .structures import SCALES, Joints3D, LiftError, Track, check_joints

WIDEST = 'halpe26'
"""What the joints of a file become that are named, but those of no skeleton, as OpenPose's are."""
_OWN = ('axes', 'origin', 'unit', 'scale', 'source', 'skeleton', 'upright')


def save_joints(path: str | os.PathLike, joints: Joints3D) -> Path:
    """Write joints in space, to the last digit, as .npz or .json; what was there stays until then.

    Raises:
        LiftError: another ending.
    """
    path = Path(path)
    about: dict[str, Any] = dict(
        axes=stated_axes(joints),
        origin=ORIGIN,
        unit='m',
        scale=joints.scale,
        source=joints.source,
        skeleton=joints.skeleton.name,
        upright=bool(joints.upright),
    )
    if path.suffix not in ('.npz', '.json'):
        raise LiftError(f'{path}: joints in space are written as .npz or .json')
    with replacing(path) as partial:
        if path.suffix == '.npz':
            np.savez_compressed(
                partial,
                joints=np.array(joints.skeleton.joints),
                keypoints=joints.joints,
                scores=joints.scores,
                frame=joints.frames,
                time=joints.times,
                **about,
            )
        else:
            head = dict(about, joints=list(joints.skeleton.joints), frames=_json_frames(joints))
            partial.write_text(json.dumps(head, allow_nan=False), encoding='utf-8')
    return path


def _json_frames(joints: Joints3D) -> list[dict]:
    known = np.isfinite(joints.joints).all(-1)
    rows = np.concatenate([joints.joints, joints.scores[..., None]], -1).tolist()
    return [
        dict(
            frame=int(frame),
            time=float(time),
            keypoints=[point if there else None for point, there in zip(row, seen)],
        )
        for frame, time, row, seen in zip(joints.frames, joints.times, rows, known)
    ]


def load_joints(path: str | os.PathLike) -> Joints3D | None:
    """What :func:`save_joints` wrote; None of a file of another kind.

    Raises:
        LiftError: it is of this kind, but damaged.
    """
    path = Path(path)
    fields = _own_fields(path)
    if fields is None:
        return None
    try:
        return check_joints(_as_joints(fields))
    except (KeyError, TypeError, ValueError) as error:  # an error of ours among them
        raise LiftError(f'{path}: joints in space that are damaged ({first_line(error)})') from None


def _own_fields(path: Path) -> Mapping[str, Any] | None:
    fields: Any = None
    try:
        if path.suffix == '.npz':
            fields = read_npz(path)
        elif path.suffix == '.json':
            fields = read_json(path)
    except Exception:  # whatever is wrong with it, the readers of other files tell better
        return None
    return fields if isinstance(fields, Mapping) and set(_OWN) <= set(fields) else None


def _as_joints(fields: Mapping[str, Any]) -> Joints3D:
    skeleton = get_skeleton(str(fields['skeleton']))
    if 'frames' in fields:  # JSON
        rows = fields['frames']
        nothing = [np.nan, np.nan, np.nan, 0.0]
        points = np.array(
            [[nothing if point is None else point for point in row['keypoints']] for row in rows],
            np.float64,
        ).reshape(len(rows), -1, 4)
        places, scores = points[..., :3], points[..., 3]
        frames, times = ([row[key] for row in rows] for key in ('frame', 'time'))
    else:
        places, scores = fields['keypoints'], fields['scores']
        frames, times = fields['frame'], fields['time']
    return Joints3D(
        np.asarray(places, np.float64),
        np.asarray(scores, np.float64),
        np.asarray(times, np.float64),
        np.asarray(frames, np.int64),
        skeleton,
        str(fields['source']),
        str(fields['scale']),
        bool(fields['upright']),
    )


def read_track(
    path: str | os.PathLike,
    fps: float | None = None,
    skeleton: str | None = None,
    person: Person | None = None,
    min_score: float = 0.0,
) -> Track:
    """One person's joints in the image, from the files of ``rpstn infer`` and of other tools.

    Which these are says :mod:`rpstn.data.joints`: OpenPose's, MMPose's, AlphaPose's, MediaPipe's
    and Sports2D's among them.

    Args:
        path: a file, or a folder of files of a frame each.
        fps: frames per second, where the file does not tell.
        skeleton: of the file's joints, where it does not name them.
        person: whose joints, where there are several people; ``'most'`` for who has the most.
        min_score: a joint whose score is not above it is not known.

    Raises:
        BadSkeletonError: it cannot be read, naming the place in the file. LiftError: the joints
            have three coordinates, or frames have no clock.
    """
    keypoints, given = _read(Path(path), fps, skeleton, person, min_score)
    if keypoints.shape[-1] != 2:
        raise LiftError(f'{path}: joints have three coordinates: they need no source but file')
    return Track(keypoints, **given)


@SOURCES.register_module('file')
class JointFile:
    """Joints that were measured or estimated by others, or saved by :func:`save_joints`.

    The latter need none of the options.

    Args:
        fps, skeleton, person, min_score: see :func:`read_track`.
        axes: of the file, see :func:`rpstn.lift.axes.axes_matrix`; ``'x,y,z'`` by default, in
            which a body upside down is refused.
        unit: of the file, one of :data:`rpstn.lift.axes.UNITS`.
        scale: ``'metric'`` where they were measured, ``'nominal'`` where a network has told them.
        upright: whether the second of the axes is the room's vertical, and not the image's.

    Raises:
        SettingError: an option that cannot be.
    """

    takes = Path

    def __init__(
        self,
        fps: float | None = None,
        skeleton: str | None = None,
        person: Person | None = None,
        min_score: float = 0.0,
        axes: str | None = None,
        unit: str = 'm',
        scale: str = 'metric',
        upright: bool = False,
    ) -> None:
        self.reading: dict[str, Any] = dict(
            fps=fps, skeleton=skeleton, person=person, min_score=min_score
        )
        self.axes, self.unit, self.scale, self.upright = axes, unit, scale, upright
        if scale not in SCALES[:2]:
            raise SettingError(f'scale must be one of {", ".join(SCALES[:2])}, got {scale!r}')

    def __call__(self, given: Path) -> Joints3D:
        found = self.read(given)
        if isinstance(found, Track):
            raise LiftError(
                f'{given}: joints have two coordinates: they need a source that lifts them'
            )
        return found

    def read(self, given: Path) -> Joints3D | Track:
        """Joints in space, or in the image where the file has no more."""
        own = load_joints(given)
        if own is not None:
            return own
        keypoints, about = _read(given, **self.reading)
        if keypoints.shape[-1] == 2:
            return Track(keypoints, **about)
        skeleton, scores = about['skeleton'], about['scores']
        joints = Joints3D(
            centred(keypoints, skeleton.joints),
            np.where(np.isfinite(keypoints).all(-1), scores, 0),
            about['times'],
            about['frames'],
            skeleton,
            'file',
            self.scale,
            self.upright,
        )
        turned = with_axes(joints, self.axes or 'x,y,z', self.unit)
        return check_body(turned, str(given), stated=self.axes is not None)


def _is_known(names: tuple[str, ...] | None) -> bool:
    """Whether joints are those of a skeleton, or without names, which their number has to tell."""
    return names is None or any(set(s.joints) == set(names) for s in SKELETONS.values())


def _read(
    path: Path, fps: float | None, skeleton: str | None, person: Person | None, min_score: float
) -> tuple[np.ndarray, dict[str, Any]]:
    """Joints (T, V, D), and the other fields of a :class:`Track`."""
    if not path.exists():
        raise LiftError(f'{path}: no such file')
    sequence = read_joints(path, person, min_score)
    to_skeleton = ToSkeleton(skeleton, None if _is_known(sequence.joints) else WIDEST)
    keypoints, scores = to_skeleton(sequence)
    rate = sequence.fps if fps is None else fps
    if rate is not None and not 0 < rate <= 1000:
        raise SettingError(f'fps must be above 0 and at most 1000, got {fps}')
    if rate is None:
        raise LiftError(f'{path}: the file does not tell the frames per second: state them (fps)')
    known = np.isfinite(keypoints).all(-1)
    # Without scores, what is there counts as seen.
    sure = known.astype(float) if scores is None else np.clip(np.nan_to_num(scores), 0, 1)
    frames = np.arange(len(keypoints))
    return keypoints.astype(np.float64), dict(
        scores=np.where(known, sure, 0.0),
        times=frames / rate,
        frames=frames,
        skeleton=get_skeleton(to_skeleton.written),
        image_size=sequence.image_size,
        kpt_thr=KPT_THR if sequence.kpt_thr is None else sequence.kpt_thr,
    )
