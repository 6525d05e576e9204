"""Errors of lifted joints, per frame.

Shapes: N frames, V joints. Axes of a camera: x right, y down, z away from it.
"""

from __future__ import annotations

import numpy as np

from rpstn.skeletons import Skeleton

_ROOT = 0  # the pelvis of lifter15
_MIRROR = np.array([1.0, 1.0, -1.0])


def n_mpjpe(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Mean distance of joints (N, V, 3) from the pelvis, after the best scale of each frame: (N,).

    Rhodin, Salzmann, Fua, ECCV 2018. Turning is not made good.
    """
    predicted, true = (joints - joints[:, [_ROOT]] for joints in (predicted, true))
    scale = (predicted * true).sum((1, 2)) / np.maximum((predicted**2).sum((1, 2)), 1e-12)
    return _distance(scale[:, None, None] * predicted, true)


def pa_mpjpe(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Mean distance of joints (N, V, 3) after the best shift, turn and scale of each frame: (N,).

    Procrustes alignment that never reflects (Umeyama, PAMI 13, 1991).
    """
    predicted, true = (joints - joints.mean(1, keepdims=True) for joints in (predicted, true))
    u, s, vt = np.linalg.svd(np.swapaxes(predicted, 1, 2) @ true)
    sign = np.ones_like(s)
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    turn = (u * sign[:, None]) @ vt
    scale = (s * sign).sum(1) / np.maximum((predicted**2).sum((1, 2)), 1e-12)
    return _distance(scale[:, None, None] * (predicted @ turn), true)


def mirrored(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Whether the mirror image in depth of joints (N, V, 3) fits better: (N,) bool."""
    return pa_mpjpe(predicted * _MIRROR, true) < pa_mpjpe(predicted, true)


def knee_flexion(joints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Degrees from straight, left and right, of joints (N, V, 3): (N, 2)."""
    angles = []
    for side in ('left', 'right'):
        hip, knee, ankle = (
            joints[:, skeleton.index(f'{side}_{part}')] for part in ('hip', 'knee', 'ankle')
        )
        thigh, shank = knee - hip, ankle - knee
        across = np.linalg.norm(np.cross(thigh, shank), axis=-1)
        angles.append(np.degrees(np.arctan2(across, (thigh * shank).sum(-1))))
    return np.stack(angles, axis=1)


def _distance(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    return np.linalg.norm(predicted - true, axis=-1).mean(-1)
