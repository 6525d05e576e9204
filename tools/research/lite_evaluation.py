"""How good a pose model is on the clips of a data set: accuracy, occlusion, jitter, time, size.

Shapes: N frames of a clip, K joints.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from mediapipe_pose import MediaPipePose, find_joints, weights_megabytes
from mmengine.dataset import Compose, pseudo_collate
from mmpose.registry import DATASETS, TRANSFORMS
from torch import nn

from rpstn.pose.datasets import ClipDataset
from rpstn.pose.evaluation.pck import GROUPS, VideoPCK
from rpstn.pose.models.estimator import VideoPoseEstimator
from rpstn.simulation import SpanOccluders
from rpstn.skeletons import get_skeleton

# Joints that BlazePose and COCO have, too.
LIMBS = ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
_FAR = 1e6  # pixels; where nobody was found, so that it counts as wrong

# From the frames of one video, as LoadClip and occluders leave them, to joints (N, K, 2).
Predictor = Callable[[dict], np.ndarray]


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


def swapped_sides(
    predicted: np.ndarray, truth: np.ndarray, labelled: np.ndarray, pairs: Sequence[tuple[int, int]]
) -> np.ndarray:
    """Whether a left and a right joint lie nearer, together, to each other's labels.

    Args:
        predicted, truth: (N, K, 2).
        labelled: (N, K) bool; pairs count of which both are.
        pairs: indices of the left and right ones.

    Returns:
        (M,) bool of the pairs that could be told; where a prediction is NaN they cannot.
    """
    sides = np.array(pairs)

    def distance(labels: np.ndarray) -> np.ndarray:
        return np.linalg.norm(predicted[:, sides] - truth[:, labels], axis=-1).sum(-1)

    own = distance(sides)
    return (distance(sides[:, ::-1]) < own)[labelled[:, sides].all(-1) & np.isfinite(own)]


@dataclass
class Evaluation:
    """Figures of one row; PCK in fractions, by VideoPCK's names."""

    name: str
    clean: dict[str, float] = field(default_factory=dict)
    """On the frames as they are."""
    occluded: dict[str, float] = field(default_factory=dict)
    """With SpanOccluders: ``visible`` and ``occluded``."""
    jitter: float = float('nan')
    """Mean acceleration error on the frames as they are, pixels per frame^2."""
    swapped: float = float('nan')
    """Share of left-right pairs on the wrong sides, on the frames as they are."""
    missing: float = 0.0
    """Share of frames without any answer."""
    milliseconds: float = float('nan')
    """Median per frame, of the network alone for ours."""
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


def model_predictor(model: nn.Module, flip: bool = False) -> Predictor:
    """A loaded model on whole videos, each frame cut out by the labels' box.

    For RPSTN the clip is the video, so that heatmaps are carried from its first frame to its last,
    as in streaming.
    """
    pipeline = model.cfg.test_dataloader.dataset.pipeline
    if pipeline[0]['type'] != 'LoadClip':
        raise ValueError(f'the test pipeline must start with LoadClip, got {pipeline[0]["type"]}')
    steps = Compose([TRANSFORMS.build(step) for step in pipeline[1:]])
    model.test_cfg = dict(model.test_cfg or {}, flip_test=flip)

    @torch.no_grad()
    def predict(results: dict) -> np.ndarray:
        copies = dict(results, frames=[dict(frame) for frame in results['frames']])
        samples = model.test_step(pseudo_collate([steps(copies)]))
        return np.stack([sample.pred_instances.keypoints[0, :, :2] for sample in samples])

    return predict


def mediapipe_predictor(scale: float = 2.0, tracking: bool = True) -> Predictor:
    """MediaPipe Pose on the whole frames, enlarged; JHMDB's other joints as means of its own."""
    return lambda results: find_joints(
        [frame['img'] for frame in results['frames']], 'jhmdb15', scale=scale, tracking=tracking
    )[0]


