"""The lifter's metric for MMPose configs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmpose.registry import METRICS

from rpstn.skeletons import SKELETONS

from .lifting_errors import knee_flexion, mirrored, n_mpjpe, pa_mpjpe
from .random_views import VIEWS

_BENT = 40.0


def lifting_errors(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Means over frames: ``PA-MPJPE`` and ``N-MPJPE`` in millimetres, the ``mirrored`` frames in
    percent, and ``knee``, the error of knee flexion in degrees where that is above 40.

    Args:
        predicted: (N, V, 3) of ``lifter15`` in any unit.
        true: (N, V, 3), metres.
    """
    flexion = knee_flexion(true, SKELETONS['lifter15'])
    off = np.abs(knee_flexion(predicted, SKELETONS['lifter15']) - flexion)[flexion > _BENT]
    return {
        'PA-MPJPE': 1000 * float(pa_mpjpe(predicted, true).mean()),
        'N-MPJPE': 1000 * float(n_mpjpe(predicted, true).mean()),
        'mirrored': 100 * float(mirrored(predicted, true).mean()),
        'knee': float(off.mean()) if off.size else float('nan'),
    }


@METRICS.register_module()
class LiftingMetric(BaseMetric):
    """:func:`lifting_errors` over all frames, and by the views of ``random_views``.

    Takes the samples of :class:`CapturedViews`, lifted.
    """

    default_prefix = 'lift'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            self.results.append(
                (
                    sample['view'],
                    np.asarray(sample['pred_instances']['keypoints'], np.float64),
                    np.asarray(sample['gt_instances']['keypoints_3d'], np.float64),
                )
            )

    def compute_metrics(self, results: list) -> dict[str, float]:
        predicted, true = (np.concatenate([row[n] for row in results]) for n in (1, 2))
        kinds = np.repeat([row[0] for row in results], [len(row[1]) for row in results])
        found = lifting_errors(predicted, true)
        for kind in VIEWS:
            if (chosen := kinds == kind).any():
                part = lifting_errors(predicted[chosen], true[chosen])
                found |= {f'{kind}/{name}': value for name, value in part.items()}
        return found
