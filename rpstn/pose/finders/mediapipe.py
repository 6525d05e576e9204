"""MediaPipe's detector of people.

Boxes are x1 y1 x2 y2, in 0-based image pixels. Shapes: N people, (H, W) image pixels.
"""

from __future__ import annotations

from collections.abc import Hashable

import cv2
import numpy as np

from .base import FinderError, FoundPerson


class MediaPipeFinder:
    """MediaPipe's person detector (BlazePose): one person, each frame for itself.

    Bazarevsky et al., BlazePose, 2020, https://arxiv.org/abs/2006.10204. The box is that of the 33
    joints which it then finds. Needs the extra ``mediapipe``, whose wheel carries the weights.

    Args:
        min_score: of the detection.
        margin: added at each side, as a share of the joints' own box.
        scale: frames are enlarged by this before; small people need it.

    Raises:
        FinderError: mediapipe is not installed.
    """

    def __init__(self, min_score: float = 0.5, margin: float = 0.1, scale: float = 1.0) -> None:
        try:
            from mediapipe.python.solutions import pose
        except ImportError:
            raise FinderError(
                'the finder mediapipe needs mediapipe 0.10.21: pip install '
                '--no-deps -r requirements/mediapipe.txt'
            ) from None
        self.margin = margin
        self.scale = scale
        self._pose = pose.Pose(
            static_image_mode=True, model_complexity=1, min_detection_confidence=min_score
        )

    def observe(self, image: np.ndarray, stream: Hashable = 0) -> None:
        """Nothing to see in frames that are not searched."""

    def find(self, image: np.ndarray, stream: Hashable = 0) -> list[FoundPerson]:
        """The box of the surest person, or nobody."""
        height, width = image.shape[:2]
        large = image if self.scale == 1 else cv2.resize(image, None, fx=self.scale, fy=self.scale)
        found = self._pose.process(cv2.cvtColor(large, cv2.COLOR_BGR2RGB)).pose_landmarks
        if found is None:
            return []
        # From the image's corners, 0 and 1, to pixels whose centres have whole coordinates.
        joints = np.array([(p.x, p.y) for p in found.landmark]) * (width, height) - 0.5
        low, high = joints.min(axis=0), joints.max(axis=0)
        more = self.margin * (high - low)
        box = np.concatenate([low - more, high + more])
        inside = np.clip(box, 0, np.array([width, height] * 2) - 1).astype(np.float32)
        return [FoundPerson(inside)]

    def forget(self, stream: Hashable = 0) -> None:
        """Nothing is kept of a stream."""

    def close(self) -> None:
        """Free its graph."""
        self._pose.close()
