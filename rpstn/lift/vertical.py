"""The vertical of the room, from how a person stands, or from how the camera is tilted.

Shapes: T frames, n of them standing, V joints.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from rpstn.errors import SettingError

from .structures import Joints3D

_SIDES = ('left', 'right')
_PARTS = ('shoulder', 'hip', 'knee', 'ankle')
# A body stands straight where ankles and shoulders are as far apart as its limbs are long.
STRAIGHT = 0.97
"""Share of the way along the limbs, of the straightest frames."""
_AS_STRAIGHT = 0.01
LEAST_SECONDS = 0.25
MOST_SPREAD = 8.0
"""Degrees by which the frames' directions may differ from their mean, on average."""
MOST_TURNED = 40.0
"""Degrees from the image's up: a body that is straight beyond lies, or holds a plank."""
FOOT_SLOPE, FOOT_OFF = -10.0, 15.0
"""Degrees from the heel, which is marked above the floor, down to the toes; and how far off."""
ANKLES_OFF = 10.0
"""Degrees by which the line from ankle to ankle may rise or fall."""
MOST_TILT = 80.0


def found_vertical(joints: Joints3D) -> np.ndarray | None:
    """Which way is up, (3,) of length 1, in the joints' own axes; None where that is not sure.

    Up is the mean direction from the middle of the ankles to that of the shoulders, in the frames
    in which the person is straightest. It is sure where they are enough and agree, and the feet
    stand on a floor that lies across it. Who stands so leans forward by about two degrees.

    Args:
        joints: as a source gives them. Skeletons without heels and toes are judged by the ankles.
    """
    names = joints.skeleton.joints
    if not all(f'{side}_{part}' in names for side in _SIDES for part in _PARTS):
        return None
    shoulders, hips, knees, ankles = (_both(joints, part) for part in _PARTS)
    upwards = (shoulders - ankles).mean(axis=0)
    way = _length(shoulders - hips) + _length(hips - knees) + _length(knees - ankles)
    straight = _length(upwards) / way.mean(axis=0)
    if not np.isfinite(straight).any():
        return None
    best = np.nanpercentile(straight, 95)
    standing = straight >= max(best - _AS_STRAIGHT, STRAIGHT)  # false where it is NaN
    if standing.sum() * _frame_seconds(joints) < LEAST_SECONDS:
        return None
    directions = _unit(upwards[standing])
    up = _unit(directions.mean(axis=0))
    spread = np.degrees(np.arccos(np.clip(directions @ up, -1, 1))).mean()
    if spread > MOST_SPREAD or up[1] < math.cos(math.radians(MOST_TURNED)):
        return None
    return up if _on_floor(joints, ankles, standing, up) else None


def upright(joints: Joints3D, tilt: float | None = None) -> Joints3D:
    """The same with y along the vertical, turned by no more than that needs.

    Args:
        joints: as a source gives them; where they are upright already, they stay.
        tilt: degrees by which the camera looks down, if known; it is not rolled then.

    Returns:
        Not upright, and in the axes they came in, where the vertical is not sure.

    Raises:
        SettingError: the tilt is beyond any that a person can be judged from.
    """
    if tilt is not None and not abs(tilt) <= MOST_TILT:
        raise SettingError(f'tilt must be from -{MOST_TILT:g} to {MOST_TILT:g} degrees, got {tilt}')
    if joints.upright:
        return joints
    if tilt is None:
        up = found_vertical(joints)
        if up is None:
            return joints
    else:
        angle = math.radians(tilt)
        up = np.array([0.0, math.cos(angle), math.sin(angle)])
    return replace(joints, joints=joints.joints @ rotation_to_y(up).T, upright=True)


def rotation_to_y(up: np.ndarray) -> np.ndarray:
    """The least rotation (3, 3) that takes a direction (3,) of length 1 to y (Rodrigues)."""
    x, y, z = up
    cross = np.array([[0, -x, 0], [x, 0, z], [0, -z, 0]])  # of up x (0, 1, 0)
    return np.eye(3) + cross + cross @ cross / (1 + y)


def _on_floor(joints: Joints3D, ankles: np.ndarray, standing: np.ndarray, up: np.ndarray) -> bool:
    """Whether feet and ankles (2, T, 3) lie across a direction."""
    across = _slope(ankles[0, standing] - ankles[1, standing], up)
    if not abs(across) <= ANKLES_OFF:
        return False
    names = joints.skeleton.joints
    if not all(f'{s}_{part}' in names for s in _SIDES for part in ('heel', 'foot_index')):
        return True
    feet = (_both(joints, 'foot_index') - _both(joints, 'heel'))[:, standing]
    return abs(_slope(feet, up) - FOOT_SLOPE) <= FOOT_OFF


def _both(joints: Joints3D, part: str) -> np.ndarray:
    """(2, T, 3), left and right."""
    return np.stack([joints.joint(f'{side}_{part}') for side in _SIDES])


def _slope(vectors: np.ndarray, up: np.ndarray) -> float:
    """Degrees by which vectors (..., 3) rise, on average."""
    return float(np.degrees(np.arcsin(np.clip(_unit(vectors) @ up, -1, 1))).mean())


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(_length(vectors), 1e-12)[..., None]


def _frame_seconds(joints: Joints3D) -> float:
    """From one frame to the next, the median; 0 of a single frame."""
    return float(np.median(np.diff(joints.times))) if len(joints.times) > 1 else 0.0
