"""What moves counts as people.

Boxes are x1 y1 x2 y2, in 0-based image pixels. Shapes: N people, (H, W) image pixels.
"""

from __future__ import annotations

from collections.abc import Hashable

import cv2
import numpy as np

from .base import FoundPerson


class MotionFinder:
    """What moves in front of a camera that does not: OpenCV's background subtraction (MOG2).

    Pixels unlike their own past are cleaned of specks, those near each other are joined, and what
    is large enough counts as a person. Nobody is found in a stream's first frame. Motion is
    smaller than the person: who only moves an arm is found as an arm, so boxes are enlarged.

    Args:
        min_area: of a box, as a share of the image.
        reach: how far apart two moving parts of one person may be, as a share of the
            image's longer side.
        margin: added at each side, as a share of the box's.
        history: frames that make up the background.
        threshold: squared distance, in standard deviations, from which a pixel is unlike
            the background.
    """

    def __init__(
        self,
        min_area: float = 0.01,
        reach: float = 0.04,
        margin: float = 0.1,
        history: int = 100,
        threshold: float = 25.0,
    ) -> None:
        self.min_area = min_area
        self.reach = reach
        self.margin = margin
        self.history = history
        self.threshold = threshold
        self._backgrounds: dict[Hashable, cv2.BackgroundSubtractor] = {}
        self._moving: dict[Hashable, np.ndarray] = {}

    def observe(self, image: np.ndarray, stream: Hashable = 0) -> None:
        """Compare a frame (H, W, 3) BGR with the background, and learn it."""
        known = stream in self._backgrounds
        if not known:
            self._backgrounds[stream] = cv2.createBackgroundSubtractorMOG2(
                self.history, self.threshold, detectShadows=True
            )
        mask = self._backgrounds[stream].apply(image)
        # 255 moves, 127 is a shadow. All of the first frame is new.
        self._moving[stream] = (mask == 255).astype(np.uint8) * known

    def find(self, image: np.ndarray, stream: Hashable = 0) -> list[FoundPerson]:
        """Boxes of what moves in the frame observed last, the largest first."""
        moving = self._moving.get(stream)
        if moving is None:
            return []
        height, width = moving.shape
        moving = cv2.morphologyEx(moving, cv2.MORPH_OPEN, _disc(1))
        joined = cv2.morphologyEx(
            moving, cv2.MORPH_CLOSE, _disc(round(self.reach * max(height, width) / 2))
        )
        _, _, found, _ = cv2.connectedComponentsWithStats(joined)
        low, sides = found[1:, :2], found[1:, 2:4]  # the first is the background
        order = np.argsort(-sides.prod(axis=1), kind='stable')
        order = order[sides.prod(axis=1)[order] >= self.min_area * height * width]
        low, sides = low[order], sides[order]
        grown = np.concatenate([low - self.margin * sides, low + (1 + self.margin) * sides - 1], 1)
        boxes = np.clip(grown, 0, np.array([width, height] * 2) - 1).astype(np.float32)
        return [FoundPerson(box) for box in boxes]

    def forget(self, stream: Hashable = 0) -> None:
        """A stream has ended."""
        self._backgrounds.pop(stream, None)
        self._moving.pop(stream, None)


def _disc(radius: int) -> np.ndarray:
    side = 2 * max(radius, 1) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
