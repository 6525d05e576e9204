"""Exact labels of a synthetic body: where its joints are and which of them can be seen.

A joint is hidden where the foremost surface at its pixel belongs to a part it does not end at:
another limb, the far half of the torso behind the near one, or an occluder.

Shape letters: N frames, K image joints, P capsules, E ellipsoids.
"""

import numpy as np

from ..athletes.body import CAPSULES, ELLIPSOIDS, MATERIALS, PART, Appearance, Primitives
from .rasterizer import ellipsoid_code
from .surfaces import capsule_surface, ellipsoid_surface

_LIMB_ENDS = dict(
    shoulder=('upper_arm', 'torso'),
    elbow=('upper_arm', 'forearm'),
    wrist=('forearm', 'hand'),
    hip=('thigh', 'torso'),
    knee=('thigh', 'shin'),
    ankle=('shin', 'foot'),
)
_MIDDLE = dict(
    head=('head',), neck=('neck', 'left_torso', 'right_torso'), belly=('left_torso', 'right_torso')
)


def own_parts(joint: str) -> frozenset[int]:
    """The ids of the body parts at which a visible joint is seen."""
    if joint in _MIDDLE:
        return frozenset(PART[name] for name in _MIDDLE[joint])
    side, name = joint.split('_')
    return frozenset(PART[f'{side}_{part}'] for part in _LIMB_ENDS[name])


def front_part(primitives: Primitives, look: Appearance, pixels: np.ndarray) -> np.ndarray:
    """The id of the foremost body part at given pixels.

    Args:
        pixels: (N, K, 2), whole numbers, K pixels in each frame.

    Returns:
        (N, K) uint8, 0 where there is no body.
    """
    px, py = (pixels[..., i, None].astype(np.float32) for i in range(2))
    fields = np.moveaxis(primitives.capsules[:, None], -1, 0)
    hit, depth, *_ = capsule_surface(px, py, *fields)
    depths = [np.where(hit, depth, np.inf)]
    capsules = np.array([PART[c.part] for c in CAPSULES], np.uint8)
    parts: list[np.ndarray] = [np.broadcast_to(capsules, hit.shape)]
    for e in range(len(ELLIPSOIDS)):
        rows = np.moveaxis(primitives.inverses[:, e], 0, -1)[..., None]
        hit, depth, ball = ellipsoid_surface(
            px[..., 0], py[..., 0], primitives.centres[:, e].T[..., None], rows
        )
        depths.append(np.where(hit, depth, np.inf)[..., None])
        parts.append(ellipsoid_code(e, ball, look)[..., None] // len(MATERIALS))
    depth, part = np.concatenate(depths, -1), np.concatenate(parts, -1)
    first = depth.argmin(-1)[..., None]
    front = np.take_along_axis(part, first, -1)[..., 0]
    return np.where(np.isfinite(np.take_along_axis(depth, first, -1)[..., 0]), front, 0)


def label(
    primitives: Primitives,
    look: Appearance,
    keypoints: np.ndarray,
    names: tuple[str, ...],
    size: tuple[int, int],
    covered: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Which joints count and which are hidden.

    Args:
        keypoints: (N, K, 2) pixels. names: of the K joints.
        size: (width, height) of the picture.
        covered: (N, H, W) bool, the pixels under occluders.

    Returns:
        labelled, occluded: (N, K) bool; labelled joints lie inside the picture.
    """
    pixels = np.rint(keypoints).astype(int)
    labelled = ((pixels >= 0) & (pixels < size)).all(-1)
    front = front_part(primitives, look, pixels)
    occluded = np.stack(
        [~np.isin(front[:, k], list(own_parts(name))) for k, name in enumerate(names)], 1
    )
    if covered is not None:
        inside = np.clip(pixels, 0, np.array(size) - 1)
        occluded |= covered[np.arange(len(pixels))[:, None], inside[..., 1], inside[..., 0]]
    return labelled, occluded & labelled
