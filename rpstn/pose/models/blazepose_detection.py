"""From what :class:`BlazePoseDetector` answers to people in an image.

Anchors, ranges and thresholds are those of MediaPipe's graph of this detector; doubles are
suppressed by OpenCV, which keeps the surest of them, where MediaPipe takes their weighted mean.

Shapes: M people, A = 2254 anchors, (H, W) image pixels. Pixels' centres have whole coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from scipy.special import expit

from .blazepose_detector import ANCHORS, DETECTOR_SIZE, STRIDES, BlazePoseDetector


@dataclass(frozen=True)
class Detections:
    """People in an image, the surest first.

    Attributes:
        scores: (M,) probabilities.
        faces: (M, 4) squares x1, y1, x2, y2 about their faces; the release answers all of one size,
            a fifth of the input's.
        points: (M, 4, 2) the hips' centre, a point on the circle about the whole body, upwards,
            the shoulders' centre, one on the circle about the upper body.
    """

    scores: np.ndarray
    faces: np.ndarray
    points: np.ndarray

    @property
    def centers(self) -> np.ndarray:
        """(M, 2) of the hips."""
        return self.points[:, 0]

    @property
    def radii(self) -> np.ndarray:
        """(M,) of the circles about the hips' centres that hold the whole bodies.

        MediaPipe's crop for the landmarks reaches 1.25 times as far.
        """
        return np.linalg.norm(self.points[:, 1] - self.points[:, 0], axis=1)

    @property
    def angles(self) -> np.ndarray:
        """(M,) radians by which the bodies are turned clockwise, 0 where they are upright."""
        x, y = (self.points[:, 1] - self.points[:, 0]).T
        return np.arctan2(x, -y)

    @property
    def boxes(self) -> np.ndarray:
        """(M, 4) squares x1, y1, x2, y2 about these circles, which may reach out of the image."""
        radii = self.radii[:, None]
        return np.concatenate([self.centers - radii, self.centers + radii], axis=1)


def anchor_centers() -> np.ndarray:
    """(A, 2) x and y in pixels of the 224x224 input, from its corner."""
    centers = []
    for stride, anchors in zip(STRIDES, ANCHORS):
        cells = (np.arange(DETECTOR_SIZE // stride) + 0.5) * stride
        rows, columns = np.meshgrid(cells, cells, indexing='ij')
        centers.append(np.repeat(np.stack([columns, rows], -1).reshape(-1, 2), anchors, axis=0))
    return np.concatenate(centers).astype(np.float32)


def decode(
    logits: np.ndarray, values: np.ndarray, min_score: float = 0.5, max_overlap: float = 0.3
) -> Detections:
    """People of one input, in its pixels, from its corner.

    Args:
        logits: (A,).
        values: (A, 12), see :meth:`BlazePoseDetector.forward`.
        min_score: of people.
        max_overlap: intersection over union of two people's faces.
    """
    scores = expit(logits)
    centers = anchor_centers()
    corners = centers + values[:, :2] - values[:, 2:4] / 2
    boxes = np.concatenate([corners, values[:, 2:4]], axis=1)
    surest = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), min_score, max_overlap)
    kept = np.array(surest, dtype=int).reshape(-1)
    faces = np.concatenate([corners, corners + values[:, 2:4]], axis=1)[kept]
    points = (centers[:, None] + values[:, 4:].reshape(-1, 4, 2))[kept]
    return Detections(scores[kept], faces, points)


@dataclass(frozen=True, eq=False)
class View:
    """A square of an image, which the detector is shown.

    Attributes:
        center: (2,) of the square.
        side: of the square.
        turn: quarters of a circle by which the square is turned clockwise: people who are turned
            so stand upright in it.
    """

    center: np.ndarray
    side: float
    turn: int = 0

    @classmethod
    def whole(cls, size: tuple[int, int], turn: int = 0) -> View:
        """All of an image of (width, height) pixels, in the middle."""
        return cls((np.array(size) - 1) / 2, max(size), turn)

    @property
    def matrix(self) -> np.ndarray:
        """(2, 3), from image pixels to the detector's input pixels."""
        sin, cos = ((0, 1), (1, 0), (0, -1), (-1, 0))[self.turn % 4]
        linear = DETECTOR_SIZE / self.side * np.array([[cos, sin], [-sin, cos]])
        return np.column_stack([linear, (DETECTOR_SIZE - 1) / 2 - linear @ self.center])

    def cut(self, image: np.ndarray) -> np.ndarray:
        """(224, 224, 3) out of an image; black where it has no pixels."""
        return cv2.warpAffine(image, self.matrix, (DETECTOR_SIZE, DETECTOR_SIZE))

    def to_image(self, found: Detections) -> Detections:
        """What :func:`decode` found in the square, in the image."""
        scale, inverse = self.side / DETECTOR_SIZE, cv2.invertAffineTransform(self.matrix)
        points, (low, high) = found.points - 0.5, np.split(found.faces, 2, axis=1)
        middles = ((low + high) / 2 - 0.5) @ inverse[:, :2].T + inverse[:, 2]
        reach = (high - low) / 2 * scale  # of squares, which stay so in quarter turns
        return Detections(
            found.scores,
            np.concatenate([middles - reach, middles + reach], axis=1),
            points @ inverse[:, :2].T + inverse[:, 2],
        )


@torch.inference_mode()
def detect_in_views(
    detector: BlazePoseDetector,
    image: np.ndarray,
    views: Sequence[View],
    min_score: float = 0.5,
    max_overlap: float = 0.3,
) -> list[Detections]:
    """People in each of several squares of an image, in its pixels; all in one batch.

    Args:
        detector: in evaluation mode.
        image: (H, W, 3), uint8, BGR.
        views: not none.
        min_score: of people.
        max_overlap: intersection over union of two people's faces.
    """
    seen = np.stack([view.cut(image) for view in views])
    rgb = torch.from_numpy(seen[..., ::-1].copy()).permute(0, 3, 1, 2)
    device = next(detector.parameters()).device
    images = rgb.to(device, torch.float32, memory_format=torch.channels_last)
    logits, values = detector(images / 127.5 - 1)
    return [
        view.to_image(decode(scores, value, min_score, max_overlap))
        for view, scores, value in zip(views, logits.cpu().numpy(), values.cpu().numpy())
    ]


def detect(
    detector: BlazePoseDetector, image: np.ndarray, min_score: float = 0.5, max_overlap: float = 0.3
) -> Detections:
    """People in an image as a whole, in its pixels; see :func:`detect_in_views`."""
    height, width = image.shape[:2]
    view = View.whole((width, height))
    return detect_in_views(detector, image, [view], min_score, max_overlap)[0]
