"""A model's joints as those of another skeleton, with their scores.

Shapes: (...) any, e.g. N frames; V joints of the source, K of the target.
"""

from __future__ import annotations

import numpy as np

from rpstn.skeletons import joint_mapping, map_joints


def map_scores(scores: np.ndarray, source: str, target: str) -> np.ndarray:
    """Scores (..., V) as (..., K): the least of a mean's parts, 0 for a joint that is not there."""
    return np.stack(
        [
            scores[..., list(members)].min(-1) if members else np.zeros_like(scores[..., 0])
            for members in joint_mapping(source, target)
        ],
        axis=-1,
    )


def map_answer(
    keypoints: np.ndarray, scores: np.ndarray, source: str = 'jhmdb15', target: str = 'coco17'
) -> tuple[np.ndarray, np.ndarray]:
    """What a model answers, in another skeleton.

    Args:
        keypoints: (..., V, 2) pixels.
        scores: (..., V).
        source: the model's skeleton, in :mod:`rpstn.skeletons`; RPSTN-Lite's is ``'jhmdb15'``.
        target: e.g. ``'coco17'``, of which that has 12 joints (not nose, eyes, ears), or
            ``'penn13'``, of which it has all.

    Returns:
        (..., K, 2) keypoints, NaN where the source has no such joint, and (..., K) scores, 0 there.

    Raises:
        ValueError: an unknown skeleton, or shapes that are not the source's.
    """
    if keypoints.shape[:-1] != scores.shape:
        raise ValueError(
            f'keypoints {keypoints.shape} and scores {scores.shape} must agree in all '
            'but the last side'
        )
    return map_joints(keypoints, source, target), map_scores(scores, source, target)
