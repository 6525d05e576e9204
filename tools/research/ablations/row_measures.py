"""PCK of what models answered for cached videos, clip by clip, and how well scores are calibrated.

Shapes: V clips, N frames of all of them, K joints of JHMDB, L landmarks of a model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import lsq_linear
from sklearn.calibration import calibration_curve

from rpstn.choices import KPT_THR
from rpstn.pose.evaluation.pck import TORSO_OF_DATASET
from rpstn.skeletons import joint_weights, map_joints

from bootstrap import ClipCounts
from feature_cache import WholeClips
from lite_predictors import LABELS

MODEL = 'blazepose33'
NORMALIZERS = ('torso', 'box')
PARTS = ('all', 'visible', 'hidden')
THRESHOLD = 0.2
PEAKS = (0, KPT_THR, 0.35, 0.5, 0.65, 0.8, 1)
LEAST_RISE = 0.001
TORSO = [LABELS.index(name) for name in TORSO_OF_DATASET['jhmdb']]


def right_joints(
    joints: np.ndarray, videos: WholeClips
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Which joints (N, K, 2) are right and which count, (N, K) each, by normalizer.

    As :class:`rpstn.pose.evaluation.pck.VideoPCK` has it; a frame without an answer, NaN, does not
    count.
    """
    truth, labelled = videos.labels['keypoints'], videos.labels['labelled']
    boxes = videos.labels['boxes']
    sizes = dict(
        torso=np.where(
            labelled[:, TORSO].all(1),
            np.linalg.norm(truth[:, TORSO[0]] - truth[:, TORSO[1]], axis=-1),
            0,
        ),
        box=(boxes[:, 2:] - boxes[:, :2]).max(1),
    )
    answered = np.isfinite(joints).all((1, 2))
    distance = np.linalg.norm(joints - truth, axis=-1)
    return {
        name: (distance < THRESHOLD * size[:, None], labelled & (answered & (size >= 1))[:, None])
        for name, size in sizes.items()
    }


def counts(joints: np.ndarray, videos: WholeClips) -> dict[tuple[str, str], ClipCounts]:
    """By normalizer and part of the joints, :data:`PARTS`, what is right of each clip."""
    begins = np.cumsum(videos.lengths) - videos.lengths
    hidden = videos.labels['hidden']
    masks = dict(all=np.ones_like(hidden), visible=~hidden, hidden=hidden)
    found = {}
    for normalizer, (right, counted) in right_joints(joints, videos).items():
        for part, mask in masks.items():
            taken = counted & mask
            found[normalizer, part] = ClipCounts(
                *(np.add.reduceat(what.astype(int), begins) for what in (right & taken, taken))
            )
    return found


def pck(runs: list[ClipCounts]) -> list[float]:
    """PCK of each run, percent."""
    return [100 * float(run.pck(np.ones((1, len(run.counted))))[0]) for run in runs]


def to_labels(answers: np.ndarray) -> np.ndarray:
    """Joints (N, K, 2) of JHMDB out of a model's answers (N, L, 3)."""
    return map_joints(answers[..., :2].astype(float), MODEL, LABELS)


def label_scores(answers: np.ndarray) -> np.ndarray:
    """Scores (N, K) of JHMDB's joints; of one that several landmarks make, their least."""
    parts = joint_weights(MODEL, LABELS)
    return np.stack([answers[:, list(part), 2].min(1) for part in parts], axis=1)


@dataclass(frozen=True)
class Reliability:
    """How often joints of a score are right.

    Attributes:
        score: mean of each bin.
        right: share of its joints that are right.
        number: of joints in all bins.
        mean_score: of all joints.
        share: of all joints, that are right.
        error: mean difference of score and right in a bin (ECE, bins of equally many joints).
    """

    score: np.ndarray
    right: np.ndarray
    number: int
    mean_score: float
    share: float
    error: float


def reliability(scores: np.ndarray, right: np.ndarray, bins: int = 10) -> Reliability:
    """Of scores (M,) and whether each joint is right (M,); bins hold equally many joints."""
    scores = scores.clip(0, 1)
    shares, means = calibration_curve(right, scores, n_bins=bins, strategy='quantile')
    error = float(np.abs(shares - means).mean())
    return Reliability(means, shares, len(scores), float(scores.mean()), float(right.mean()), error)


def score_knots(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Knots (n, 2) of a map from scores (M,) to the share of joints (M,) that are right.

    Of all that rise and have :data:`PEAKS` the one of least squares;
    :class:`rpstn.pose.calibration.CalibratedHeatmap` takes them.
    """
    hats = np.stack([np.interp(scores, PEAKS, hat) for hat in np.eye(len(PEAKS))[1:]], axis=1)
    steps = np.tril(np.ones((len(PEAKS) - 1,) * 2))
    rises = lsq_linear(hats @ steps, right.astype(float), bounds=(LEAST_RISE, 1)).x
    most = 1 - LEAST_RISE * np.arange(len(rises))[::-1]
    return np.array([(0, 0), *zip(PEAKS[1:], np.minimum(rises.cumsum(), most).round(3))])
