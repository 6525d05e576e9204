"""Frames, their joints and relations together: what the figures of a joint relation show.

Shapes: N frames, K joints, (H, W) image pixels, (h, w) those of the enlarged cut-out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from rpstn.drawing import draw_pose
from rpstn.engine.loading import joint_names

from relations import RelatedFrame

_HEIGHT = 420  # pixels of a cut-out frame


@dataclass(frozen=True)
class RelatedClip:
    """What is drawn."""

    title: str
    frames: Sequence[RelatedFrame]
    """N frames, in order."""
    images: Callable[[Sequence[int]], Iterable[np.ndarray]]
    """Positions among the N frames, ascending -> their images (H, W, 3), BGR uint8."""
    meta: dict
    """MMPose's data set meta: names, limbs and colours of the joints."""

    @property
    def joints(self) -> list[str]:
        """K names."""
        return joint_names(self.meta)

    @property
    def relation(self) -> np.ndarray:
        """(N, K, K)."""
        return np.array([frame.relation for frame in self.frames])

    def spread(self, count: int) -> list[int]:
        """At most ``count`` positions at even distances, the first and the last among them."""
        last = len(self.frames) - 1
        return sorted({round(i * last / max(count - 1, 1)) for i in range(count)})


class CutOut:
    """The part of the images that holds the person in all frames, and its enlarged pixels."""

    def __init__(self, clip: RelatedClip, margin: float = 0.12) -> None:
        boxes = np.array([frame.person.box for frame in clip.frames], float)
        points = np.array([frame.person.keypoints for frame in clip.frames], float)
        # Joints far outside are wrong ones, and not worth a smaller person.
        low = np.minimum(boxes[:, :2].min(0), np.percentile(points, 5, axis=(0, 1)))
        high = np.maximum(boxes[:, 2:].max(0), np.percentile(points, 95, axis=(0, 1)))
        edge = margin * (high - low).max() / 2
        height, width = next(iter(clip.images([0]))).shape[:2]
        low, high = np.maximum(low - edge, 0), np.minimum(high + edge, (width, height))
        size = np.maximum(high - low, 0.6 * (high - low)[::-1])
        self.low = (low + high - size) / 2
        self.scale = _HEIGHT / size[1]
        self.size = int(round(size[0] * self.scale)), _HEIGHT

    def cut(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) -> (h, w, 3), grey beyond the image's border."""
        matrix = self.scale * np.column_stack([np.eye(2), -self.low])
        return cv2.warpAffine(
            image,
            matrix,
            self.size,
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(235, 235, 235),
        )

    def points(self, points: np.ndarray) -> np.ndarray:
        """(..., 2) pixels of the image -> pixels of the cut-out."""
        return (points - self.low) * self.scale

    def draw(
        self, image: np.ndarray, frame: RelatedFrame, meta: dict, kpt_thr: float | None
    ) -> np.ndarray:
        """(h, w, 3) RGB with the joints."""
        cut = self.cut(image)
        box = self.points(frame.person.box.reshape(2, 2)).reshape(4)
        draw_pose(
            cut,
            self.points(frame.person.keypoints),
            frame.person.scores,
            meta,
            kpt_thr=kpt_thr,
            box=np.clip(box, -2, np.tile(self.size, 2) + 2),
        )
        return cv2.cvtColor(cut, cv2.COLOR_BGR2RGB)
