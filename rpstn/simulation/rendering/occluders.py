"""Things in front of the athlete: furniture, poles, plants, passers-by.

Shape letters: N frames, (H, W) canvas pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

Colour = Sequence[float]
Point = tuple[float, float] | np.ndarray

_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates


@dataclass(frozen=True)
class Occluder:
    """A flat layer that moves before the athlete.

    Attributes:
        image: (H, W, 3) uint8 BGR. alpha: (H, W) uint8.
        matrices: (N, 2, 3) from the layer's pixels to the picture's.
    """

    image: np.ndarray
    alpha: np.ndarray
    matrices: np.ndarray

    def _region(self, frame: int, size: tuple[int, int]) -> tuple[int, int, int, int, np.ndarray]:
        """x1 y1 x2 y2 of the picture that the layer may touch, and the matrix to there."""
        matrix = self.matrices[frame]
        height, width = self.alpha.shape
        corners = np.array([(-1, -1), (width, -1), (-1, height), (width, height)], float)
        corners = corners @ matrix[:, :2].T + matrix[:, 2]
        low = np.clip(np.floor(corners.min(0)), 0, size).astype(int)
        high = np.clip(np.ceil(corners.max(0)) + 1, 0, size).astype(int)
        shifted = matrix.copy()
        shifted[:, 2] -= low
        (x1, y1), (x2, y2) = low.tolist(), high.tolist()
        return x1, y1, x2, y2, shifted

    def paint(self, image: np.ndarray, frame: int) -> None:
        """Blends the layer into a picture (H, W, 3) uint8, in place."""
        height, width = image.shape[:2]
        x1, y1, x2, y2, matrix = self._region(frame, (width, height))
        if x2 <= x1 or y2 <= y1:
            return
        size = x2 - x1, y2 - y1
        weight = cv2.warpAffine(self.alpha, matrix, size).astype(np.float32) / 255
        layer = cv2.warpAffine(self.image, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        region = image[y1:y2, x1:x2]
        region[:] = cv2.blendLinear(layer, np.ascontiguousarray(region), weight, 1 - weight)

    def mask(self, frame: int, size: tuple[int, int]) -> np.ndarray:
        """(H, W) uint8 alpha of one frame, of `size` (width, height)."""
        out = np.zeros(size[::-1], np.uint8)
        x1, y1, x2, y2, matrix = self._region(frame, size)
        if x2 > x1 and y2 > y1:
            out[y1:y2, x1:x2] = cv2.warpAffine(self.alpha, matrix, (x2 - x1, y2 - y1))
        return out


def cover_masks(
    occluders: Sequence[Occluder], num_frames: int, size: tuple[int, int]
) -> np.ndarray | None:
    """(N, H, W) bool, what lies under an occluder; None if there are none."""
    if not occluders:
        return None
    return np.stack(
        [np.maximum.reduce([o.mask(i, size) for o in occluders]) > 127 for i in range(num_frames)]
    )


class _Brush:
    """Draws shapes into an image and its alpha at once, coordinates in floating point."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.image = np.zeros((size[1], size[0], 3), np.uint8)
        self.alpha = np.zeros((size[1], size[0]), np.uint8)

    def polygon(self, points: np.ndarray | Sequence[Point], colour: Colour) -> None:
        points = np.rint(np.asarray(points) * (1 << _SHIFT)).astype(np.int32)
        # The image is drawn a little larger, so that soft edges do not show black.
        cv2.fillPoly(self.image, [points], colour, cv2.LINE_8, _SHIFT)
        cv2.polylines(self.image, [points], True, colour, 2, cv2.LINE_8, _SHIFT)
        cv2.fillPoly(self.alpha, [points], 255, cv2.LINE_AA, _SHIFT)

    def box(self, low: Point, high: Point, colour: Colour) -> None:
        (x0, y0), (x1, y1) = low, high
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def ellipse(self, centre: Point, half: Point, angle: float, colour: Colour) -> None:
        circle = np.asarray(cv2.ellipse2Poly((0, 0), (1000, 1000), 0, 0, 360, 15)) / 1000
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, sin], [-sin, cos]])
        self.polygon(circle * np.asarray(half) @ turn + np.asarray(centre), colour)


def _shades(rng: np.random.Generator) -> tuple[list[float], list[float]]:
    base = rng.uniform(20, 210, 3) * rng.uniform(0.5, 1)
    return base.tolist(), (base * rng.uniform(0.6, 0.85)).tolist()


def _furniture(rng: np.random.Generator, brush: _Brush, at: np.ndarray, height: float) -> None:
    light, dark = _shades(rng)
    width = height * rng.uniform(0.25, 0.7)
    top = at[1] - height * rng.uniform(0.05, 0.15)
    x0, x1 = at[0] - width * rng.uniform(0.3, 0.7), at[0] + width * rng.uniform(0.3, 0.7)
    floor = top + height * rng.uniform(0.3, 0.8)
    if rng.random() < 0.5:  # a crate or a sofa
        brush.box((x0, top), (x1, floor), light)
        brush.box((x0, top), (x1, top + 0.15 * (floor - top)), dark)
    else:  # a table or a bench
        thick = height * rng.uniform(0.1, 0.2)
        brush.box((x0, top), (x1, top + thick), light)
        leg = height * rng.uniform(0.03, 0.06)
        for x in (x0, x1 - leg):
            brush.box((x, top + thick), (x + leg, floor), dark)


