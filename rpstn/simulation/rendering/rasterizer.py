"""Draws body primitives into a depth buffer, several samples of the shutter time at once.

The samples are shifted by parts of a pixel as well, so that their mean is free of jagged edges.

Shape letters: N frames, S samples, P capsules, E ellipsoids, (h, w) region of the picture.
"""

from dataclasses import dataclass

import numpy as np

from ..athletes.body import CAPSULES, ELLIPSOIDS, MATERIAL, MATERIALS, PART, Appearance, Primitives
from .surfaces import capsule_surface, ellipsoid_surface

# Where in the pixel the samples lie: a rotated grid, and more of them for fast movement.
_SHIFTS = {
    1: ((0.0, 0.0),),
    3: ((-0.33, 0.0), (0.17, -0.33), (0.17, 0.33)),
    4: ((-0.125, -0.375), (0.375, -0.125), (-0.375, 0.125), (0.125, 0.375)),
    6: ((-0.42, -0.08), (0.08, 0.42), (0.25, -0.42), (-0.25, 0.25), (0.42, 0.08), (-0.08, -0.25)),
    12: tuple(
        (x, y)
        for x, y in zip(
            np.linspace(-0.45, 0.45, 12), (np.arange(12) * 5 % 12 - 5.5) / 12, strict=True
        )
    ),
}
AMBIENT, DIFFUSE = np.float32(0.66), np.float32(0.40)
_FAR = np.float32(1e9)


@dataclass(frozen=True)
class Buffers:
    """What the rasterizer leaves for the region at (x, y): code, light (S, h, w)."""

    x: int
    y: int
    code: np.ndarray
    light: np.ndarray


