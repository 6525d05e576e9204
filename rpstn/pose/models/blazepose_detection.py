"""From what :class:`BlazePoseDetector` answers to people in an image.

Anchors, ranges and thresholds are those of MediaPipe's graph of this detector; doubles are
suppressed by OpenCV, which keeps the surest of them, where MediaPipe takes their weighted mean.

Shapes: M people, A = 2254 anchors, (H, W) image pixels. Pixels' centres have whole coordinates.
"""

from __future__ import annotations

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


@torch.inference_mode()
def detect(
    detector: BlazePoseDetector, image: np.ndarray, min_score: float = 0.5, max_overlap: float = 0.3
) -> Detections:
    """People in an image, in its pixels.

    Args:
        detector: in evaluation mode.
        image: (H, W, 3), uint8, BGR.
        min_score: of people.
        max_overlap: intersection over union of two people's faces.
    """
    height, width = image.shape[:2]
    scale = DETECTOR_SIZE / max(height, width)
    # The whole image in the middle of the input, black around it.
    margin = (DETECTOR_SIZE - scale * np.array([width, height])) / 2
    shift = margin + 0.5 * scale - 0.5
    warp = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    seen = cv2.warpAffine(image, warp, (DETECTOR_SIZE, DETECTOR_SIZE), flags=cv2.INTER_LINEAR)
    rgb = torch.from_numpy(seen[..., ::-1].transpose(2, 0, 1).copy())
    device = next(detector.parameters()).device
    logits, values = detector(rgb[None].to(device).float() / 127.5 - 1)
    found = decode(logits[0].cpu().numpy(), values[0].cpu().numpy(), min_score, max_overlap)
    return Detections(
        found.scores,
        (found.faces - np.tile(margin, 2)) / scale - 0.5,
        (found.points - margin) / scale - 0.5,
    )
