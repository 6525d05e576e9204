"""Small things that cover single joints, for annotations that call a joint hidden.

Shape letters: N frames, K image joints.
"""

import cv2
import numpy as np
from scipy.ndimage import minimum_filter1d

from ..athletes.lifting import smooth
from .occluders import Occluder

_SPRITE = 64  # pixels of the drawn thing's side
_ENTRY = 4  # frames in which it comes in or goes out
_ENTRY_SPEED = 0.11  # metres per frame
_LARGEST = 0.10  # metres, the radius


def _sprite(
    rng: np.random.Generator, kind: str, colour: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(64, 64, 3) image and (64, 64) alpha; the middle disc of 0.8 of the side is opaque."""
    image = np.zeros((_SPRITE, _SPRITE, 3), np.uint8)
    alpha = np.zeros((_SPRITE, _SPRITE), np.uint8)
    colour = colour * rng.uniform(0.8, 1.2)
    middle = np.full(2, (_SPRITE - 1) / 2)
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    if kind == 'leaves':
        radius = 26 + 5 * np.sign(np.sin(angles * 12 + 0.1))
    elif kind == 'bag':
        radius = 27 + rng.normal(0, 1.2, 24)
    else:  # a box, the corners of which are further out
        radius = np.minimum(26 / np.maximum(np.abs(np.cos(angles)), np.abs(np.sin(angles))), 31)
    points = middle + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], -1)
    image[:] = colour
    rows = np.linspace(1.2, 0.75, _SPRITE)[:, None, None]
    image = np.clip(image * rows, 0, 255).astype(np.uint8)
    for _ in range(6):
        start, end = rng.integers(0, _SPRITE, (2, 2)).tolist()
        cv2.line(image, start, end, (colour * rng.uniform(0.6, 1.2)).tolist(), 3, cv2.LINE_AA)
    cv2.fillPoly(alpha, [np.rint(points * 8).astype(np.int32)], 255, cv2.LINE_AA, 3)
    return image, alpha


def cover_joints(
    rng: np.random.Generator,
    points: np.ndarray,
    wanted: np.ndarray,
    avoid: np.ndarray,
    scale: np.ndarray,
) -> list[Occluder]:
    """One layer for each joint that something has to hide.

    Args:
        points: (N, K, 2) pixels.
        wanted: (N, K) bool, to be covered. avoid: (N, K) bool, to be left free.
        scale: (N,) pixels per metre.
    """
    kind = str(rng.choice(['leaves', 'bag', 'box']))
    green = np.array([rng.uniform(20, 70), rng.uniform(70, 140), rng.uniform(25, 90)])
    dull = rng.uniform(40, 160) + rng.normal(0, 18, 3)
    colour = np.clip(green if kind == 'leaves' else dull, 10, 200)
    middle = np.median(points, 1)
    layers = []
    gaps = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)  # (N, K, K)
    gaps = np.where(avoid[:, None, :], gaps, np.inf)
    for joint in np.flatnonzero(wanted.any(0)):
        image, alpha = _sprite(rng, kind, colour)
        run = wanted[:, joint]
        frames = np.arange(len(run))
        away = np.abs(frames[:, None] - frames[run]).min(1)  # frames to the next run
        outward = points[:, joint] - middle
        outward = smooth(outward / (np.linalg.norm(outward, axis=-1, keepdims=True) + 1e-3), 3)
        centre = points[:, joint] + outward * (away * _ENTRY_SPEED * scale)[:, None]
        room = np.where(np.isfinite(gaps[:, joint]).any(1), gaps[:, joint].min(1), 1e3)
        radius = np.minimum(
            minimum_filter1d(np.minimum(0.62 * room - 1, _LARGEST * scale), 5), _LARGEST * scale
        )
        radius = np.minimum(smooth(np.maximum(radius, 2.5), 1.5), np.maximum(0.7 * room - 1, 2.5))
        free = np.linalg.norm(points - centre[:, None], axis=-1)
        free = np.where(avoid, free, np.inf).min(1)
        shown = run | ((away <= _ENTRY) & (radius > 5) & (free > 1.3 * radius + 1))
        zoom = np.where(shown, 2 * radius / (0.8 * _SPRITE), 0)
        matrices = np.zeros((len(run), 2, 3))
        matrices[:, 0, 0] = matrices[:, 1, 1] = np.maximum(zoom, 1e-6)
        matrices[:, :, 2] = centre - zoom[:, None] * (_SPRITE - 1) / 2
        matrices[~shown, :, 2] = -1e5
        layers.append(Occluder(image, alpha, matrices))
    return layers
