"""The figure that the authors' released code calls PCK, for whoever must compare with it.

Shapes: N frames of a clip, K joints, (h, w) heatmap cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpose.codecs.utils import generate_gaussian_heatmaps
from mmpose.registry import METRICS
from torch import nn

from rpstn.errors import SettingError
from rpstn.tables import format_table

from .pck import group_means, torso_joints


def argmax_cells(heatmaps: np.ndarray) -> np.ndarray:
    """Cell x y of the largest value of each map, (K, h, w) -> (K, 2); (0, 0) if all are 0."""
    rows, columns = np.unravel_index(
        heatmaps.reshape(len(heatmaps), -1).argmax(axis=1), heatmaps.shape[1:]
    )
    return np.stack([columns, rows], axis=1)


def legacy_correct(
    predicted: np.ndarray,
    target: np.ndarray,
    torso: tuple[int, int],
    heatmap_size: tuple[int, int],
    thr: float = 0.2,
    plus_one: str = 'distance',
) -> np.ndarray:
    """Which joints of one clip the released formula counts right, (N, K) bool.

    With cells p of the predicted and g of the target maxima, and the first frame's torso g_a, g_b::

        |(p - g + 1) / (heatmap_size / 10)|  <  thr * |g_a - g_b|        plus_one='distance'
        |(p - g)     / (heatmap_size / 10)|  <  thr * |g_a - g_b + 1|    plus_one='torso'

    Args:
        predicted, target: (N, K, 2) cells x y, of consecutive frames.
        torso: the two joints.
        heatmap_size: (w, h).
        thr: of the torso.
        plus_one: see above.
    """
    in_distance, in_torso = plus_one == 'distance', plus_one == 'torso'
    a, b = (target[0, joint] for joint in torso)
    length = np.linalg.norm(a - b + in_torso)
    tenth = np.asarray(heatmap_size) / 10
    distance = np.linalg.norm((predicted - target + in_distance) / tenth, axis=-1)
    return distance < thr * length


@METRICS.register_module()
class LegacyPCK(BaseMetric):
    """NOT the standard PCK: the formula of RPSTN's released code, :func:`legacy_correct`.

    Where it departs from the standard (:class:`VideoPCK`, which headline figures use):

    1. Distances are divided by a tenth of the heatmap's side, 6.4 cells of 64, but the threshold is
       0.2 of the torso in cells, undivided: it lets pass 6.4 times as much. A joint may be off by
       1.28 torsos.
    2. 1 is added inside the norm, to x and to y, so a perfect prediction is not at distance 0. With
       a torso of one cell it is counted wrong. What is known of the code does not say which norm
       that is: by default the distance's; ``plus_one='torso'`` adds it to the torso's.
    3. The first frame's torso serves all frames of the clip.
    4. Truth is the argmax of the target heatmap, in whole cells, not the label; so is the
       prediction, without the codec's refinement. An unlabelled torso joint of an empty map lies
       at cell (0, 0).

    The figures are means over frames of each joint, then over joints, of joints that have a target,
    named ``legacy_PCK@<thr>/mean`` and, as in :class:`VideoPCK`, by the paper's columns. Needs
    predicted heatmaps, ``model.test_cfg.output_heatmaps=True``, and whole clips in order, as
    :class:`FrameEvaluator` and data sets with ``start='fixed'`` give them. Targets are drawn here
    from the labels, as :class:`MSRAHeatmap` draws them for training; the test's pipeline does not.

    Args:
        thr: of the torso. Defaults to 0.2.
        torso: as in :class:`VideoPCK`.
        sigma: of the targets, in cells. Defaults to 2.
        plus_one: ``'distance'`` or ``'torso'``.
        **kwargs: of :class:`mmengine.evaluator.BaseMetric`.

    Raises:
        SettingError: unknown ``plus_one`` or torso joints; predictions without heatmaps; frames
            that are not those of the batch's clips.
    """

    default_prefix = ''  # the names below are complete

    def __init__(
        self,
        thr: float = 0.2,
        torso: tuple[str, str] | None = None,
        sigma: float = 2,
        plus_one: str = 'distance',
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if plus_one not in ('distance', 'torso'):
            raise SettingError(
                f"LegacyPCK: plus_one must be 'distance' or 'torso', got {plus_one!r}"
            )
        self.thr = thr
        self.torso = torso
        self.sigma = sigma
        self.plus_one = plus_one

    def expected_figures(self, model: nn.Module) -> list[str]:
        """As :meth:`VideoPCK.expected_figures`."""
        torso_joints(self.dataset_meta, self.torso, 'LegacyPCK')
        names = self.dataset_meta['keypoint_id2name']
        figures = group_means(np.zeros(len(names)), [names[k] for k in range(len(names))])
        return [f'legacy_PCK@{self.thr:g}/{name}' for name in figures]

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count the joints of each clip of a batch."""
        frames = [sample for sample in data_samples if not sample.get('padded', False)]
        lengths = [
            sum(not frame.get('padded', False) for frame in clip.frames)
            for clip in data_batch['data_samples']
        ]
        if sum(lengths) != len(frames):
            raise SettingError(
                f'LegacyPCK: the clips of the batch have {sum(lengths)} frames, the '
                f'predictions {len(frames)}'
            )
        for last, length in zip(np.cumsum(lengths), lengths):
            if length:
                self._count(frames[last - length : last])

    def _count(self, frames: list[dict]) -> None:
        cells = [self._cells(frame) for frame in frames]
        predicted, target, drawn = (np.stack(values) for values in zip(*cells))
        size = frames[0]['pred_fields']['heatmaps'].shape[:0:-1]
        torso = torso_joints(self.dataset_meta, self.torso, 'LegacyPCK')
        right = legacy_correct(predicted, target, torso, size, self.thr, self.plus_one)
        # One result per frame, by which MMEngine cuts what repeated items added.
        self.results.extend(zip(right & drawn, drawn))

    def _cells(self, frame: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cells of the prediction and of the target, (K, 2) each, and whether there is a target."""
        if 'heatmaps' not in frame.get('pred_fields', {}):
            raise SettingError(
                'LegacyPCK needs predicted heatmaps: set model.test_cfg.output_heatmaps=True'
            )
        heatmaps = np.asarray(frame['pred_fields']['heatmaps'])
        truth = frame['gt_instances']
        visible = np.asarray(truth['keypoints_visible'], np.float32)
        visible = visible.reshape(1, heatmaps.shape[0], -1)[..., 0]
        # The inverse of MMPose's way from input pixels to the image.
        center, scale, size = (
            np.asarray(frame[f'input_{key}'], float) for key in ('center', 'scale', 'size')
        )
        points = np.asarray(truth['keypoints'])[..., :2]
        points = (points - center + 0.5 * scale) / scale * size
        cells = np.array(heatmaps.shape[:0:-1])
        stride = (size / cells).astype(np.float32)
        targets, _ = generate_gaussian_heatmaps(
            tuple(cells), points.astype(np.float32) / stride, visible, self.sigma
        )
        return argmax_cells(heatmaps), argmax_cells(targets), targets.any(axis=(1, 2))

    def compute_metrics(self, results: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
        """Fractions over all counted joints."""
        right, counted = (np.sum(values, axis=0) for values in zip(*results))
        every = np.where(counted > 0, right / np.maximum(counted, 1), -1.0)
        names = [self.dataset_meta['keypoint_id2name'][k] for k in range(len(every))]
        figures = group_means(every, names)
        prefix = f'legacy_PCK@{self.thr:g}'
        print_log(
            f'Legacy PCK, not the standard one, in percent over {len(results)} frames\n'
            + format_table(['', *figures], [[prefix, *figures.values()]], scale=100),
            logger='current',
        )
        return {f'{prefix}/{name}': value for name, value in figures.items()}
