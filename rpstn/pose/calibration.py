"""Scores that say how often such joints are right, in place of heights of heatmaps' peaks.

A network trained by the mean squared error of heatmaps is no less right where its peaks are low:
a joint whose peak is 0.3 is found more often than three times in ten. Behind a map that rises with
the peak scores keep their order, and say the share of joints that were right.

Shapes: K joints, (h, w) heatmap cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmpose.codecs import MSRAHeatmap
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.registry import KEYPOINT_CODECS

from rpstn.choices import KPT_THR
from rpstn.errors import SettingError


@KEYPOINT_CODECS.register_module()
class CalibratedHeatmap(MSRAHeatmap):
    """MMPose's codec of heatmaps, whose scores are the share of joints that are right.

    Targets and places are those of :class:`mmpose.codecs.MSRAHeatmap`. The score is that share
    of joints with such a peak, as it was where ``knots`` were fitted
    (``tools/research/ablations/fit_scores.py``): straight between the knots, and beyond the last
    one as there. What was not found, with a peak of 0 or less, keeps that as its score.

    Args:
        *args: of :class:`mmpose.codecs.MSRAHeatmap`.
        knots: (peak, share) pairs; both rise, from 0, shares to at most 1.
        **kwargs: of :class:`mmpose.codecs.MSRAHeatmap`.

    Raises:
        SettingError: the knots are none of these.
    """

    def __init__(self, *args: Any, knots: Sequence[Sequence[float]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.knots = check_knots(knots)

    def shares(self, peaks: np.ndarray | float) -> np.ndarray:
        """The scores (...), float64, of joints with such peaks (...).

        Not in single precision, in which two peaks that lie next to each other could be equal
        behind the map, and a threshold between them would tell them apart no more.
        """
        peaks = np.asarray(peaks, np.float64)
        # What is no number stays so, and is found out.
        found = (peaks > 0) & np.isfinite(peaks)
        return np.where(found, np.interp(peaks, *self.knots.T), peaks)

    def decode(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Joints (1, K, 2), input pixels, and their scores (1, K) of heatmaps (K, h, w)."""
        keypoints, peaks = super().decode(encoded)
        return keypoints, self.shares(peaks)


def check_knots(knots: Sequence[Sequence[float]]) -> np.ndarray:
    """Knots of :class:`CalibratedHeatmap` as an array (n, 2).

    Raises:
        SettingError: they do not rise from (0, 0), or shares not to at most 1.
    """
    try:
        pairs = np.array(knots, np.float64)
    except (TypeError, ValueError):
        pairs = np.empty(0)
    rises = pairs.ndim == 2 and pairs.shape[1] == 2 and len(pairs) > 1
    if not (
        rises
        and np.isfinite(pairs).all()
        and (pairs[0] == 0).all()
        and (np.diff(pairs, axis=0) > 0).all()
        and pairs[-1, 1] <= 1
    ):
        raise SettingError(
            'CalibratedHeatmap: knots must be pairs (peak, share) that both rise from (0, 0), '
            f'shares to at most 1, got {knots!r}'
        )
    return pairs


def score_meta(decoder: BaseKeypointCodec | None) -> dict[str, Any]:
    """What the meta of results says of a codec's scores.

    Returns:
        ``kpt_thr``: the score of a joint whose peak is :data:`rpstn.choices.KPT_THR`. A score
        reaches it if and only if the peak, in single precision, reaches that: joints are trusted
        all the same whatever map is behind the peaks. ``score_knots``: of that map, or None, by
        which :func:`rpstn.results.peaks_of` finds the peaks again.
    """
    if not isinstance(decoder, CalibratedHeatmap):
        return dict(kpt_thr=KPT_THR, score_knots=None)
    return dict(kpt_thr=float(decoder.shares(KPT_THR)), score_knots=decoder.knots.tolist())
