"""Procedural backgrounds: rooms with a floor and a wall in perspective, and plain clutter.

Shape letters: (H, W) canvas pixels.
"""

import cv2
import numpy as np

from .camera import Camera

_TEXTURE = 256


def _noise(rng: np.random.Generator, size: int, grains: tuple[int, ...]) -> np.ndarray:
    """(size, size) float32 in about [-1, 1]: smooth noise on several scales."""
    out = np.zeros((size, size), np.float32)
    for grain in grains:
        coarse = rng.standard_normal((grain, grain)).astype(np.float32)
        out += cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)
    return out / len(grains) ** 0.5


def _tint(rng: np.random.Generator, low: float = 40, high: float = 220) -> np.ndarray:
    grey = rng.uniform(low, high)
    return np.clip(grey + rng.normal(0, 22, 3), 10, 250)


def _floor_texture(rng: np.random.Generator) -> np.ndarray:
    """(256, 256, 3) float32, repeated every 4 m: planks, tiles, lawn or carpet."""
    kind = rng.choice(['planks', 'tiles', 'grain', 'court'])
    image = np.tile(_tint(rng, 60, 190).astype(np.float32), (_TEXTURE, _TEXTURE, 1))
    if kind == 'planks':
        for y in range(0, _TEXTURE, 16):
            image[y : y + 16] *= rng.uniform(0.85, 1.1)
            image[y] *= 0.7
            x = int(rng.integers(_TEXTURE))
            image[y : y + 16, x : x + 1] *= 0.7
    elif kind == 'tiles':
        step = int(rng.choice([32, 64]))
        checker = np.add.outer(np.arange(_TEXTURE) // step, np.arange(_TEXTURE) // step) % 2
        image *= (1 - rng.uniform(0, 0.4) * checker)[..., None]
        image[::step] *= 0.75
        image[:, ::step] *= 0.75
    elif kind == 'court':
        for _ in range(3):
            colour = _muted(rng).tolist()
            x = int(rng.integers(_TEXTURE))
            cv2.line(image, (x, 0), (int(rng.integers(_TEXTURE)), _TEXTURE), colour, 4)
    grain = _noise(rng, _TEXTURE, (256, 64, 12))
    return image * (1 + 0.06 * grain[..., None])


def _wall_texture(rng: np.random.Generator) -> np.ndarray:
    """(256, 256, 3) float32, 8 m wide and high: paint, pictures, panels, bricks, things."""
    image = np.tile(_tint(rng).astype(np.float32), (_TEXTURE, _TEXTURE, 1))
    fade = np.linspace(rng.uniform(0.8, 1.2), rng.uniform(0.8, 1.2), _TEXTURE)
    image *= fade[:, None, None]
    for _ in range(int(rng.integers(2, 16))):
        scatter(rng, image, 10, 70)
    if rng.random() < 0.35:  # bricks or panels
        step = int(rng.choice([8, 16, 40]))
        image[::step] *= 0.8
        image[:, :: 2 * step] *= 0.88
    return image * (1 + 0.05 * _noise(rng, _TEXTURE, (128, 16))[..., None])


def _muted(rng: np.random.Generator) -> np.ndarray:
    """A colour (3,) as rooms have them: mostly dull, now and then bright."""
    colour = rng.uniform(15, 240, 3)
    return colour.mean() + (colour - colour.mean()) * rng.uniform(0.1, 1) ** 1.5


def scatter(rng: np.random.Generator, image: np.ndarray, small: float, large: float) -> None:
    """Draws one random shape: a box, a framed picture, an ellipse, a blob or a rail."""
    height, width = image.shape[:2]
    centre = rng.uniform(0, 1, 2) * (width, height)
    half = rng.uniform(small, large, 2) / 2
    colour = _muted(rng).tolist()
    low, high = (centre - half).astype(int).tolist(), (centre + half).astype(int).tolist()
    kind = rng.integers(5)
    if kind == 0:
        cv2.rectangle(image, low, high, colour, -1)
    elif kind == 1:
        cv2.rectangle(image, low, high, colour, -1)
        cv2.rectangle(image, low, high, _muted(rng).tolist(), 2)
    elif kind == 2:
        cv2.ellipse(
            image,
            centre.astype(int).tolist(),
            np.maximum(half, 1).astype(int).tolist(),
            rng.uniform(0, 180),
            0,
            360,
            colour,
            -1,
        )
    elif kind == 3:
        angles = np.sort(rng.uniform(0, 2 * np.pi, 7))
        points = centre + half * np.stack([np.cos(angles), np.sin(angles)], -1) * rng.uniform(
            0.5, 1, (7, 1)
        )
        cv2.fillPoly(image, [points.astype(np.int32)], colour)
    else:
        cv2.line(image, low, high, colour, int(rng.integers(2, 7)))


def room(
    rng: np.random.Generator,
    camera: Camera,
    size: tuple[int, int],
    origin: np.ndarray,
    middle: np.ndarray,
) -> np.ndarray:
    """Floor and wall as the unmoved camera sees them.

    Args:
        size: (width, height) of the canvas.
        origin: (2,) picture coordinates of the unmoved camera at the canvas's first pixel.
        middle: (3,) where the athlete is; the wall stands some metres behind.

    Returns:
        (H, W, 3) float32 BGR in [0, 255].
    """
    x, y = (
        (np.arange(size[i], dtype=np.float32) + np.float32(origin[i] - camera.centre[i]))
        / np.float32(camera.focal)
        for i in range(2)
    )
    # Rays in the world, (3, H, W), from the rows of the rotation.
    rays = [
        camera.rotation[0, i] * x + camera.rotation[1, i] * y[:, None] + camera.rotation[2, i]
        for i in range(3)
    ]
    back = camera.rotation[2].copy()
    back[2] = 0
    back /= np.linalg.norm(back) + 1e-9
    spin = rng.uniform(-0.5, 0.5)
    back[:2] = np.array([[np.cos(spin), -np.sin(spin)], [np.sin(spin), np.cos(spin)]]) @ back[:2]
    to_wall = (middle - camera.position) @ back + rng.uniform(0.8, 5)
    speed = np.maximum(rays[0] * back[0] + rays[1] * back[1], 1e-3)
    wall_time = to_wall / speed
    floor_time = np.where(rays[2] < -1e-4, -camera.position[2] / np.minimum(rays[2], -1e-4), 1e6)
    on_floor = floor_time < wall_time
    time = np.where(on_floor, floor_time, wall_time)
    hit = [camera.position[i] + time * rays[i] for i in range(3)]
    per_metre = _TEXTURE / 4
    wall = np.stack(
        [(hit[0] * -back[1] + hit[1] * back[0]) * per_metre / 2, -hit[2] * per_metre / 2], -1
    )
    ground = np.stack([hit[0] * per_metre, hit[1] * per_metre], -1)
    wall += rng.uniform(0, _TEXTURE, 2)
    ground += rng.uniform(0, _TEXTURE, 2)
    grid = np.where(on_floor[..., None], ground, wall).astype(np.float32)
    np.mod(grid, _TEXTURE, out=grid)
    both = []
    for texture in (_floor_texture(rng), _wall_texture(rng)):
        both.append(
            cv2.remap(
                texture, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
            )
        )
    image = np.where(on_floor[..., None], both[0], both[1])
    edge = np.clip(np.abs(floor_time - wall_time) / (0.04 * to_wall), 0, 1)
    return image * (0.75 + 0.25 * edge)[..., None].astype(np.float32)


def clutter(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A gradient under random shapes and noise, as `room` returns it; no perspective."""
    width, height = size
    ends = np.stack([_tint(rng), _tint(rng)])
    share = np.linspace(0, 1, height)[:, None, None]
    image = np.tile((ends[0] * (1 - share) + ends[1] * share).astype(np.float32), (1, width, 1))
    image = np.ascontiguousarray(image)
    for _ in range(int(rng.integers(4, 26))):
        scatter(rng, image, 0.05 * height, 0.5 * height)
    noise = cv2.resize(_noise(rng, 128, (128, 32, 8)), (width, height))
    return image * (1 + rng.uniform(0.02, 0.12) * noise)[..., None]


def backdrop(
    rng: np.random.Generator,
    size: tuple[int, int],
    camera: Camera,
    origin: np.ndarray,
    middle: np.ndarray,
) -> np.ndarray:
    """A background canvas (H, W, 3) uint8: a :func:`room`, or now and then :func:`clutter`."""
    if rng.random() < 0.75:
        image = room(rng, camera, size, origin, middle)
    else:
        image = clutter(rng, size)
    if rng.random() < 0.6:  # out of focus, as the background of a person mostly is
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.8) * max(size) / 256)
    return np.clip(image * rng.uniform(0.75, 1.15), 0, 255).astype(np.uint8)
