"""Points of an image, x y in 0-based pixels; a pixel reaches from -0.5 to 0.5 around its centre."""

from __future__ import annotations

import numpy as np

from rpstn.limits import FARTHEST


def inside_image(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(...) bool, whether each of the points (..., 2) lies on a pixel; size is (width, height)."""
    return ((points >= -0.5) & (points < np.asarray(size) - 0.5)).all(axis=-1)


def too_far(values: np.ndarray) -> np.ndarray:
    """Bool of the same shape, whether a coordinate is a number, but beyond any joint."""
    return np.isfinite(values) & (np.abs(values) > FARTHEST)
