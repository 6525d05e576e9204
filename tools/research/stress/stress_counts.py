"""PCK of chosen joints of stressed clips, clip by clip, and who is followed.

Joints are pooled: one-frame occlusions hide too few for a mean over joints.

Shapes: V clips, N frames of a clip, K joints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rpstn.pose.evaluation.pck import TORSO_OF_DATASET
from rpstn.skeletons import get_skeleton

from bootstrap import ClipCounts
from lite_evaluation import right_joints
from stress_run import Clip

TORSO = tuple(get_skeleton('jhmdb15').index(name) for name in TORSO_OF_DATASET['jhmdb'])
Choice = Callable[[Clip], np.ndarray]
"""Which joints (N, K) of a clip are asked for."""


def every_joint(clip: Clip) -> np.ndarray:
    """All that are labelled."""
    return clip.labelled


def hidden_joints(first: int, last: int) -> Choice:
    """Those under the thing, in its frames from the first to the last."""
    return lambda clip: clip.hidden & _between(clip, first, last)


def other_joints(first: int, last: int) -> Choice:
    """The others in the same frames."""
    return lambda clip: clip.labelled & ~clip.hidden & _between(clip, first, last)


def afterwards(clip: Clip) -> np.ndarray:
    """All, in the frames after the last one that hides anything."""
    hiding = clip.hidden.any(1) | (clip.hidden_for > 0)
    return clip.labelled & ~_until_last(hiding)[:, None]


def behind(clip: Clip) -> np.ndarray:
    """Those behind the person who crosses."""
    return clip.hidden


def beside(clip: Clip) -> np.ndarray:
    """The others in frames in which that person hides any."""
    return clip.labelled & ~clip.hidden & clip.hidden.any(1)[:, None]


def _between(clip: Clip, first: int, last: int) -> np.ndarray:
    return ((clip.hidden_for >= first) & (clip.hidden_for <= last))[:, None]


def _until_last(marked: np.ndarray) -> np.ndarray:
    """(N,) bool: there is a marked frame here or later; all where none is."""
    return np.cumsum(marked[::-1])[::-1] > 0 if marked.any() else np.ones_like(marked)


def counts(
    clips: Sequence[Clip], found: Sequence[np.ndarray], choose: Choice, normalizer: str
) -> ClipCounts:
    """(V, 1): right and counted joints of each clip."""
    right, counted = [], []
    for clip, answer in zip(clips, found, strict=True):
        near, known = right_joints(
            answer, clip.keypoints, clip.labelled, clip.boxes, normalizer, TORSO
        )
        chosen = choose(clip) & known[:, None]
        right.append((near & chosen).sum())
        counted.append(chosen.sum())
    return ClipCounts(np.array(right)[:, None], np.array(counted)[:, None])


def summed(parts: Sequence[ClipCounts]) -> ClipCounts:
    """Several draws of the same clips as one."""
    return ClipCounts(sum(p.right for p in parts), sum(p.counted for p in parts))


def share(part: ClipCounts) -> float:
    """PCK of all clips together; NaN where nothing counts."""
    total = part.counted.sum()
    return float(part.right.sum() / total) if total else float('nan')


def kept(clip: Clip, answer: np.ndarray) -> bool:
    """Whether the last frame's answer is about where the labelled person is.

    That is, in the mean over joints, within half of the box's larger side.
    """
    box = clip.boxes[-1]
    mean = _distance(answer, clip.keypoints, clip.labelled)[-1]
    return bool(mean < 0.5 * (box[2:] - box[:2]).max())


def on_walker(clip: Clip, answer: np.ndarray) -> np.ndarray:
    """(N,) bool: the answer lies nearer to the person who crosses than to the labelled one."""
    own = _distance(answer, clip.keypoints, clip.labelled)
    other = _distance(answer, clip.walker, np.ones_like(clip.labelled))
    return other < own


def _distance(answer: np.ndarray, joints: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(N,) mean over the known joints; NaN where there is no answer."""
    distance = np.linalg.norm(answer - joints, axis=-1)
    total = np.where(known, distance, 0).sum(1)
    return np.divide(total, known.sum(1), out=np.full(len(total), np.nan), where=known.any(1))
