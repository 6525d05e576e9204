"""A body of known lengths that stands, squats or lies, as a camera sees it."""

from __future__ import annotations

import math

import numpy as np

from rpstn.lift import Joints3D
from rpstn.skeletons import SKELETONS

SKELETON = SKELETONS['mediapipe33']
HEIGHT = 1.80


def rotation(axis: str, degrees: float) -> np.ndarray:
    """(3, 3) about an axis, counter-clockwise as seen against it."""
    sin, cos = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    first, second = {'x': (1, 2), 'y': (2, 0), 'z': (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = cos
    matrix[first, second], matrix[second, first] = -sin, sin
    return matrix


def squatting(knee: float = 0.0, lean: float = 0.0) -> np.ndarray:
    """(33, 3) facing the camera, y up, z towards it, hips at the origin; what is not needed is NaN.

    Args:
        knee: flexion in degrees, shank and thigh leaning by half of it each.
        lean: of the trunk, forwards, degrees.
    """
    joints = np.full((33, 3), np.nan)
    half, forwards = math.radians(knee / 2), math.radians(lean)
    thigh, shank, trunk = (share * HEIGHT for share in (0.245, 0.246, 0.288))
    for side, x in (('left', 0.1), ('right', -0.1)):  # the camera's right is their left
        hip = np.array([x, 0, 0])
        knees = hip + thigh * np.array([0, -math.cos(half), math.sin(half)])
        ankle = knees + shank * np.array([0, -math.cos(half), -math.sin(half)])
        places = dict(
            hip=hip,
            knee=knees,
            ankle=ankle,
            shoulder=hip + trunk * np.array([0, math.cos(forwards), math.sin(forwards)]),
            heel=ankle + (0, -0.04, -0.05),
            foot_index=ankle + (0, -0.07, 0.15),
        )
        for part, place in places.items():
            joints[SKELETON.index(f'{side}_{part}')] = place
    return joints


def joints_of(poses: np.ndarray, fps: float = 25.0, **fields) -> Joints3D:
    """Poses (T, 33, 3) as a source answers them."""
    known = np.isfinite(poses).all(-1)
    return Joints3D(
        **dict(
            dict(
                joints=poses,
                scores=known.astype(float),
                times=np.arange(len(poses)) / fps,
                frames=np.arange(len(poses)),
                skeleton=SKELETON,
                source='test',
                scale='nominal',
                upright=False,
            ),
            **fields,
        )
    )


def squat(frames: int = 50) -> np.ndarray:
    """(T, 33, 3): standing, down to 100 degrees of knee flexion, and up again."""
    phase = np.clip(np.linspace(-0.5, 1.5, frames), 0, 1)
    knees = 50 * (1 - np.cos(2 * np.pi * phase))
    return np.stack([squatting(knee, 0.4 * knee) for knee in knees])
