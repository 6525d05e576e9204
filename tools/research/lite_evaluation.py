"""How good a pose model is on the clips of a data set: accuracy, occlusion, jitter.

Shapes: N frames of a clip, K joints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from mmpose.registry import DATASETS, TRANSFORMS

from rpstn.pose.datasets import ClipDataset
from rpstn.pose.evaluation.pck import NORMALIZERS, VideoPCK, torso_joints
from rpstn.simulation import SpanOccluders
from rpstn.skeletons import get_skeleton

from bootstrap import ClipCounts
from lite_predictors import Predictor

# Joints that BlazePose and COCO have, too.
LIMBS = ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
_FAR = 1e6  # pixels; where nobody was found, so that it counts as wrong


def acceleration_error(
    predicted: np.ndarray, truth: np.ndarray, labelled: np.ndarray
) -> np.ndarray:
    """|a - a'| of every joint's accelerations a_t = p_{t-1} - 2 p_t + p_{t+1}, pixels per frame^2.

    As in HMMR (Kanazawa et al., CVPR 2019), in the image.

    Args:
        predicted, truth: (N, K, 2) of consecutive frames.
        labelled: (N, K) bool; three frames in a row count.

    Returns:
        (M,) the values that could be measured; where a prediction is NaN there is none.
    """
    error = np.asarray(predicted, float) - truth
    change = np.linalg.norm(error[:-2] - 2 * error[1:-1] + error[2:], axis=-1)
    known = labelled[:-2] & labelled[1:-1] & labelled[2:] & np.isfinite(change)
    return change[known]


def swapped_pairs(
    predicted: np.ndarray, truth: np.ndarray, pairs: Sequence[tuple[int, int]]
) -> np.ndarray:
    """(N, P) whether a left and a right joint lie nearer, together, to each other's labels.

    Args:
        predicted, truth: (N, K, 2); where a prediction is NaN the pair is not.
        pairs: P indices of the left and right ones.
    """
    sides = np.array(pairs)

    def distance(labels: np.ndarray) -> np.ndarray:
        return np.linalg.norm(predicted[:, sides] - truth[:, labels], axis=-1).sum(-1)

    return distance(sides[:, ::-1]) < distance(sides)


def swapped_sides(
    predicted: np.ndarray, truth: np.ndarray, labelled: np.ndarray, pairs: Sequence[tuple[int, int]]
) -> np.ndarray:
    """:func:`swapped_pairs`, (M,) of those that could be told.

    Args:
        predicted, truth: (N, K, 2); where a prediction is NaN the pair cannot be told.
        labelled: (N, K) bool; pairs count of which both are.
        pairs: indices of the left and right ones.
    """
    sides = np.array(pairs)
    told = labelled[:, sides].all(-1) & np.isfinite(predicted[:, sides]).all((-1, -2))
    return swapped_pairs(predicted, truth, pairs)[told]


@dataclass
class Evaluation:
    """Figures of one part of one row; PCK in fractions, by VideoPCK's names."""

    name: str
    seen: str
    """What the model saw of a clip: ``'label boxes'``, ``'label poses'`` or ``'whole frames'``."""
    clean: dict[str, float] = field(default_factory=dict)
    """On the frames as they are."""
    occluded: dict[str, float] = field(default_factory=dict)
    """With SpanOccluders: ``visible`` and ``occluded``."""
    counts: dict[str, dict[str, ClipCounts]] = field(default_factory=dict)
    """By ``'clean'``, ``'with occluders'`` and ``'occluded'``, the joints under these, and by
    normalizer."""
    jitter: float = float('nan')
    """Mean acceleration error on the frames as they are, pixels per frame^2."""
    swapped: float = float('nan')
    """Share of left-right pairs on the wrong sides, on the frames as they are."""
    missing: float = 0.0
    """Share of frames without any answer."""
    milliseconds: float = float('nan')
    """Median per frame."""
    megabytes: float = float('nan')
    """Of the weights: in half precision for ours, as shipped for others."""

    def limbs(self, normalizer: str) -> float:
        """Mean PCK over the joints of arms and legs."""
        prefix = f'{normalizer}_PCK@0.2/joint/'
        return float(
            np.mean(
                [
                    value
                    for key, value in self.clean.items()
                    if key.startswith(prefix) and key.split('_')[-1] in LIMBS
                ]
            )
        )


def jhmdb_clips(subset: str = 'test', split: int = 1, data_root: str = 'jhmdb') -> ClipDataset:
    """JHMDB's clips whole, nothing done to them."""
    return DATASETS.build(
        dict(
            type='JHMDBClipDataset',
            data_root=data_root,
            split=split,
            subset=subset,
            clip_len=40,
            start='fixed',
            test_mode=True,
        )
    )


