"""Joints of other tools in the axes and metres of :class:`.Joints3D`, and whether they can be.

Shapes: T frames, V joints.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from rpstn.errors import SettingError

from .scale import implied_height
from .structures import Joints3D, LiftError

AXES = "right-handed: x to the camera's right, y up, z towards the camera"
IMAGE_AXES = AXES.replace('y up', "y the image's up")
ORIGIN = 'the middle of the hips of each frame'
UNITS = dict(m=1.0, cm=0.01, mm=0.001)
LIKELY_HEIGHTS = (0.5, 3.0)
"""Metres of a body that the unit may be right for, children and errors included."""


def axes_matrix(text: str) -> np.ndarray:
    """(3, 3) that takes a file's coordinates to ours, of e.g. ``'x,z,-y'``.

    They are the file's axes that point to the camera's right, up, and towards the camera. Files of
    left-handed axes are taken, too: ``'x,y,-z'`` where z points away from the camera.

    Raises:
        SettingError: it does not name each axis once.
    """
    parts = text.replace(' ', '').lower().split(',')
    letters = sorted(part[-1:] for part in parts)
    if letters != ['x', 'y', 'z'] or not all(re.fullmatch('[+-]?[xyz]', part) for part in parts):
        raise SettingError(
            "axes must name those that point to the camera's right, up and towards the camera, "
            f"each of x, y, z once, as in 'x,-y,-z', got {text!r}"
        )
    matrix = np.zeros((3, 3))
    for ours, part in enumerate(parts):
        matrix[ours, 'xyz'.index(part[-1])] = -1.0 if part[0] == '-' else 1.0
    return matrix


def unit_metres(unit: str) -> float:
    """How many metres a unit of a file has.

    Raises:
        SettingError: it is not known.
    """
    if unit not in UNITS:
        raise SettingError(f'unit must be one of {", ".join(UNITS)}, got {unit!r}')
    return UNITS[unit]


def check_body(joints: Joints3D, where: str, stated: bool) -> Joints3D:
    """The same, once it looks like a person: neither giant nor mirrored, nor upside down.

    Args:
        joints: in our axes.
        where: the file.
        stated: whether the axes were, so that upside down is a handstand.

    Raises:
        LiftError: it does not, with what to state.
    """
    height = implied_height(joints)
    if np.isfinite(height) and not LIKELY_HEIGHTS[0] <= height <= LIKELY_HEIGHTS[1]:
        raise LiftError(
            f'{where}: the body would be {height:.3g} m tall: state the unit of the joints, one of '
            f'{", ".join(UNITS)}'
        )
    names = set(joints.skeleton.joints)
    sides = ('left', 'right')
    if not all(f'{side}_{part}' in names for side in sides for part in ('shoulder', 'ankle')):
        return joints
    trunk = joints.joint('shoulder') - joints.joint('ankle')
    across = np.hypot(trunk[:, 0], trunk[:, 2])  # of who lies, the larger part
    if not stated and _most(-trunk[:, 1] - across) > 0:
        raise LiftError(
            f'{where}: the shoulders lie below the ankles: state the axes, such as x,-y,-z where y '
            'points down and z away from the camera'
        )
    if not all(f'{side}_{part}' in names for side in sides for part in ('heel', 'foot_index')):
        return joints
    left = joints.joint('left_hip') - joints.joint('right_hip')
    ahead = np.cross(left, trunk)
    feet = joints.joint('foot_index') - joints.joint('heel')
    if _most((feet * ahead).sum(-1)) < 0:
        raise LiftError(
            f'{where}: the toes point backwards, as left and right are mirrored: state the axes, '
            'such as x,y,-z where z points away from the camera'
        )
    return joints


def _most(values: np.ndarray) -> float:
    """The median of what is known; 0 of nothing."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else 0.0


def stated_axes(joints: Joints3D) -> str:
    """In words, for files."""
    return AXES if joints.upright else IMAGE_AXES


def with_axes(joints: Joints3D, axes: str, unit: str) -> Joints3D:
    """A file's joints in our axes and metres, from the middle of the hips."""
    turned = joints.joints @ axes_matrix(axes).T * unit_metres(unit)
    return replace(joints, joints=turned)
