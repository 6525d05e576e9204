"""The joint relations W_r that a model computes for the frames it is shown.

Shapes: N frames, B clips, T frames of a clip, K joints.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.apis import inference_topdown
from mmpose.codecs import UDPHeatmap
from mmpose.registry import DATASETS
from mmpose.structures import PoseDataSample
from torch import Tensor, nn

from rpstn.checkpoints import ModelError
from rpstn.engine.configs import config_name
from rpstn.inference.clips import predict_video
from rpstn.pose.boxes import FixedBox, FollowedBox, parse_box
from rpstn.pose.crops import rotate_about
from rpstn.pose.datasets import ClipDataset
from rpstn.pose.models.estimator import frames_of
from rpstn.pose.structures import ClipDataSample
from rpstn.results import PersonResult
from rpstn.video.frames import Frame


@dataclass(frozen=True)
class RelatedFrame:
    """One frame: the relation matrix computed for it, and the joints predicted from there."""

    index: int
    """0-based, in its video; of single images, the place among those shown."""
    person: PersonResult
    """The joints, and the box that was looked in."""
    relation: np.ndarray
    """(K, K), W_r: the share that each joint (row) draws on every joint (column); where it draws
    on the last frame's joints, too, both shares together."""
    occluded: np.ndarray
    """(K,) bool, labelled as hidden; none where the data says nothing about it."""
    places: np.ndarray | None = None
    """(K, 2) pixels, where a relation that displaces puts each joint; None, it does not."""
    gates: np.ndarray | None = None
    """(K,), how much of the joint's map that is."""
    path: str = ''
    """Of the image, or the video with ``#index``; '' for one that came from memory."""


def find_relation(model: nn.Module, which: str | None = None) -> nn.Module:
    """The module of a model that computes W_r: the one with a method ``relation(heatmaps)``.

    It may stand inside others, as where several relations follow each other.

    Args:
        which: of several, its class or its path in the model.

    Raises:
        ModelError: there is none, or more than one.
    """
    found = {
        name: module
        for name, module in model.named_modules()
        if callable(getattr(type(module), 'relation', None))
    }
    wanted = [m for name, m in found.items() if which in (None, name, type(m).__name__)]
    if len(wanted) == 1:
        return wanted[0]
    head = getattr(model, 'head', None)
    relation = getattr(head, 'relation', None)
    if found:
        names = ', '.join(f'{name} ({type(module).__name__})' for name, module in found.items())
        several = 'several modules that relate joints' if which is None else f'not one {which!r} of'
        what = f'{several}: {names}: choose by class or path'
    elif relation is None:
        what = f'no relation between joints: its head is {type(head).__name__}'
    else:
        what = f'no matrix of joints to show: its relation is {type(relation).__name__}'
    raise ModelError(
        f'{config_name(getattr(model, "cfg", None) or Config())}: the model has '
        f'{what}. W_r is what one module with a method relation(heatmaps) -> '
        '(B, K, K) gives, such as JRE and TokenRelation in an RPSTNHead or a '
        'RelationHead'
    )


class RelationRecorder:
    """Keeps W_r of every frame that a model predicts while in a ``with`` statement.

    The relation is computed once more, from the heatmaps that enter the module. The flip test is
    off meanwhile: its second pass shows the model mirrored images.

    Args:
        model: an MMPose estimator, of clips or of images.
        which: see :func:`find_relation`.

    Raises:
        ModelError: see :func:`find_relation`.
    """

    def __init__(self, model: nn.Module, which: str | None = None) -> None:
        self.model = model
        self.relation = find_relation(model, which)
        self.frames: list[RelatedFrame] = []
        # Of every call: W_r, and where the module displaces, places and gates.
        self._calls: list[tuple[Tensor, ...]] = []

    def __enter__(self) -> RelationRecorder:
        self._test_cfg = self.model.test_cfg
        self.model.test_cfg = {**self._test_cfg, 'flip_test': False}
        self._handles = [
            self.model.register_forward_pre_hook(lambda *_: self._calls.clear()),
            self.relation.register_forward_hook(self._keep_matrix, with_kwargs=True),
            self.model.register_forward_hook(self._keep_frames, with_kwargs=True),
        ]
        return self

    def __exit__(self, *error) -> None:
        self.model.test_cfg = self._test_cfg
        for handle in self._handles:
            handle.remove()

    @torch.no_grad()
    def _keep_matrix(
        self, relation: nn.Module, inputs: tuple, context: dict, output: Tensor
    ) -> None:
        matrix = relation.relation(*inputs, **context).float()
        if matrix.shape[-1] > matrix.shape[-2]:  # the last frame's joints behind this one's
            matrix = matrix.unflatten(-1, (-1, matrix.shape[-2])).sum(-2)
        kept = [matrix]
        if hasattr(relation, 'places'):
            kept += relation.places(*inputs, **context)
        self._calls.append(tuple(part.float().cpu() for part in kept))

    def _keep_frames(self, model: nn.Module, args: tuple, kwargs: dict, output: list) -> None:
        samples = kwargs['data_samples']
        if isinstance(samples[0], ClipDataSample):
            samples = frames_of(samples)
        # RPSTN calls it T times with B maps, a single-frame head once with all: clip after clip.
        parts = [torch.stack(part, dim=1).flatten(0, 1).numpy() for part in zip(*self._calls)]
        for sample, matrix, *displaced in zip(samples, *parts, strict=True):
            if not sample.metainfo.get('padded', False):
                self.frames.append(self._frame(sample, matrix, *displaced))

    def _frame(
        self,
        sample: PoseDataSample,
        matrix: np.ndarray,
        places: np.ndarray | None = None,
        gates: np.ndarray | None = None,
    ) -> RelatedFrame:
        found, meta = sample.pred_instances, sample.metainfo
        box = np.asarray(sample.gt_instances.bboxes[0])
        person = PersonResult(0, box, found.keypoints[0][:, :2], found.keypoint_scores[0])
        return RelatedFrame(
            meta.get('frame_index', len(self.frames)),
            person,
            matrix,
            _occluded(sample, len(matrix)),
            None if places is None else self._in_image(places, meta),
            gates,
            meta.get('img_path') or '',
        )

    def _in_image(self, places: np.ndarray, meta: dict) -> np.ndarray:
        """Shares of the map (K, 2) as pixels of the image, as the estimator does with joints."""
        decoder = self.model.head.decoder
        cells, unbiased = np.array(decoder.heatmap_size), isinstance(decoder, UDPHeatmap)
        # From the middle of a map's first cell to that of its last one.
        points = places * (1 if unbiased else (cells - 1) / cells) - 0.5
        points = points * meta['input_scale'] + meta['input_center']
        rotation = float(np.ravel(meta.get('bbox_rotation', 0.0))[0])
        return rotate_about(points, meta['input_center'], -rotation if unbiased else rotation)