def evaluate(
    name: str, predict: Predictor, dataset: ClipDataset, every: int = 1, seed: int = 0
) -> Evaluation:
    """Accuracy and jitter on the clips as they are, and accuracy with occluders."""
    row = Evaluation(name)
    skeleton = get_skeleton(f'{dataset.metainfo["dataset_name"]}15')
    for occluder in (None, SpanOccluders(skeleton.name, seed=seed)):
        metric = VideoPCK(thr=0.2)
        metric.dataset_meta = dataset.metainfo
        jitters, swaps, missing, frames = [], [], 0, 0
        for results in videos(dataset, every, occluder):
            found = predict(results)
            truth = np.stack([frame['keypoints'][0] for frame in results['frames']])
            labelled = np.stack([frame['keypoints_visible'][0] > 0 for frame in results['frames']])
            jitters.append(acceleration_error(found, truth, labelled))
            swaps.append(swapped_sides(found, truth, labelled, skeleton.flip_pairs))
            missing += int(np.isnan(found).all((1, 2)).sum())
            frames += len(found)
            metric.process({}, [_sample(*pair) for pair in zip(results['frames'], found)])
        figures = metric.compute_metrics(metric.results)
        if occluder is None:
            row.clean, row.missing = figures, missing / frames
            row.jitter = float(np.concatenate(jitters).mean())
            row.swapped = float(np.concatenate(swaps).mean())
        else:
            row.occluded = figures
    return row


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


@torch.inference_mode()
def model_milliseconds(model: nn.Module, repeats: int = 20) -> float:
    """Median time of one frame of one person in a stream, network only, on the CPU."""
    width, height = model.head.decoder.input_size
    image = torch.randn(1, 3, int(height), int(width))
    if isinstance(model, VideoPoseEstimator):
        state = model.head.start(*model.backbone.start(image))
        return _median(lambda: model.head.step(*state, model.backbone.encoder(image)), repeats)
    return _median(lambda: model.head.forward(model.extract_feat(image)), repeats)


def mediapipe_milliseconds(dataset: ClipDataset, scale: float = 2.0) -> float:
    """Median time of one frame, tracking on, of its whole graph."""
    images = iter([frame['img'] for frame in next(videos(dataset))['frames']])
    with MediaPipePose(scale) as pose:
        pose(next(images))  # detection as well
        return statistics.median(_timed(lambda image=image: pose(image)) for image in images)


def model_megabytes(model: nn.Module) -> float:
    """Of parameters and buffers in half precision, in millions of bytes."""
    return sum(2 * tensor.numel() for tensor in model.state_dict().values()) / 1e6


def mediapipe_evaluation(
    dataset: ClipDataset, every: int = 1, seed: int = 0, scale: float = 2.0
) -> Evaluation:
    """The reference row."""
    row = evaluate('MediaPipe Pose, full', mediapipe_predictor(scale), dataset, every, seed)
    row.milliseconds = mediapipe_milliseconds(dataset, scale)
    row.megabytes = weights_megabytes()
    return row


def cells(row: Evaluation) -> list[float]:
    """The first table's figures; see ``COLUMNS``."""

    def pck(figures: dict[str, float], normalizer: str, what: str) -> float:
        return 100 * figures.get(f'{normalizer}_PCK@0.2/{what}', float('nan'))

    return [
        *(
            100 * row.limbs(n) if limbs else pck(row.clean, n, 'mean')
            for n in ('torso', 'bbox')
            for limbs in (False, True)
        ),
        *(
            pck(row.occluded, n, what)
            for n in ('torso', 'bbox')
            for what in ('mean', 'visible', 'occluded')
        ),
        100 * row.swapped,
        row.jitter,
        row.milliseconds,
        row.megabytes,
    ]


COLUMNS = (
    'torso',
    'torso, limbs',
    'box',
    'box, limbs',
    'torso, with occluders',
    'torso, visible',
    'torso, occluded',
    'box, with occluders',
    'box, visible',
    'box, occluded',
    'swapped',
    'jitter',
    'ms',
    'MB',
)


def group_cells(row: Evaluation, normalizer: str) -> list[float]:
    """PCK of the papers' groups of joints, in percent."""
    return [100 * row.clean.get(f'{normalizer}_PCK@0.2/{group}', float('nan')) for group in GROUPS]


def mean_text(rows: Sequence[Sequence[float]]) -> list[str]:
    """Columns of several runs: the mean, and its spread where there are several."""
    values = np.array(rows, float)
    means, spread = values.mean(0), values.std(0, ddof=1) if len(values) > 1 else None
    return [
        '-'
        if np.isnan(mean)
        else f'{mean:.1f}'
        if spread is None
        else f'{mean:.1f} ± {spread[i]:.1f}'
        for i, mean in enumerate(means)
    ]


def _median(call: Callable[[], object], repeats: int) -> float:
    for _ in range(3):
        call()
    return statistics.median(_timed(call) for _ in range(repeats))


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)
