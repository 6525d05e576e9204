"""What inference answers.

Shapes: K joints, (H, W) image pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

STATES = ('started', 'tracked', 'lost')


@dataclass(frozen=True)
class PersonResult:
    """One person in one frame."""

    id: int
    """The same for the same person through the video; 0 is the first."""
    box: np.ndarray
    """(4,) x1 y1 x2 y2 pixels: what was looked at, without the padding that the config adds."""
    keypoints: np.ndarray
    """(K, 2) x y in image pixels, 0-based; may lie outside of the image."""
    scores: np.ndarray
    """(K,) heights of the heatmaps' peaks, about 1 where the model is sure."""
    state: str = 'tracked'
    """``'started'``: the frame was looked at alone, by the initializer P; ``'tracked'``: the pose
    of the frame before was carried on; ``'lost'``: hardly a joint is sure, and the person is
    searched for again."""


@dataclass(frozen=True)
class FrameResult:
    """One frame."""

    index: int
    """0-based, in the video; numbers that --stride or a busy live stream leaves out are missing."""
    time: float
    """Seconds since the video's first frame."""
    people: tuple[PersonResult, ...]
    """In the order of their ids; none where nobody was found."""
    image: np.ndarray | None = field(default=None, repr=False, compare=False)
    """(H, W, 3) BGR uint8, the frame itself."""