def _occluded(sample: PoseDataSample, joints: int) -> np.ndarray:
    """(K,) bool, from a clip's labels or from COCO's own (1: labelled, not visible)."""
    if 'keypoints_occluded' in sample.gt_instances:
        return np.asarray(sample.gt_instances.keypoints_occluded[0], bool)
    labels = (sample.metainfo.get('raw_ann_info') or {}).get('keypoints', ())
    if len(labels) == 3 * joints:
        return np.asarray(labels).reshape(joints, 3)[:, 2] == 1
    return np.zeros(joints, bool)


def relate_video(
    model: nn.Module,
    frames: Iterable[Frame],
    box: str | Sequence[float] = 'follow',
    kpt_thr: float | None = None,
    which: str | None = None,
) -> list[RelatedFrame]:
    """W_r and joints of every frame of a video, in order.

    Args:
        model: of :func:`rpstn.engine.loading.load_model`.
        frames: such as :func:`rpstn.video.frames.open_frames` gives.
        box: see :func:`rpstn.pose.boxes.parse_box`.
        kpt_thr: score from which a joint is trusted when following; by default the model's.
        which: see :func:`find_relation`.
    """
    with RelationRecorder(model, which) as recorder:
        if model.cfg.test_dataloader.dataset.pipeline[0].type == 'LoadClip':
            for _ in predict_video(model, frames, box, kpt_thr=kpt_thr):
                pass
        else:
            _predict_images(model, frames, box, kpt_thr)
    return sorted(recorder.frames, key=lambda frame: frame.index)


def _predict_images(
    model: nn.Module, frames: Iterable[Frame], box: str | Sequence[float], kpt_thr: float
) -> None:
    """Frame by frame, for a model of single images."""
    follow, given = parse_box(box)
    tracker = FollowedBox(given, kpt_thr) if follow else FixedBox(given)
    for frame in frames:
        current = tracker.current(frame.image.shape[1::-1])
        found = inference_topdown(model, frame.image, current[None])[0].pred_instances
        tracker.update(found.keypoints[0], found.keypoint_scores[0])


def dataset_of(config: Config, split: str):
    """The data set of a split, read as for a test: no augmentation, consecutive windows.

    Raises:
        ModelError: the config has none.
    """
    loader, test = (config.get(f'{name}_dataloader') for name in (split, 'test'))
    if not loader or not test:
        raise ModelError(f'{config_name(config)}: no {split if not loader else "test"}_dataloader')
    init_default_scope(config.get('default_scope', 'mmpose'))
    dataset = {**loader.dataset, 'pipeline': test.dataset.pipeline, 'test_mode': True}
    if 'start' in dataset:
        dataset['start'] = 'fixed'
    return DATASETS.build(dataset)


def relate_item(
    model: nn.Module, dataset, item: int, whole: bool = False, which: str | None = None
) -> list[RelatedFrame]:
    """W_r and joints of the frames of one clip of a data set, or of one of its images.

    Args:
        model: of :func:`rpstn.engine.loading.load_model`.
        dataset: of :func:`dataset_of`.
        item: number of the clip or image.
        whole: all clips of the video that this one is of.
        which: see :func:`find_relation`.

    Raises:
        ModelError: the data set has no such item.
    """
    if not 0 <= item < len(dataset):
        raise ModelError(
            f'clip {item}: {type(dataset).__name__} has {len(dataset)}, from 0 to '
            f'{len(dataset) - 1}'
        )
    items = [item]
    if whole and isinstance(dataset, ClipDataset):
        video = dataset.get_data_info(item)['video']
        for step in (-1, 1):  # the windows of a video follow one another
            other = item + step
            while 0 <= other < len(dataset) and dataset.get_data_info(other)['video'] == video:
                items.append(other)
                other += step
    with RelationRecorder(model, which) as recorder, torch.no_grad():
        for number in sorted(items):
            model.test_step(pseudo_collate([dataset[number]]))
    return sorted(recorder.frames, key=lambda frame: frame.index)
