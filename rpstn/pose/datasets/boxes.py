"""Boxes of a person where the data set has none, and joints that lie in the image.

Boxes are x1 y1 x2 y2, points x y, both in 0-based pixels; a pixel reaches from -0.5 to 0.5
around its centre.
"""

from __future__ import annotations

import numpy as np

from rpstn.data.points import inside_image

__all__ = ['fill_boxes', 'has_area', 'inside_image', 'joints_boxes', 'mask_box']


def joints_boxes(points: np.ndarray, used: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The tight boxes (N, 4) around points (N, K, 2), cut at the image's border.

    Args:
        used: (N, K) bool, the points that count; a frame without any has the box NaN.
        size: (width, height).
    """
    low = np.where(used[..., None], points, np.inf).min(axis=1)
    high = np.where(used[..., None], points, -np.inf).max(axis=1)
    boxes = np.clip(np.concatenate([low, high], axis=1), 0, np.tile(np.asarray(size) - 1, 2))
    return np.where(used.any(axis=1, keepdims=True), boxes, np.nan)


def mask_box(mask: np.ndarray) -> np.ndarray:
    """The tight box (4,) of the pixels set in a mask (H, W); NaN for an empty one."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return np.full(4, np.nan)
    return np.array([columns[0], rows[0], columns[-1], rows[-1]], float)


def has_area(boxes: np.ndarray) -> np.ndarray:
    """(...) bool for boxes (..., 4): finite, x1 < x2 and y1 < y2."""
    return np.isfinite(boxes).all(axis=-1) & (boxes[..., 2:] > boxes[..., :2]).all(axis=-1)


def fill_boxes(boxes: np.ndarray, instead: np.ndarray) -> tuple[np.ndarray, int]:
    """Replace boxes without area, and say how many.

    Args:
        boxes: (N, 4), of consecutive frames.
        instead: (N, 4), to take where ``boxes`` has none; where these have no area either, the
            box of the nearest frame is repeated.

    Returns:
        The boxes (N, 4), still without area only if no frame has a usable one; and the number
        of boxes that were replaced.
    """
    good = has_area(boxes)
    filled = np.where(good[:, None], boxes, instead)
    usable = np.flatnonzero(has_area(filled))
    if len(usable):
        nearest = np.abs(np.arange(len(filled))[:, None] - usable).argmin(axis=1)
        filled = filled[usable[nearest]]
    return filled, int((~good).sum())
