"""Joints of the person in a video, from a trained model and a box.

Clips are cut out of the video and handed to the model as `rpstn test` does it, by the very
pipeline of the config's test data set and with the same windows of T frames, so that a video gives
here what it gives there for the same boxes. The boxes differ: a data set has one for each frame,
while here one box, or upright body, serves a clip, as nothing is known of a frame before it is
looked at.

The recurrence starts anew with each clip: what it carries, heatmaps and features, lies in the
coordinates of the crop, and a followed box moves between clips. So the model is never asked for
more than the T frames in a row that it was trained on.

Shapes: T frames of a clip, K joints, (H, W) image pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.registry import TRANSFORMS

from rpstn.checkpoints import ModelError
from rpstn.choices import kpt_thr_of
from rpstn.engine.configs import config_name
from rpstn.engine.loading import joint_names
from rpstn.pose.bodies import Body, BodyJoints, Place, body_of_box, box_of, rotation_of
from rpstn.pose.boxes import FixedBox, FollowedBox, parse_box
from rpstn.pose.crops import is_upright
from rpstn.pose.datasets.clip_dataset import frame_info, shared_metainfo
from rpstn.pose.followed_body import FollowedBody, box_about
from rpstn.pose.models.estimator import VideoPoseEstimator
from rpstn.pose.world import WorldJoints
from rpstn.results import FrameResult, PersonResult
from rpstn.video.frames import Frame
from rpstn.video.readers import size_of


def predict_video(
    model: BasePoseEstimator,
    frames: Iterable[Frame],
    box: str | Sequence[float] = 'frame',
    clip_len: int | None = None,
    kpt_thr: float | None = None,
    known: Iterable[FrameResult] = (),
    world: bool = False,
) -> Iterator[FrameResult]:
    """The joints of every frame, in order, as the frames come.

    Reads one clip ahead, and keeps no more than that.

    Args:
        model: of :func:`load_model`.
        frames: such as :func:`rpstn.video.frames.open_frames` gives.
        box: ``'frame'``, a box of four numbers, or ``'follow'``, see
            :func:`rpstn.pose.boxes.parse_box`.
        clip_len: T. Defaults to that of the config's test data set.
        kpt_thr: score from which a joint is trusted when following; the model's own by default.
        known: what an earlier run over the same frames gave, from the first
            frame on. Clips that are wholly known are not computed again; those that follow come
            out as if the earlier run had gone on.
        world: whether joints are answered in metres, too, by models built on BlazePose.

    Raises:
        BoxError: the box cannot be used.
        ModelError: the config's pipeline does not take clips, or the model's answer is no number.
        SettingError: crops are upright, and no joints are called hips and shoulders; or ``world``
            is asked of another model.
    """
    metres = WorldJoints(model) if world else None
    kpt_thr = kpt_thr_of(model.dataset_meta) if kpt_thr is None else kpt_thr
    follow, given = parse_box(box)
    dataset = _test_dataset(model.cfg)
    clips = _Clips(dataset.get('pipeline', ()), model.dataset_meta)
    tracker: FixedBox | FollowedBody
    if not follow:
        tracker = FixedBox(given)
    elif clips.upright:
        tracker = FollowedBody(BodyJoints.of(joint_names(model.dataset_meta)), given, kpt_thr)
    else:
        tracker = FollowedBox(given, kpt_thr)
    clip_len = clip_len or dataset.get('clip_len', 5)
    # With a stride, every stride-th frame makes one clip, the frames between them the next.
    stride = dataset.get('frame_stride', 1)
    frames, known = iter(frames), iter(known)
    recurrent = isinstance(model, VideoPoseEstimator)
    while chunk := list(islice(frames, clip_len * stride)):
        size = size_of(chunk[0].image)
        current: Place = tracker.current(size)
        if clips.upright and not isinstance(current, Body):
            current = body_of_box(current)
        found = {
            result.index: (person.keypoints, person.scores, person.world)
            for result in islice(known, len(chunk))
            for person in result.people
        }
        for offset in range(min(stride, len(chunk)) if found.keys() != _indices(chunk) else 0):
            batch = clips.pack(chunk[offset::stride], clip_len, current)
            found.update(_predict(model, batch, metres, rotation_of(current)))
        tracker.update(*found[chunk[-1].index][:2])
        for place, frame in enumerate(chunk):
            state = 'started' if place < stride or not recurrent else 'tracked'
            state = 'lost' if tracker.lost and frame is chunk[-1] else state
            joints, scores, in_metres = found[frame.index]
            person = PersonResult(
                0,
                box_about(current, joints, scores, kpt_thr, size),
                joints,
                scores,
                state,
                model.dataset_meta,
                rotation_of(current),
                in_metres,
            )
            yield FrameResult(frame.index, frame.time, (person,), frame.image, model.dataset_meta)


def _indices(frames: Iterable[Frame]) -> set[int]:
    return {frame.index for frame in frames}


@dataclass(frozen=True)
class _MemoryReader:
    """Frames that are in memory already, as a :class:`FrameReader`."""

    images: dict[int, np.ndarray]
    path: str = 'video'

    def read(self, indices: Sequence[int]) -> list[np.ndarray]:
        # Copies: a transform may change its image in place.
        return [self.images[index].copy() for index in indices]


class _Clips:
    """Frames and a place to the batch of one clip that the model takes.

    Gives the pipeline what :class:`ClipDataset` gives it, with all joints marked as not labelled.
    """

    def __init__(self, pipeline: Sequence[dict], meta: dict) -> None:
        types = [str(step.get('type')) for step in pipeline]
        if types[:1] != ['LoadClip'] or types[-1:] != ['PackClipInputs']:
            raise ModelError(
                "the pipeline of the config's test data set must start with LoadClip "
                f'and end with PackClipInputs, got {types}'
            )
        self.upright = is_upright(pipeline)
        self.pipeline = Compose([TRANSFORMS.build(step) for step in pipeline])
        self.joints = len(meta['keypoint_id2name'])
        self.shared = shared_metainfo(meta)

    def pack(self, frames: list[Frame], clip_len: int, place: Place) -> dict:
        """Frames beyond the last repeat it, and are marked as padded."""
        reader = _MemoryReader({frame.index: frame.image for frame in frames})
        height, width = frames[0].image.shape[:2]
        padded = [(frame, False) for frame in frames]
        padded += [(frames[-1], True)] * (clip_len - len(frames))
        info = dict(
            video=reader.path,
            reader=reader,
            image_size=(width, height),
            action='',
            frames=[self._frame(*item, place) for item in padded],
        )
        return pseudo_collate([self.pipeline(info)])

    def _frame(self, frame: Frame, padded: bool, place: Place) -> dict:
        flags = np.zeros(self.joints, bool)
        body = dict(body=place) if isinstance(place, Body) else {}
        return dict(
            frame_info(
                frame.index,
                f'video#{frame.index}',
                'video',
                frame.index,
                padded,
                box_of(place),
                np.zeros((self.joints, 2)),
                flags,
                flags,
            ),
            **body,
            **self.shared,
        )


@torch.no_grad()
def _predict(
    model: BasePoseEstimator, batch: dict, metres: WorldJoints | None, rotation: float
) -> dict[int, tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Joints (K, 2), scores (K,) and joints in metres (K, 3) by frame index."""
    found = {}
    samples = model.test_step(batch)
    # Padded frames, which may be missing among the samples, are the last.
    world = [None] * len(samples) if metres is None else metres.take([rotation] * len(samples))
    for sample, in_metres in zip(samples, world):
        if sample.metainfo.get('padded', False):  # single-frame estimators hand these out, too
            continue
        index, instances = sample.metainfo['frame_index'], sample.pred_instances
        # In double precision, so that they are the same after a way through text.
        keypoints = instances.keypoints[0][:, :2].astype(np.float64)
        scores = instances.keypoint_scores[0].astype(np.float64)
        check_finite(keypoints, scores, index)
        found[index] = (keypoints, scores, in_metres)
    return found


def check_finite(keypoints: np.ndarray, scores: np.ndarray, frame: int) -> None:
    """See that a frame's joints (K, 2) and scores (K,) are numbers.

    Raises:
        ModelError: they are not.
    """
    if not (np.isfinite(keypoints).all() and np.isfinite(scores).all()):
        raise ModelError(
            f'frame {frame}: the model answers with values that are no numbers; '
            'its training has diverged'
        )


def _test_dataset(config: Config) -> dict:
    """The config's data set for tests, out of any wrapper."""
    loader = config.get('test_dataloader') or config.get('val_dataloader')
    if not loader:
        raise ModelError(f'{config_name(config)}: no test_dataloader, whose pipeline would be used')
    dataset = loader['dataset']
    while 'pipeline' not in dataset and 'dataset' in dataset:
        dataset = dataset['dataset']
    return dataset
