"""Plain alternatives to propagation: joints of single frames, carried or filtered over time.

Shapes: N frames of one video, K joints.
"""

from __future__ import annotations

import numpy as np

from rpstn.inference.one_euro import OneEuroFilter
from rpstn.video.frames import DEFAULT_FPS


def carried(joints: np.ndarray, scores: np.ndarray, least: float) -> np.ndarray:
    """Joints (N, K, 2) of which those with less than a score stay where the last frame had them.

    A first frame's are taken as they are.
    """
    found = joints.copy()
    for frame in range(1, len(found)):
        low = scores[frame] < least
        found[frame, low] = found[frame - 1, low]
    return found


def filtered(joints: np.ndarray, size: float, min_cutoff: float, beta: float) -> np.ndarray:
    """Joints (N, K, 2) through a one-euro filter; the person's size in pixels."""
    smooth = OneEuroFilter(min_cutoff, beta)
    return np.stack([smooth(frame, n / DEFAULT_FPS, size) for n, frame in enumerate(joints)])
