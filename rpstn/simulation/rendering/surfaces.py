"""Where a pixel's line of sight meets a tapered capsule or an ellipsoid.

The picture is drawn and the labels are made by these two functions, so that both agree about
what lies in front. Lines of sight are parallel to the depth axis; x, y, depth and radii are all
in pixels. Every argument broadcasts.
"""

import numpy as np


def capsule_surface(
    px: np.ndarray,
    py: np.ndarray,
    ax: np.ndarray,
    ay: np.ndarray,
    az: np.ndarray,
    bx: np.ndarray,
    by: np.ndarray,
    bz: np.ndarray,
    ra: np.ndarray,
    rb: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The front surface of a capsule from a (radius ra) to b (radius rb).

    Returns:
        hit: bool, whether the line of sight meets the capsule.
        depth: of the surface, meaningful where hit.
        t: in [0, 1], the position along the axis.
        normal: its x, y, z components as a tuple; z is negative, towards the camera.
    """
    dx, dy, dz = bx - ax, by - ay, bz - az
    length = np.sqrt(dx * dx + dy * dy) + np.float32(1e-3)
    tilt = dz / np.sqrt(length * length + dz * dz)
    ux, uy = dx / length, dy / length
    rx, ry = px - ax, py - ay
    along = rx * ux + ry * uy
    across = ry * ux - rx * uy
    inverse = 1 / length
    r = ra + (rb - ra) * np.clip(along * inverse, 0, 1)
    across2 = across * across
    bulge = np.sqrt(np.maximum(r * r - across2, 0))
    t = np.clip((along - bulge * tilt) * inverse, 0, 1)
    rest = along - t * length
    r = ra + (rb - ra) * t
    h2 = r * r - across2 - rest * rest
    h = np.sqrt(np.maximum(h2, 0))
    inverse = 1 / r
    normal = (
        (rest * ux - across * uy) * inverse,
        (rest * uy + across * ux) * inverse,
        -h * inverse,
    )
    return h2 > 0, az + t * dz - h, t, normal


def ellipsoid_surface(
    px: np.ndarray, py: np.ndarray, centre: np.ndarray, inverse: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
    """The front surface of an ellipsoid.

    Args:
        centre: (3, ...) x, y and depth of its centre.
        inverse: (3, 3, ...) the map from pixels off the centre to the unit ball in the body's axes
            (forward, left, up).

    Returns:
        hit: bool, whether the line of sight meets it.
        depth: of the surface, meaningful where hit.
        ball: forward, left and up coordinate of the surface on the unit ball.
    """
    dx, dy = px - centre[0], py - centre[1]
    flat = [row[0] * dx + row[1] * dy for row in inverse]
    a = inverse[0][2] ** 2 + inverse[1][2] ** 2 + inverse[2][2] ** 2
    b = inverse[0][2] * flat[0] + inverse[1][2] * flat[1] + inverse[2][2] * flat[2]
    c = flat[0] * flat[0] + flat[1] * flat[1] + flat[2] * flat[2] - 1
    root = b * b - a * c
    dz = (-b - np.sqrt(np.maximum(root, 0))) / a
    ball = tuple(f + row[2] * dz for f, row in zip(flat, inverse, strict=True))
    return root > 0, centre[2] + dz, ball
