"""Who answers joints in space: one protocol, and one registry of those who follow it.

    from rpstn.lift import build_source, longest_track, tracks_of

    track = longest_track(tracks_of(PoseInferencer(world=True)('squat.mp4')))
    joints = build_source('blazepose')(track)

Another source is a class with ``takes`` and ``__call__``, registered by
``@SOURCES.register_module('name')``.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from mmengine.registry import Registry

from rpstn.errors import SettingError

from .structures import Joints3D, LiftError, Track

SOURCES = Registry('source of joints in space', scope='rpstn')
"""By name: ``'blazepose'``, ``'file'``, ``'smpl'``, and what others register."""
DEFAULT = 'fused'
"""Of a video, by the least error of knee flexion on real video (docs/lift.md)."""
FOR_2D = 'lifter_simulated'
"""Of joints in the image that came without those of the network in metres."""


class Source(Protocol):
    """Answers one person's joints in space.

    They are in the axes of :class:`Joints3D`, as seen by the camera: ``upright`` is true only
    where the source itself knows the vertical.
    """

    takes: type
    """What it starts from: :class:`Track`, joints in the image, or ``Path``, a file."""

    def __call__(self, given: Any) -> Joints3D:
        """The joints of every frame that is given.

        Raises:
            LiftError: there is nothing in it to lift.
        """


def build_source(source: str | dict) -> Source:
    """A registered source, by name, or by a config as MMEngine has them: ``dict(type=..., ...)``.

    Raises:
        SettingError: no source has that name.
    """
    config = dict(type=source) if isinstance(source, str) else dict(source)
    name = config.pop('type', None)
    kind = SOURCES.module_dict.get(name)  # without MMEngine's search in the scope of a model
    if kind is None:
        known = ', '.join(sorted(SOURCES.module_dict))
        raise SettingError(f'source of joints in space must be one of {known}, got {name!r}')
    return kind(**config)


@SOURCES.register_module('blazepose')
class BlazePoseJoints:
    """BlazePose's own joints in metres, which come with RPSTN-Lite's at hardly any cost.

    Its metres are nominal: those of a body of average size, whatever the size of the person.
    """

    takes = Track

    def __call__(self, given: Track) -> Joints3D:
        if given.world is None:
            raise LiftError(
                'source blazepose needs the world joints of the network: PoseInferencer(world=True)'
            )
        joints = in_own_axes(given.world)
        scores = np.where(np.isfinite(joints).all(-1), given.scores, 0)
        return Joints3D(
            centred(joints, given.skeleton.joints),
            scores,
            given.times,
            given.frames,
            given.skeleton,
            'blazepose',
            'nominal',
            upright=False,
        )


def in_own_axes(joints: np.ndarray) -> np.ndarray:
    """Joints (..., 3) x right, y down, z away from the camera as those of :class:`Joints3D`."""
    return joints * np.array([1.0, -1.0, -1.0])


def centred(joints: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Joints (T, V, 3) from the middle of the hips of each frame.

    Raises:
        LiftError: no joints are called hips.
    """
    if not {'left_hip', 'right_hip'} <= set(names):
        raise LiftError(f'joints in space need left_hip and right_hip, got {", ".join(names)}')
    hips = [names.index('left_hip'), names.index('right_hip')]
    return joints - joints[:, hips].mean(axis=1, keepdims=True)