def videos(
    dataset: ClipDataset, every: int = 1, occluder: SpanOccluders | None = None
) -> Iterator[dict]:
    """Each video's frames, read, with padding left out; every so many videos only."""
    load = TRANSFORMS.build(dict(type='LoadClip'))
    for number in range(0, len(dataset), every):
        results = dataset.get_data_info(number)
        results['frames'] = [frame for frame in results['frames'] if not frame['padded']]
        results = load(results)
        yield results if occluder is None else occluder(results)


def evaluate(
    name: str, seen: str, predict: Predictor, dataset: ClipDataset, every: int = 1, seed: int = 0
) -> Evaluation:
    """Accuracy and jitter on the clips as they are, and accuracy with occluders.

    A frame that gets no answer counts as wrong.

    Raises:
        ValueError: there are not as many answers as frames.
    """
    row = Evaluation(name, seen)
    skeleton = get_skeleton(f'{dataset.metainfo["dataset_name"]}15')
    for occluder in (None, SpanOccluders(skeleton.name, seed=seed)):
        metric = VideoPCK(thr=0.2)
        metric.dataset_meta = dataset.metainfo
        jitters, swaps, clips, missing = [], [], [], []
        for results in videos(dataset, every, occluder):
            found = np.stack(list(predict(results)))
            samples = [_sample(*pair) for pair in zip(results['frames'], found, strict=True)]
            metric.process({}, samples)
            clips.append(metric.results[-len(samples) :])
            truth, labelled = (
                np.stack([frame[what] for frame in clips[-1]]) for what in ('keypoints', 'labelled')
            )
            jitters.append(acceleration_error(found, truth, labelled))
            swaps.append(swapped_sides(found, truth, labelled, skeleton.flip_pairs))
            missing.append(np.isnan(found).all((1, 2)))
        figures = metric.compute_metrics(metric.results)
        if occluder is None:
            row.clean = figures
            row.counts['clean'] = clip_counts(metric, clips)
            row.missing = float(np.concatenate(missing).mean())
            row.jitter = float(np.concatenate(jitters).mean())
            row.swapped = float(np.concatenate(swaps).mean())
        else:
            row.occluded = figures
            row.counts['with occluders'] = clip_counts(metric, clips)
            row.counts['occluded'] = clip_counts(metric, clips, 'occluded')
    return row


def clip_counts(
    metric: VideoPCK, clips: Sequence[list[dict]], which: str = 'labelled'
) -> dict[str, ClipCounts]:
    """By normalizer, the joints that are right and those that count, of each clip.

    Args:
        metric: that collected them, with JHMDB's or another data set's meta.
        clips: of each clip the metric's results.
        which: of the labelled joints, ``'labelled'``, all, or ``'occluded'``.
    """
    torso = torso_joints(metric.dataset_meta, metric.torso, 'clip_counts')
    counts: dict[str, ClipCounts] = {}
    for normalizer in NORMALIZERS:
        right, counted = [], []
        for clip in clips:
            found, truth, labelled, boxes, marked = (
                np.stack([frame[name] for frame in clip])
                for name in ('predicted', 'keypoints', 'labelled', 'bbox', which)
            )
            near, known = right_joints(found, truth, labelled, boxes, normalizer, torso, metric.thr)
            counting = labelled & marked & known[:, None]
            right.append((near & counting).sum(0))
            counted.append(counting.sum(0))
        counts[normalizer] = ClipCounts(np.stack(right), np.stack(counted))
    return counts


def right_joints(
    found: np.ndarray,
    keypoints: np.ndarray,
    labelled: np.ndarray,
    boxes: np.ndarray,
    normalizer: str,
    torso: tuple[int, int],
    thr: float = 0.2,
) -> tuple[np.ndarray, np.ndarray]:
    """VideoPCK's verdict on each joint, to be counted in other ways.

    Args:
        found, keypoints: (N, K, 2), pixels; NaN is never right.
        labelled: (N, K) bool.
        boxes: (N, 4).
        normalizer: ``'torso'`` or ``'bbox'``.
        torso: the two joints of its diagonal.
        thr: of the normalizer.

    Returns:
        (N, K) bool, and (N,) bool, the frames whose normalizer is known.
    """
    if normalizer == 'torso':
        a, b = torso
        size = np.linalg.norm(keypoints[:, a] - keypoints[:, b], axis=-1)
        size = np.where(labelled[:, [a, b]].all(1), size, 0)
    else:
        size = (boxes[:, 2:4] - boxes[:, :2]).max(-1)
    near = np.linalg.norm(found - keypoints, axis=-1) < thr * size[:, None]
    return near, size >= 1


def _sample(frame: dict, found: np.ndarray) -> dict:
    return dict(
        img_id=frame['img_id'],
        img_path=frame['img_path'],
        id=frame['id'],
        gt_instances=dict(
            keypoints=frame['keypoints'],
            bboxes=frame['bbox'],
            keypoints_visible=frame['keypoints_visible'],
            keypoints_occluded=frame['keypoints_occluded'],
        ),
        pred_instances=dict(keypoints=np.nan_to_num(found, nan=_FAR)[None]),
    )
