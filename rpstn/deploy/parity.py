"""How far an engine's answers are from torch's in float32.

Shapes: T frames, K joints, (H, W) input pixels, (h, w) heatmap cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rpstn.pose.models.estimator import VideoPoseEstimator
from rpstn.pose.streaming.streaming import Stepper

SURE = 0.3
"""Peak of a heatmap from which a joint counts as sure."""
Decode = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Parity:
    """Two steppers on the same clips, each carrying its own state."""

    joints: int
    """Joints compared: frames times K."""
    greatest: float
    """Greatest difference of any heatmap value."""
    range: float
    """Greatest absolute heatmap value of the reference."""
    moved: float
    """Share of the joints that lie more than one heatmap cell elsewhere."""
    sure_joints: int
    """Of the joints compared, those that the reference has with a peak of :data:`SURE` or more."""
    sure_moved: float
    """``moved`` of these; NaN if there are none."""

    def __str__(self) -> str:
        sure = (
            f'; of the {self.sure_joints} with a peak of {SURE} or more '
            f'{100 * self.sure_moved:.2f} %'
            if self.sure_joints
            else f'; none has a peak of {SURE} or more'
        )
        return (
            f'greatest difference {self.greatest:.1e} (heatmaps reach {self.range:.2f}), '
            f'{100 * self.moved:.2f} % of {self.joints} joints moved by more than one '
            f'heatmap cell{sure}'
        )


def follow(stepper: Stepper, clip: Tensor) -> np.ndarray:
    """Heatmaps (T, K, h, w) float32 of a clip's crops (T, 3, H, W), frame by frame."""
    heatmaps, features = stepper.start(clip[:1])
    found = [heatmaps.float().cpu()]
    for crop in clip[1:]:
        heatmaps, features = stepper.step(crop[None], heatmaps, features)
        found.append(heatmaps.float().cpu())
    return torch.cat(found).numpy()


def peaks(heatmaps: np.ndarray) -> np.ndarray:
    """The cells x, y (K, 2) where heatmaps (K, h, w) are greatest."""
    flat = heatmaps.reshape(len(heatmaps), -1).argmax(1)
    rows, columns = np.unravel_index(flat, heatmaps.shape[1:])
    return np.stack([columns, rows], axis=1)


def decoder_in_cells(model: VideoPoseEstimator) -> Decode:
    """The codec of a model's head, its joints in heatmap cells; plain peaks without one."""
    decoder = model.head.decoder
    if decoder is None:
        return peaks
    stride = model.backbone.heatmap_stride
    return lambda heatmaps: decoder.decode(heatmaps)[0][0][:, :2] / stride


def compare_heatmaps(
    reference: Sequence[np.ndarray], found: Sequence[np.ndarray], decode: Decode = peaks
) -> Parity:
    """Two lists of heatmaps, each (T, K, h, w)."""
    distances = np.array(
        [
            np.linalg.norm(decode(theirs.copy()) - decode(ours.copy()), axis=-1)
            for one, other in zip(reference, found)
            for theirs, ours in zip(one, other)
        ]
    )
    moved = ~(distances <= 1)  # so written that what is no number counts as moved
    sure = np.concatenate(reference).max((2, 3)) >= SURE
    return Parity(
        int(moved.size),
        float(max(np.abs(a - b).max() for a, b in zip(reference, found))),
        float(max(np.abs(maps).max() for maps in reference)),
        float(moved.mean()),
        int(sure.sum()),
        float(moved[sure].mean()) if sure.any() else float('nan'),
    )


def compare_steppers(
    reference: Stepper, stepper: Stepper, clips: Sequence[Tensor], decode: Decode = peaks
) -> Parity:
    """Follow every clip, crops (T, 3, H, W) uint8 BGR, with both."""
    return compare_heatmaps(
        [follow(reference, clip) for clip in clips],
        [follow(stepper, clip) for clip in clips],
        decode,
    )
