"""The lifter's trunk and legs with BlazePose's arms, feet and face: one body.

Shapes: T frames, K joints of BlazePose, V joints of ``lifter15``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rpstn.skeletons import SKELETONS, map_joints

from .lifter_source import SimulatedLifterJoints
from .sources import SOURCES, BlazePoseJoints
from .structures import Joints3D, Track

if TYPE_CHECKING:
    from .models import UnsupervisedLifter

_LIMBS = (('hip', 'knee'), ('knee', 'ankle'), ('shoulder', 'elbow'), ('elbow', 'wrist'))
_CARRIED = dict(
    heel='ankle',
    foot_index='ankle',
    **dict.fromkeys(('elbow', 'wrist', 'pinky', 'index', 'thumb'), 'shoulder'),
)
"""Joints that are BlazePose's -> what they hang on; the rest is the face. Its elbows are about as
right as the lifter's, and bend in push-ups, which the lifter has seen too few of (docs/lift.md)."""


@SOURCES.register_module('fused')
class FusedJoints:
    """BlazePose's skeleton, whose trunk and legs are as the lifter has them.

    Arms, feet and face keep their places beside shoulders, ankles and the head. Its metres are
    BlazePose's, nominal: one factor makes limbs as long as they have them.

    Args:
        model: the lifter's network; the one that comes with the package by default.
    """

    takes = Track

    def __init__(self, model: UnsupervisedLifter | None = None) -> None:
        self._blazepose, self._lifter = BlazePoseJoints(), SimulatedLifterJoints(model)

    def __call__(self, given: Track) -> Joints3D:
        world, lifted = self._blazepose(given), self._lifter(given)
        lifted = replace(lifted, joints=lifted.joints * limb_ratio(world, lifted))
        return replace(world, joints=with_legs_of(world, lifted), source='fused')


def limb_ratio(joints: Joints3D, other: Joints3D) -> float:
    """How much longer the limbs are than another's of the same person, the median over the frames;
    1 where none is known."""
    with np.errstate(invalid='ignore', divide='ignore'):
        ratios = _limbs(joints) / _limbs(other)
    known = ratios[np.isfinite(ratios)]
    return float(np.median(known)) if len(known) else 1.0


def with_legs_of(joints: Joints3D, lifted: Joints3D) -> np.ndarray:
    """Joints (T, K, 3), those of ``lifted`` in their places; NaN where either is not known.

    Whatever ``lifted`` has not is carried along by the joint that it hangs on.
    """
    own = map_joints(joints.joints, joints.skeleton, lifted.skeleton)
    moved = lifted.joints - own
    shift = [moved[:, lifted.skeleton.index(_anchor(name))] for name in joints.skeleton.joints]
    return joints.joints + np.stack(shift, axis=1)


def _limbs(joints: Joints3D) -> np.ndarray:
    """(T,) metres, all of them together."""
    return sum(
        np.linalg.norm(joints.joint(f'{side}_{end}') - joints.joint(f'{side}_{start}'), axis=-1)
        for start, end in _LIMBS
        for side in ('left', 'right')
    )


def _anchor(name: str) -> str:
    """The joint of ``lifter15`` that one of BlazePose is, or hangs on."""
    side, _, part = name.partition('_')
    if part in _CARRIED:
        return f'{side}_{_CARRIED[part]}'
    return name if name in SKELETONS['lifter15'].joints else 'head'
