"""Percentage of correct keypoints (PCK) of video, and the evaluator that counts frames.

Shapes: N frames, K joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_reduce
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.logging import print_log
from mmengine.registry import EVALUATOR
from mmpose.evaluation.functional import keypoint_pck_accuracy
from mmpose.registry import METRICS
from torch import nn

from rpstn.errors import SettingError
from rpstn.tables import format_table

# The columns of the paper's tables, by the last word of a joint's name.
GROUPS = {
    'Head': 'head',
    'Sho.': 'shoulder',
    'Elb.': 'elbow',
    'Wri.': 'wrist',
    'Hip': 'hip',
    'Knee': 'knee',
    'Ank.': 'ankle',
}
TORSO = ('right_shoulder', 'left_hip')
# The diagonal MMPose's JhmdbPCKAccuracy uses.
TORSO_OF_DATASET = {'jhmdb': ('left_shoulder', 'right_hip')}
NORMALIZERS = ('bbox', 'torso')


def mean_of_counted(values: np.ndarray) -> float:
    """Mean over the joints that were counted at all (MMPose marks the others with -1)."""
    counted = values[values >= 0]
    return float(counted.mean()) if len(counted) else float('nan')


def group_means(values: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Means of per-joint figures (K,), -1 for none: of the paper's columns, and of all joints."""
    figures = {}
    for group, word in GROUPS.items():
        members = [k for k, name in enumerate(names) if name.split('_')[-1] == word]
        if members:
            figures[group] = mean_of_counted(values[members])
    return {**figures, 'mean': mean_of_counted(values)}


def torso_joints(
    dataset_meta: dict, torso: tuple[str, str] | None, metric: str, instead: str = ''
) -> tuple[int, int]:
    """The two joints of the torso's diagonal: those named, or the data set's own.

    Raises:
        SettingError: it has no such joints; ``instead`` is what else could be set.
    """
    dataset = dataset_meta.get('dataset_name', '')
    names = torso or TORSO_OF_DATASET.get(dataset, TORSO)
    name2id = dataset_meta['keypoint_name2id']
    missing = [name for name in names if name not in name2id]
    if missing:
        raise SettingError(
            f'{metric}: torso joints {missing} are not among the joints of '
            f'{dataset or "the data set"}: {sorted(name2id)}; set torso={instead}'
        )
    return name2id[names[0]], name2id[names[1]]