def sample(
    primitives: Primitives, frame: int, num: int, shutter: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The primitives of one frame at `num` moments while the shutter is open.

    Args:
        shutter: open time as a share of the time between two frames, centred on the frame.

    Returns:
        capsules (S, P, 8), centres (S, E, 3), inverses (S, E, 3, 3) and half extents (S, E, 2).
    """
    moments = (np.arange(num, dtype=np.float32) + 0.5) / num - 0.5
    out = []
    last = len(primitives.capsules) - 1
    for values in (primitives.capsules, primitives.centres, primitives.axes):
        now = values[frame]
        if shutter == 0 or num == 1 or last == 0:
            out.append(np.repeat(now[None], num, 0))
            continue
        before = values[frame - 1] if frame > 0 else 2 * now - values[frame + 1]
        after = values[frame + 1] if frame < last else 2 * now - before
        if values is primitives.capsules:  # radii must not go below zero
            before, after = before.copy(), after.copy()
            before[:, 6:], after[:, 6:] = (
                np.maximum(before[:, 6:], 0.1),
                np.maximum(after[:, 6:], 0.1),
            )
        move = np.where(moments[(...,) + (None,) * now.ndim] < 0, now - before, after - now)
        out.append(now + np.float32(shutter) * moments[(...,) + (None,) * now.ndim] * move)
    capsules, centres, axes = out
    if shutter == 0 or num == 1:
        inverses = np.repeat(primitives.inverses[frame][None], num, 0)
    else:
        inverses = np.linalg.inv(axes)
    return capsules, centres, inverses, np.sqrt((axes[..., :2, :] ** 2).sum(-1))


def num_samples(primitives: Primitives, frame: int, shutter: float, least: int = 4) -> int:
    """More samples where the body moves far while the shutter is open."""
    other = frame + 1 if frame + 1 < len(primitives.capsules) else max(frame - 1, 0)
    ends = primitives.capsules[..., 3:5]
    far = shutter * float(np.abs(ends[other] - ends[frame]).max())
    return 12 if far > 14 else 6 if far > 5 else least


def rasterize(
    primitives: Primitives,
    look: Appearance,
    frame: int,
    size: tuple[int, int],
    num: int = 4,
    shutter: float = 0.0,
) -> Buffers | None:
    """Part, material and light of every sample of the pixels that the body may cover.

    Args:
        size: (width, height) of the picture.
        num: samples, 1 (unshifted, for labels), 3, 4, 6 or 12.

    Returns:
        None where the body is outside the picture.
    """
    capsules, centres, inverses, extents = sample(primitives, frame, num, shutter)
    low = np.concatenate(
        [
            np.minimum(
                capsules[..., :2] - capsules[..., 6:7], capsules[..., 3:5] - capsules[..., 7:8]
            ).min(0),
            (centres[..., :2] - extents).min(0),
        ]
    )
    high = np.concatenate(
        [
            np.maximum(
                capsules[..., :2] + capsules[..., 6:7], capsules[..., 3:5] + capsules[..., 7:8]
            ).max(0),
            (centres[..., :2] + extents).max(0),
        ]
    )
    limit = np.array(size)
    low = np.clip(np.floor(low), 0, limit).astype(int)
    high = np.clip(np.ceil(high) + 1, 0, limit).astype(int)
    (x0, y0), (x1, y1) = low.min(0), high.max(0)
    if x1 <= x0 or y1 <= y0:
        return None
    shape = (num, y1 - y0, x1 - x0)
    depth = np.full(shape, _FAR, np.float32)
    code, light = np.zeros(shape, np.uint8), np.zeros(shape, np.float32)
    shifts = np.array(_SHIFTS[num], np.float32)[:, :, None, None]
    grid_x = np.arange(x0, x1, dtype=np.float32) + shifts[:, 0]
    grid_y = np.arange(y0, y1, dtype=np.float32)[:, None] + shifts[:, 1]
    sun = primitives.light[frame]
    for i, ((left, top), (right, bottom)) in enumerate(zip(low, high, strict=True)):
        if right <= left or bottom <= top:
            continue
        rows, columns = slice(top - y0, bottom - y0), slice(left - x0, right - x0)
        px, py = grid_x[..., columns], grid_y[:, rows]
        if i < len(CAPSULES):
            hit, z, codes, shade = _capsule(i, px, py, capsules[:, i], look, sun)
        else:
            e = i - len(CAPSULES)
            hit, z, codes, shade = _ellipsoid(
                e, px, py, centres[:, e], inverses[:, e], primitives.axes[frame, e], look, sun
            )
        region = (slice(None), rows, columns)
        hit &= z < depth[region]
        np.copyto(depth[region], z, where=hit)
        np.copyto(code[region], codes, where=hit)
        np.copyto(light[region], shade, where=hit)
    return Buffers(int(x0), int(y0), code, light)


def _capsule(
    i: int, px: np.ndarray, py: np.ndarray, fields: np.ndarray, look: Appearance, sun: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray | np.uint8, np.ndarray]:
    hit, z, t, normal = capsule_surface(px, py, *fields.T[:, :, None, None])
    first = PART[CAPSULES[i].part] * len(MATERIALS)
    near, far = first + int(look.near[i]), first + int(look.far[i])
    cut = float(look.cut[i])
    codes: np.ndarray | np.uint8
    if near == far or cut >= 1 or cut <= 0:
        codes = np.uint8(far if cut <= 0 else near)
    else:
        codes = np.where(t < cut, np.uint8(near), np.uint8(far))
    shade = normal[0] * sun[0] + normal[1] * sun[1] + normal[2] * sun[2]
    return hit, z, codes, AMBIENT + DIFFUSE * shade


def ellipsoid_code(e: int, ball: tuple[np.ndarray, ...], look: Appearance) -> np.ndarray:
    """uint8 code of points on the surface of ellipsoid `e`, given on the unit ball."""
    forward, left, up = ball
    if ELLIPSOIDS[e][0] == 'head':
        base = PART['head'] * len(MATERIALS)
        line = up - (1.25 * forward - 0.35 if look.hairline < 1 else 0.78 * np.ones_like(up))
        material = np.where(line > 0.75 - look.hairline, MATERIAL['hair'], MATERIAL['skin'])
        eyes = (forward > 0.6) & (np.abs(np.abs(left) - 0.38) < 0.15) & (np.abs(up - 0.06) < 0.085)
        mouth = (forward > 0.6) & (np.abs(left) < 0.24) & (np.abs(up + 0.52) < 0.05)
        material[eyes | mouth] = MATERIAL['eye']
        return (base + material).astype(np.uint8)
    half = np.where(left > 0, PART['left_torso'], PART['right_torso']) * len(MATERIALS)
    if ELLIPSOIDS[e][0] == 'pelvis':
        return (half + MATERIAL['shorts']).astype(np.uint8)
    shirt: int | np.ndarray = MATERIAL['shirt']
    if look.shirt_print == 'stripes':
        shirt = np.where(np.sin(11 * up) > 0, MATERIAL['print'], shirt)
    elif ELLIPSOIDS[e][0] == 'chest' and look.shirt_print == 'block':
        shirt = np.where(
            (forward > 0.2) & (np.abs(left) < 0.42) & (np.abs(up - 0.12) < 0.3),
            MATERIAL['print'],
            shirt,
        )
    elif look.shirt_print == 'panel':
        shirt = np.where(forward < -0.1, MATERIAL['print'], shirt)
    return (half + shirt).astype(np.uint8)


def _ellipsoid(
    e: int,
    px: np.ndarray,
    py: np.ndarray,
    centre: np.ndarray,
    inverse: np.ndarray,
    axes: np.ndarray,
    look: Appearance,
    sun: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rows = inverse.transpose(1, 2, 0)[..., None, None]
    hit, z, ball = ellipsoid_surface(px, py, centre.T[:, :, None, None], rows)
    # The normal in the body's axes is the ball's point over the half axes.
    radii = np.linalg.norm(axes, axis=0)
    towards = (axes / radii).T @ sun
    normal = [b * np.float32(radii[0] / r) for b, r in zip(ball, radii, strict=True)]
    norm = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2) + np.float32(1e-6)
    shade = (normal[0] * towards[0] + normal[1] * towards[1] + normal[2] * towards[2]) / norm
    return hit, z, ellipsoid_code(e, ball, look), AMBIENT + DIFFUSE * shade
