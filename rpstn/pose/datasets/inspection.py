"""What an annotated data set holds, and which of its annotations look wrong.

N frames of a sequence, K joints, E limbs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from .boxes import inside_image
from .sequence import PoseSequence

# Lengths are relative to the larger side of the frame's box.
LONG_BONE = 0.5
BONE_RATIO = 3.0
JUMP = 0.5
LARGE_BOX = 3.0


@dataclass
class DatasetSummary:
    """Counts over all frames and joints.

    Attributes:
        labelled: joints that count for the loss and the metric.
        visible, occluded: how many of these are seen, and hidden.
        outside: joints without label whose coordinates lie outside the image.
        missing: the other joints without label.
        suspicious: frames in which something looks wrong, see :func:`suspicious_frames`.
        sequences: number of suspicious frames per reason, for each sequence that has any.
    """

    frames: int = 0
    labelled: int = 0
    visible: int = 0
    occluded: int = 0
    outside: int = 0
    missing: int = 0
    suspicious: int = 0
    sequences: dict[str, dict[str, int]] = field(default_factory=dict)

    def worst(self, count: int) -> list[tuple[str, dict[str, int]]]:
        """The ``count`` most suspicious sequences and why, the worst first."""
        ranked = sorted(self.sequences.items(), key=lambda item: -sum(item[1].values()))
        return ranked[:count]


def summarize(sequences: Iterable[PoseSequence], links: list[tuple[int, int]]) -> DatasetSummary:
    """Counts over the sequences; ``links`` are the E limbs, pairs of joints."""
    summary = DatasetSummary()
    for sequence in sequences:
        size = sequence.image_size or (sys.maxsize, sys.maxsize)  # unknown: without end
        outside = ~sequence.labelled & ~inside_image(sequence.keypoints, size)
        summary.frames += len(sequence)
        summary.labelled += int(sequence.labelled.sum())
        summary.occluded += int((sequence.labelled & sequence.occluded).sum())
        summary.outside += int(outside.sum())
        summary.missing += int((~sequence.labelled & ~outside).sum())
        reasons = suspicious_frames(sequence, links)
        found = {reason: int(frames.sum()) for reason, frames in reasons.items() if frames.any()}
        if found:
            summary.sequences[sequence.name] = found
            summary.suspicious += int(np.any(list(reasons.values()), axis=0).sum())
    summary.visible = summary.labelled - summary.occluded
    return summary


def suspicious_frames(
    sequence: PoseSequence, links: list[tuple[int, int]]
) -> dict[str, np.ndarray]:
    """Reason -> (N,) bool, the frames it holds for. Only labelled joints are looked at.

    - ``long bone``: a limb longer than 3 times its median in the sequence, and than half the box;
    - ``jump``: a joint moves by more than half the box from one frame to the next;
    - ``same place``: two joints at exactly the same point;
    - ``large box``: the box's larger side is more than 3 times that of the joints' own box;
    - ``joints off box``: the middle of the joints lies outside the box.
    """
    points = np.where(sequence.labelled[..., None], sequence.keypoints, np.nan).astype(np.float64)
    sides = (sequence.boxes[:, 2:] - sequence.boxes[:, :2]).max(axis=1)
    frames, joints = points.shape[:2]
    ends = np.asarray(links, int).reshape(-1, 2)
    bones = np.linalg.norm(points[:, ends[:, 0]] - points[:, ends[:, 1]], axis=2)
    known = np.isfinite(bones)
    medians = np.array(
        [
            np.median(bone[k]) if k.any() else np.inf
            for bone, k in zip(bones.T, known.T, strict=True)
        ]
    )
    steps = np.linalg.norm(np.diff(points, axis=0, prepend=points[:1]), axis=2)
    first, second = np.triu_indices(joints, 1)
    same = (points[:, first] == points[:, second]).all(axis=2)

    seen = sequence.labelled[..., None]
    low = np.where(seen, points, np.inf).min(axis=1)
    high = np.where(seen, points, -np.inf).max(axis=1)
    enough = sequence.labelled.sum(axis=1) >= max(2, joints // 2)
    low, high = (np.where(enough[:, None], side, 0) for side in (low, high))  # no infinite ones
    own = np.where(enough, (high - low).max(axis=1), np.inf)
    middle = np.where(
        enough[:, None], (low + high) / 2, sequence.boxes.reshape(frames, 2, 2).mean(axis=1)
    )
    off = ((middle < sequence.boxes[:, :2]) | (middle > sequence.boxes[:, 2:])).any(axis=1)
    # Comparisons with NaN, a joint without label, are false.
    return {
        'long bone': ((bones > BONE_RATIO * medians) & (bones > LONG_BONE * sides[:, None])).any(
            axis=1
        ),
        'jump': (steps > JUMP * sides[:, None]).any(axis=1),
        'same place': same.any(axis=1),
        'large box': sides > LARGE_BOX * own,
        'joints off box': off,
    }
