"""Blur by movement, over whole frames."""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from rpstn.errors import SettingError

from .draws import video_rng


def line_kernel(length: int, angle: float) -> np.ndarray:
    """(length, length) float32 that sums to 1: a point that moves evenly along a line.

    Args:
        length: of the line in pixels, odd.
        angle: of it, radians.
    """
    half = (length - 1) / 2
    along = np.linspace(-half, half, 16 * length)[:, None]
    points = half + along * [np.cos(angle), np.sin(angle)]
    low = np.clip(np.floor(points).astype(int), 0, max(length - 2, 0))
    share = points - low
    kernel = np.zeros((length, length), np.float32)
    for dx in (0, 1):
        for dy in (0, 1):
            weight = np.abs(1 - dx - share[:, 0]) * np.abs(1 - dy - share[:, 1])
            np.add.at(
                kernel,
                (np.minimum(low[:, 1] + dy, length - 1), np.minimum(low[:, 0] + dx, length - 1)),
                weight,
            )
    return kernel / kernel.sum()


@TRANSFORMS.register_module()
class MotionBlur(BaseTransform):
    """Every frame of a clip as if the camera moved evenly while the shutter was open.

    The direction follows from ``seed`` and the video's name alone. Frames are centred on the
    middle of the movement, so that labels stay right. Comes behind :class:`LoadClip`; frames are
    changed in place.

    Args:
        length: of the movement, pixels of the frame, odd.
        seed: of the direction. Defaults to 0.

    Raises:
        SettingError: an even length, or one below 1.
    """

    def __init__(self, length: int, seed: int = 0) -> None:
        if length < 1 or length % 2 == 0:
            raise SettingError(f'MotionBlur: length must be odd and at least 1, got {length}')
        self.length, self.seed = length, seed

    def transform(self, results: dict) -> dict:
        angle = video_rng(self.seed, results).uniform(0, np.pi)
        kernel = line_kernel(self.length, angle)
        for frame in results['frames']:
            frame['img'] = cv2.filter2D(frame['img'], -1, kernel, borderType=cv2.BORDER_REPLICATE)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(length={self.length}, seed={self.seed})'