@METRICS.register_module()
class VideoPCK(BaseMetric):
    """Standard PCK per frame, in image pixels: a joint is right when it lies nearer to its label
    than ``thr`` times the normalizer.

    Counted are joints labelled inside the frame (``keypoints_visible`` > 0, MMPose's meaning).
    Normalizers: ``bbox``, the larger side of the person's box; ``torso``, a diagonal shoulder to
    hip of the labels. A frame whose normalizer is missing (an unlabelled torso joint) or below
    one pixel does not count for that normalizer, and how many did not is logged.

    Figures are fractions, named ``<normalizer>_PCK@<thr>/<what>``, where what is ``mean`` (over
    joints), ``Head`` ... ``Ank.`` (the paper's columns, means of their joints), ``visible`` and
    ``occluded`` (means over joints, of labels so marked; absent where there is none) and
    ``joint/<name>``. They are computed with MMPose's ``keypoint_pck_accuracy``.

    Args:
        thr: of the normalizer. Defaults to 0.2.
        normalizers: among ``bbox`` and ``torso``. Defaults to both.
        torso: the two joints of the diagonal. Defaults to right
            shoulder and left hip, on JHMDB left shoulder and right hip.
        per_joint: report every joint, too. Defaults to True.
        **kwargs: of :class:`mmengine.evaluator.BaseMetric`.

    Raises:
        SettingError: an unknown normalizer.
    """

    default_prefix = ''  # the names below are complete

    def __init__(
        self,
        thr: float = 0.2,
        normalizers: Sequence[str] = NORMALIZERS,
        torso: tuple[str, str] | None = None,
        per_joint: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        unknown = [name for name in normalizers if name not in NORMALIZERS]
        if unknown:
            raise SettingError(f'VideoPCK: normalizers must be among {NORMALIZERS}, got {unknown}')
        self.thr = thr
        self.normalizers = list(normalizers)
        self.torso = torso
        self.per_joint = per_joint

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep what the figures need of a batch of frames (as dicts, in image pixels)."""
        for sample in data_samples:
            if sample.get('padded', False):
                continue
            truth = sample['gt_instances']
            labelled = np.asarray(truth['keypoints_visible'])
            labelled = labelled.reshape(labelled.shape[0], labelled.shape[1], -1)[0, :, 0] > 0
            occluded = truth.get('keypoints_occluded')
            self.results.append(
                dict(
                    # The path, too: data sets put together each count from 0. And that of the
                    # person: several may be in one image.
                    id=(
                        None
                        if sample.get('img_id') is None
                        else (sample.get('img_path'), sample['img_id'], sample.get('id'))
                    ),
                    predicted=np.asarray(sample['pred_instances']['keypoints'])[0, :, :2],
                    keypoints=np.asarray(truth['keypoints'])[0, :, :2],
                    labelled=labelled,
                    occluded=(
                        np.zeros_like(labelled)
                        if occluded is None
                        else np.asarray(occluded).reshape(-1) > 0
                    ),
                    bbox=np.asarray(truth['bboxes'])[0, :4],
                )
            )

    def expected_figures(self, model: nn.Module) -> list[str]:
        """Names of the figures of every evaluation, known before the first.

        Raises:
            SettingError: the data set has no such torso.
        """
        if 'torso' in self.normalizers:
            self._torso_joints()
        none = np.zeros(len(self.dataset_meta['keypoint_id2name']))
        return [
            f'{normalizer}_PCK@{self.thr:g}/{name}'
            for normalizer in self.normalizers
            for name in self._figures(none, none, none)
        ]

    def _torso_joints(self) -> tuple[int, int]:
        return torso_joints(self.dataset_meta, self.torso, 'VideoPCK', " or normalizers=['bbox']")

    def _torso(self, keypoints: np.ndarray, labelled: np.ndarray) -> np.ndarray:
        """Length of the torso diagonal, (N,); 0 where it is unknown."""
        a, b = self._torso_joints()
        length = np.linalg.norm(keypoints[:, a] - keypoints[:, b], axis=-1)
        return np.where(labelled[:, a] & labelled[:, b], length, 0)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """All figures of the collected frames; a frame met twice (a padded sampler) counts once."""
        once = {(index if r['id'] is None else r['id']): r for index, r in enumerate(results)}
        predicted, keypoints, labelled, occluded, boxes = (
            np.stack([r[name] for r in once.values()])
            for name in ('predicted', 'keypoints', 'labelled', 'occluded', 'bbox')
        )
        sizes = dict(
            bbox=np.max(boxes[:, 2:] - boxes[:, :2], axis=-1),
            torso=(self._torso(keypoints, labelled) if 'torso' in self.normalizers else None),
        )
        metrics = {}
        for normalizer in self.normalizers:
            size = sizes[normalizer]
            known = size >= 1

            factor = np.repeat(size[known, None], 2, axis=1)

            def pck(
                mask: np.ndarray, known: np.ndarray = known, factor: np.ndarray = factor
            ) -> np.ndarray:
                return keypoint_pck_accuracy(
                    predicted[known], keypoints[known], mask[known], self.thr, factor
                )[0]

            figures = self._figures(
                pck(labelled), pck(labelled & ~occluded), pck(labelled & occluded)
            )
            prefix = f'{normalizer}_PCK@{self.thr:g}'
            metrics.update({f'{prefix}/{name}': value for name, value in figures.items()})
            if not known.all():
                print_log(
                    f'{prefix}: {np.sum(~known)} of {len(known)} frames have no usable '
                    f'{normalizer} and do not count',
                    logger='current',
                )
        self._log_table(metrics, len(once))
        return metrics

    def _figures(
        self, every: np.ndarray, visible: np.ndarray, occluded: np.ndarray
    ) -> dict[str, float]:
        """Named figures of per-joint PCKs (K,), over all, visible and occluded labels."""
        names = [self.dataset_meta['keypoint_id2name'][k] for k in range(len(every))]
        figures = group_means(every, names)
        if (occluded >= 0).any():
            figures['visible'] = mean_of_counted(visible)
            figures['occluded'] = mean_of_counted(occluded)
        if self.per_joint:
            figures.update(
                {
                    f'joint/{name}': float(value) if value >= 0 else float('nan')
                    for name, value in zip(names, every)
                }
            )
        return figures

    def _log_table(self, metrics: dict[str, float], num_frames: int) -> None:
        columns = list(
            dict.fromkeys(name.split('/', 1)[1] for name in metrics if '/joint/' not in name)
        )
        prefixes = [f'{normalizer}_PCK@{self.thr:g}' for normalizer in self.normalizers]
        rows = [
            [prefix, *(metrics.get(f'{prefix}/{column}') for column in columns)]
            for prefix in prefixes
        ]
        print_log(
            f'PCK in percent over {num_frames} frames\n'
            + format_table(['', *columns], rows, scale=100),
            logger='current',
        )


@EVALUATOR.register_module()
class FrameEvaluator(Evaluator):
    """MMEngine's evaluator for models that answer several frames per dataset item.

    MMEngine cuts the collected results to the length of the data set, which counts clips here;
    this evaluator tells the metrics the number of frames. Frames that only pad a clip are kept from
    them, so that MMPose's own metrics, which do not know of such, count no frame twice.
    """

    def __init__(self, metrics: dict | Sequence) -> None:
        super().__init__(metrics)
        self._num_frames = 0

    def process(self, data_samples: Sequence, data_batch: dict | None = None) -> None:
        """Hand the frames of a batch to every metric."""
        counted = [sample for sample in data_samples if not sample.get('padded', False)]
        self._num_frames += len(counted)
        super().process(counted, data_batch)

    def evaluate(self, size: int) -> dict:
        """Figures of all metrics over all frames, of every process."""
        total = torch.tensor(self._num_frames)
        all_reduce(total)
        self._num_frames = 0
        return super().evaluate(int(total))