def _pole(rng: np.random.Generator, brush: _Brush, at: np.ndarray, height: float) -> None:
    light, dark = _shades(rng)
    half, slant = height * rng.uniform(0.03, 0.08), height * rng.normal(0, 0.05)
    reach = 2 * height
    for edge, colour in ((half, light), (half * 0.3, dark)):
        brush.polygon(
            [
                (at[0] - half + slant, at[1] - reach),
                (at[0] - half + 2 * edge + slant, at[1] - reach),
                (at[0] - half + 2 * edge - slant, at[1] + reach),
                (at[0] - half - slant, at[1] + reach),
            ],
            colour,
        )


def _plant(rng: np.random.Generator, brush: _Brush, at: np.ndarray, height: float) -> None:
    base = np.array([rng.uniform(20, 70), rng.uniform(70, 150), rng.uniform(20, 90)])
    size = height * rng.uniform(0.12, 0.22)
    root = np.array([at[0] + rng.normal(0, 0.3) * size, at[1] + rng.uniform(1.2, 2.0) * size])
    for _ in range(int(rng.integers(16, 34))):
        tip = np.asarray(at) + rng.normal(0, 0.6, 2) * size
        leaf, angle = tip - root, np.arctan2(*(tip - root)[::-1])
        brush.ellipse(
            root + 0.7 * leaf,
            (float(np.linalg.norm(leaf)) * 0.42, size * rng.uniform(0.12, 0.3)),
            angle,
            (base * rng.uniform(0.5, 1.4)).tolist(),
        )
    pot = rng.uniform(30, 180, 3).tolist()
    brush.polygon(
        [
            root + (-0.5 * size, 0),
            root + (0.5 * size, 0),
            root + (0.38 * size, size),
            root + (-0.38 * size, size),
        ],
        pot,
    )


def _passer_by(rng: np.random.Generator, brush: _Brush, at: np.ndarray, height: float) -> None:
    """Somebody near the camera, seen from behind or from the side, from the head down."""
    shirt, trousers = _shades(rng)
    hair = (rng.uniform(10, 90) * np.array([0.7, 0.85, 1.0])).tolist()
    skin = (np.array([110, 140, 185]) * rng.uniform(0.5, 1.1)).tolist()
    size = height * rng.uniform(1.15, 1.9)
    top = at[1] - size * rng.uniform(0.08, 0.4)
    x, wide = at[0], size * rng.uniform(0.075, 0.13)
    waist = top + 0.48 * size
    brush.box((x - 0.35 * wide, top + 0.1 * size), (x + 0.35 * wide, top + 0.2 * size), skin)
    for side in (-1, 1):
        brush.ellipse(
            (x + side * wide * 1.05, top + 0.34 * size),
            (0.042 * size, 0.18 * size),
            0,
            trousers if rng.random() < 0.2 else shirt,
        )
        brush.ellipse(
            (x + side * wide * 0.5, waist + 0.25 * size), (0.07 * size, 0.32 * size), 0, trousers
        )
    brush.polygon(
        [
            (x - wide, top + 0.19 * size),
            (x - 0.4 * wide, top + 0.165 * size),
            (x + 0.4 * wide, top + 0.165 * size),
            (x + wide, top + 0.19 * size),
            (x + 0.85 * wide, waist),
            (x - 0.85 * wide, waist),
        ],
        shirt,
    )
    brush.ellipse((x, top + 0.075 * size), (0.055 * size, 0.075 * size), 0, hair)


_KINDS = dict(furniture=_furniture, pole=_pole, plant=_plant, passer_by=_passer_by)


def random_occluder(
    rng: np.random.Generator,
    size: tuple[int, int],
    matrices: np.ndarray,
    frame: int,
    target: np.ndarray,
    height: float,
) -> Occluder:
    """Something that covers the point `target` of the picture in one frame.

    Args:
        size: (width, height) of the canvas.
        matrices: (N, 2, 3) from the canvas to the picture, the camera's movement.
        target: (2,) picture pixels. height: of the athlete, in pixels.
    """
    kind = str(rng.choice(list(_KINDS)))
    drift = np.zeros(2)
    if kind == 'passer_by':
        drift[0] = rng.choice([-1, 0, 1]) * rng.uniform(0.004, 0.03) * height
    matrices = matrices.copy()
    steps = np.arange(len(matrices)) - frame
    matrices[:, :, 2] += steps[:, None] * drift
    linear, move = matrices[frame][:, :2], matrices[frame][:, 2]
    at = np.linalg.solve(linear, np.asarray(target) - move)
    brush = _Brush(size)
    _KINDS[kind](rng, brush, at, height / np.sqrt(np.linalg.det(linear)))
    if rng.random() < 0.4:  # nearer than the focus
        sigma = rng.uniform(0.4, 1.0) * height / 150
        brush.alpha = cv2.GaussianBlur(brush.alpha, (0, 0), sigma)
        filled = cv2.dilate(brush.image, np.ones((5, 5), np.uint8))
        empty = ~brush.image.any(-1)
        brush.image[empty] = filled[empty]
    return Occluder(brush.image, brush.alpha, matrices)
