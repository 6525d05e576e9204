"""Puts background, shadow, body and occluders together to a picture.

Shape letters: N frames, P capsules, S samples, (H, W) picture pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np

from ..athletes.body import MATERIALS, Appearance, Primitives
from .occluders import Occluder
from .rasterizer import num_samples, rasterize


@dataclass(frozen=True)
class Shadow:
    """The shadow on the floor: ends (N, P, 2, 2) and half width (N, P) in pixels, its strength
    in [0, 1]."""

    ends: np.ndarray
    radii: np.ndarray
    strength: float


@dataclass(frozen=True)
class Grade:
    """What the lens and the sensor do: brightness, contrast, colour cast, blur and noise.

    Attributes:
        table: (256, 3) uint8, the tone curve of each channel.
        blur: standard deviation in pixels, 0 for none.
        noise: (H + 32, W + 32) int16, from which each frame takes a piece.
        offsets: (N, 2) where each frame takes it.
    """

    table: np.ndarray
    blur: float
    noise: np.ndarray
    offsets: np.ndarray

    @classmethod
    def random(cls, rng: np.random.Generator, num_frames: int, size: tuple[int, int]) -> 'Grade':
        levels = np.arange(256)[:, None] / 255
        gamma = np.exp(rng.normal(0, 0.18))
        cast = np.clip(rng.normal(1, 0.05, 3), 0.85, 1.15)
        contrast, shift = rng.uniform(0.78, 1.12), rng.uniform(-12, 16)
        table = 255 * contrast * cast * levels**gamma + shift + 127 * (1 - contrast)
        noise = rng.normal(0, rng.uniform(0.5, 4.5), (size[1] + 32, size[0] + 32))
        blur = float(rng.uniform(0.4, 0.9) * max(size) / 192) if rng.random() < 0.35 else 0.0
        return cls(
            np.clip(np.rint(table), 0, 255).astype(np.uint8),
            blur,
            np.rint(noise).astype(np.int16),
            rng.integers(0, 33, (num_frames, 2)),
        )

    def apply(self, image: np.ndarray, frame: int) -> np.ndarray:
        if self.blur:
            image = cv2.GaussianBlur(image, (0, 0), self.blur)
        image = cv2.LUT(image, self.table[None])
        dy, dx = self.offsets[frame]
        height, width = image.shape[:2]
        noise = cv2.merge([self.noise[dy : dy + height, dx : dx + width]] * 3)
        return cv2.add(image, noise, dtype=cv2.CV_8U)


@dataclass(frozen=True)
class Scene:
    """Everything that is needed to draw any frame of a clip.

    Attributes:
        size: (width, height) of the picture.
        paint_canvas: returns the background canvas (H, W, 3); called once, when first needed.
        matrices: (N, 2, 3) from the canvas's pixels to the picture's.
        shutter: open time of the shutter as a share of the time between frames; 0 for none.
        samples: per pixel; more where the movement is fast.
    """

    size: tuple[int, int]
    primitives: Primitives
    look: Appearance
    paint_canvas: Callable[[], np.ndarray] = field(repr=False)
    matrices: np.ndarray
    grade: Callable[[], Grade] = field(repr=False)
    occluders: tuple[Occluder, ...] = ()
    shadow: Shadow | None = None
    shutter: float = 0.0
    samples: int = 4

    def __len__(self) -> int:
        return len(self.matrices)

    @cached_property
    def _canvas(self) -> np.ndarray:
        return self.paint_canvas()

    @cached_property
    def _grade(self) -> Grade:
        return self.grade()

    def render(self, frame: int) -> np.ndarray:
        """One picture (H, W, 3) uint8 BGR; the same however often and in whatever order."""
        image = cv2.warpAffine(
            self._canvas, self.matrices[frame], self.size, borderMode=cv2.BORDER_REFLECT_101
        )
        if self.shadow is not None:
            _darken(image, self.shadow, frame)
        paint_body(image, self.primitives, self.look, frame, self.shutter, self.samples)
        for occluder in self.occluders:
            occluder.paint(image, frame)
        return self._grade.apply(image, frame)

    def part_map(self, frame: int) -> np.ndarray:
        """(H, W) uint8, the id of the part that each pixel shows at the middle of the exposure;
        0 background, 255 an occluder."""
        out = np.zeros(self.size[::-1], np.uint8)
        buffers = rasterize(self.primitives, self.look, frame, self.size, 1)
        if buffers is not None:
            code = buffers.code[0] // len(MATERIALS)
            out[buffers.y : buffers.y + code.shape[0], buffers.x : buffers.x + code.shape[1]] = code
        for occluder in self.occluders:
            out[occluder.mask(frame, self.size) > 127] = 255
        return out


def paint_body(
    image: np.ndarray,
    primitives: Primitives,
    look: Appearance,
    frame: int,
    shutter: float = 0.0,
    samples: int = 4,
) -> None:
    """Paint one frame of a body over a picture (H, W, 3) uint8, in place; see :class:`Scene`."""
    num = num_samples(primitives, frame, shutter, samples)
    size = image.shape[1], image.shape[0]
    buffers = rasterize(primitives, look, frame, size, num, shutter)
    if buffers is None:
        return
    height, width = buffers.code.shape[1:]
    flat = buffers.code.reshape(-1)
    hit = np.flatnonzero(flat)
    # float32 sums over the samples; hits of one pixel lie height * width apart.
    colour = np.zeros((flat.size, 3), np.float32)
    colour[hit] = look.palette[flat[hit]] * buffers.light.reshape(-1)[hit, None]
    colour = colour.reshape(num, height, width, 3).sum(0)
    bare = (buffers.code == 0).sum(0, dtype=np.float32)[..., None]
    region = image[buffers.y : buffers.y + height, buffers.x : buffers.x + width]
    colour += bare * region
    colour *= np.float32(1 / num)
    np.minimum(colour, 255, out=colour)
    region[:] = colour


def body_mask(
    primitives: Primitives, look: Appearance, frame: int, size: tuple[int, int]
) -> np.ndarray:
    """(H, W) bool, the pixels of a picture of ``size`` (width, height) that show the body."""
    out = np.zeros(size[::-1], bool)
    buffers = rasterize(primitives, look, frame, size, 1)
    if buffers is not None:
        code = buffers.code[0]
        out[buffers.y : buffers.y + code.shape[0], buffers.x : buffers.x + code.shape[1]] = code > 0
    return out


def _darken(image: np.ndarray, shadow: Shadow, frame: int) -> None:
    """Draws the shadow at half the resolution, softens it, and takes light away."""
    small = (image.shape[1] + 1) // 2, (image.shape[0] + 1) // 2
    mask = np.zeros((small[1], small[0]), np.uint8)
    ends = np.clip(shadow.ends[frame] * 4, -1e6, 1e6)  # half the size, three fractional bits
    points = np.rint(ends).astype(np.int32).tolist()
    widths = np.clip(shadow.radii[frame], 1, 200).astype(int).tolist()
    for (start, end), width in zip(points, widths, strict=True):
        cv2.line(mask, start, end, 255, width, cv2.LINE_8, 3)
    mask = cv2.resize(cv2.blur(mask, (5, 5)), image.shape[1::-1])
    light = 1 - mask.astype(np.float32) * np.float32(shadow.strength / 255)
    np.copyto(image, cv2.multiply(image, cv2.merge([light] * 3), dtype=cv2.CV_8U))
