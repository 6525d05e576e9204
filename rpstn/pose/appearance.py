"""What a person looks like: the colours of the trunk, by which people are told apart.

Where somebody crosses, joints alone do not say who is whom, and a recurrence goes on with whoever
is in front. Clothes do say it, mostly: of the trunk, which is seen best, a histogram of CIELAB's
colours is kept, and compared by Bhattacharyya's coefficient (as in Comaniciu et al., Kernel-based
object tracking, PAMI 2003).

Points are x y, in 0-based image pixels. Shapes: K joints, (H, W) image pixels.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from .bodies import Body, BodyJoints

BINS = (6, 10, 10)
"""Of lightness, green to red, and blue to yellow."""
RANGES = (0, 256, 78, 178, 78, 178)
"""Of OpenCV's 8-bit CIELAB; stronger colours count as the strongest of these."""
PIXELS = 2500
"""Of the trunk's surroundings that are looked at, about; of larger ones only some."""
FEWEST = 20
"""Pixels of a trunk; fewer say nothing."""


class Appearance:
    """The colours of one person's trunk, over time, and for how long they have been others.

    All was chosen on JHMDB's validation and training clips with somebody who crosses.

    Attributes:
        body: where the person was when the colours were the person's last.
        strange_for: frames since they have been another's.
    """

    ALIKE = 0.6
    """Coefficient from which colours are the person's."""
    BETTER, LEAST = 0.15, 0.5
    """By how much somebody else has to be more like the person than who is followed, and how
    like."""
    RATE = 0.1
    """Weight of a frame in what is kept."""
    PATIENCE, MOST = 3, 50
    """Frames of other colours before one looks about, and until they are the person's: light
    changes, and people turn round."""
    PAUSE = 4
    """Frames between two looks."""
    REACH = 2.0
    """Radii from where the person was last, within which one looks."""

    def __init__(self) -> None:
        self._kept: np.ndarray | None = None
        self._seen: np.ndarray | None = None  # in the last frame
        self._last = 0.0
        self._strange = 0
        self.strange_for = 0
        self.body: Body | None = None

    @property
    def doubtful(self) -> bool:
        """Whether it is time to look about for the person."""
        late = self._strange - self.PATIENCE
        return self._seen is not None and late >= 0 and late % self.PAUSE == 0

    def see(self, colours: np.ndarray | None, body: Body) -> None:
        """Take note of the next frame's colours (:func:`colours_of`), those of a body; None where
        they are not known.
        """
        self._seen = colours
        self.strange_for += self.strange_for > 0
        if colours is None:
            return
        if self._kept is None:
            self._kept = colours
        self._last = self.likeness(colours)
        if self._last >= self.ALIKE:
            self._kept = (1 - self.RATE) * self._kept + self.RATE * colours
            self.found()
        else:
            self._strange += 1
            self.strange_for = max(self.strange_for, 1)
        if self._strange > self.MOST:
            self._kept = colours
            self.found()
        if not self._strange:
            self.body = body

    def likeness(self, colours: np.ndarray) -> float:
        """From 0 to 1, the Bhattacharyya coefficient with what is kept; 0 before anything is."""
        return 0.0 if self._kept is None else float(np.sqrt(self._kept * colours).sum())

    def reaches(self, body: Body) -> bool:
        """Whether another body is near where the person was last."""
        last = self.body
        return last is not None and math.dist(last.center, body.center) < self.REACH * last.radius

    def fits_better(self, colours: np.ndarray) -> bool:
        """Whether somebody of these colours is rather the person than who was seen last."""
        return self.likeness(colours) > max(self._last + self.BETTER, self.LEAST)

    def misses(self, other: Appearance) -> bool:
        """Whether who is seen as another is rather this person, who has been somebody else for a
        while."""
        return (
            self._seen is not None
            and other._seen is not None
            and self._strange >= self.PATIENCE
            and self.fits_better(other._seen)
        )

    def found(self) -> None:
        """The person is followed again."""
        self._strange = self.strange_for = 0


def trunk_of_joints(keypoints: np.ndarray, joints: BodyJoints) -> np.ndarray:
    """Corners (N, 2) of the trunk between shoulders and hips of (K, 2), which has a width from the
    side, too."""
    shoulders, hips = keypoints[list(joints.shoulders)], keypoints[list(joints.hips)]
    corners = np.concatenate([shoulders, hips])
    top, bottom = shoulders.mean(0), hips.mean(0)
    axis = top - bottom
    across = 0.12 * np.array([-axis[1], axis[0]])
    ends = top - 0.1 * axis, bottom + 0.1 * axis
    middle = corners.mean(0)
    return np.stack(
        [
            *(middle + 0.9 * (corners - middle)),
            *(end + side for end in ends for side in (across, -across)),
        ]
    )


def trunk_of_body(body: Body) -> np.ndarray:
    """Corners (4, 2) of where the trunk of a body is whose joints are not known."""
    up = 0.5 * body.radius * np.array([math.sin(body.angle), -math.cos(body.angle)])
    across = np.array([-up[1], up[0]])
    ends = (0.9, 0.25), (0.1, 0.2)
    return np.stack([body.center + far * up + side * across for far, w in ends for side in (w, -w)])


def colours_of(image: np.ndarray, corners: np.ndarray) -> np.ndarray | None:
    """Histogram (:data:`BINS`) of the colours between corners (N, 2), whose sum is 1.

    Args:
        image: (H, W, 3) BGR uint8.

    Returns:
        None where hardly any of it is in the image.
    """
    height, width = image.shape[:2]
    low = np.maximum(np.floor(corners.min(0)), 0).astype(int)
    high = np.minimum(np.ceil(corners.max(0)) + 1, (width, height)).astype(int)
    if (high - low < 3).any():
        return None
    step = max(1, int(math.sqrt(np.prod(high - low) / PIXELS)))
    part = np.ascontiguousarray(image[low[1] : high[1] : step, low[0] : high[0] : step])
    inside = np.zeros(part.shape[:2], np.uint8)
    outline = cv2.convexHull(np.round((corners - low) / step).astype(np.int32))
    cv2.fillConvexPoly(inside, outline, 1)
    if inside.sum() < FEWEST:
        return None
    lowest, highest = np.reshape(RANGES, (3, 2)).T
    colours = np.clip(cv2.cvtColor(part, cv2.COLOR_BGR2LAB), lowest, highest - 1)
    counts = cv2.calcHist([colours.astype(np.uint8)], [0, 1, 2], inside, BINS, RANGES)
    return counts / counts.sum()
