"""Joints of a clip's frames, from labels' crops or from whole frames, by ours and by references.

Shapes: N frames of a clip, K joints.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmpose.registry import TRANSFORMS
from torch import nn

from rpstn.engine.loading import joint_names
from rpstn.inference.inferencer import PoseInferencer
from rpstn.inference.kernel_smoother import KernelSmoother
from rpstn.pose.models.estimator import VideoPoseEstimator
from rpstn.results import FrameResult, PersonResult
from rpstn.skeletons import get_skeleton, map_joints, skeleton_of
from rpstn.video.frames import Frame, FrameSource

from mediapipe_pose import SOURCE, MediaPipePose

LABELS = get_skeleton('jhmdb15')
FPS = 30.0
"""Frames per second of JHMDB's videos."""
# From the frames of one video, as LoadClip and occluders leave them, to joints (K, 2) of each, NaN
# where there is no answer.
Predictor = Callable[[dict], Iterable[np.ndarray]]


def seen_crops(model: nn.Module) -> str:
    """What a loaded model's crops are made by: ``'label boxes'``, or ``'label poses'``."""
    return 'label poses' if any(map(_is_body, _test_pipeline(model))) else 'label boxes'


def label_predictor(model: nn.Module, flip: bool = False) -> Predictor:
    """A loaded model on whole videos, each frame cut out by the labels: :func:`seen_crops`.

    For RPSTN the clip is the video, so that heatmaps are carried from its first frame to its last,
    as in streaming. Another skeleton's joints are mapped to JHMDB's.
    """
    steps = Compose(crop_steps(_test_pipeline(model)))
    model.test_cfg = dict(model.test_cfg or {}, flip_test=flip)
    joints = skeleton_of(joint_names(model.dataset_meta))
    if joints is None:
        raise ValueError(f'joints of no known skeleton: {joint_names(model.dataset_meta)}')

    @torch.no_grad()
    def predict(results: dict) -> list[np.ndarray]:
        mirror = list(joints.flip_indices)  # the model's; the frames have those of the labels
        copies = dict(
            results, frames=[dict(frame, flip_indices=mirror) for frame in results['frames']]
        )
        samples = model.test_step(pseudo_collate([steps(copies)]))
        found = [sample.pred_instances.keypoints[0, :, :2] for sample in samples]
        return found if joints == LABELS else [map_joints(f, joints, LABELS) for f in found]

    return predict


def crop_steps(pipeline: Sequence[dict]) -> list:
    """A test pipeline's transforms behind LoadClip.

    The labels that bodies are cut out by are JHMDB's, whatever the model was trained on.
    """
    if pipeline[0]['type'] != 'LoadClip':
        raise ValueError(f'the test pipeline must start with LoadClip, got {pipeline[0]["type"]}')
    return [
        TRANSFORMS.build(dict(step, joints=LABELS.name) if _is_body(step) else step)
        for step in pipeline[1:]
    ]


def _test_pipeline(model: nn.Module) -> list[dict]:
    return model.cfg.test_dataloader.dataset.pipeline


def _is_body(step: dict) -> bool:
    return step['type'] == 'ClipBody'


@dataclass(frozen=True)
class ClipSource(FrameSource):
    """Frames that were read already, as a file that is opened."""

    decoded: tuple[np.ndarray, ...] = ()

    @classmethod
    def of(cls, results: dict) -> ClipSource:
        """Those of a clip, and nothing else of it."""
        images = tuple(frame['img'] for frame in results['frames'])
        size = images[0].shape[1::-1]
        return cls(Path(results['video']), FPS, size, len(images), decoded=images)

    def __iter__(self) -> Iterator[Frame]:
        return (Frame(i, i / self.fps, image) for i, image in enumerate(self.decoded))


def inferencer_predictor(inferencer: PoseInferencer) -> Predictor:
    """What `rpstn infer` answers for whole frames.

    One person is followed; what is answered counts while that person is ``lost``, too.
    """
    nobody = np.full((len(inferencer.joints), 2), np.nan)

    def predict(results: dict) -> Iterator[np.ndarray]:
        for result in inferencer(ClipSource.of(results)):
            yield result.people[0].keypoints if result.people else nobody

    return predict


def streaming_inferencer(
    config: str | Path | Config | None = None,
    checkpoint: str | Path | None = None,
    live: bool = False,
    spare: bool = True,
) -> PoseInferencer:
    """As `rpstn infer` asks the shipped model: any RPSTN streams, and is smoothed; but that
    JHMDB's joints are answered.

    ``live`` knows no later frames, as of cameras; without ``spare`` every frame is looked at, as by
    ``--every-frame``.
    """
    inferencer = PoseInferencer(config, checkpoint)
    options: dict[str, Any] = {}
    if isinstance(inferencer.model, VideoPoseEstimator):
        options.update(mode='stream', smooth=True, spare=spare)
        if live:
            options.update(smooth={}, look_ahead=0)
    if tuple(inferencer.joints) != LABELS.joints:
        options['joints'] = LABELS.name
    return PoseInferencer(config, checkpoint, **options) if options else inferencer


def mediapipe_predictor(
    scale: float = 2.0, tracking: bool = True, smoothed: bool = False
) -> Predictor:
    """MediaPipe Pose on the whole frames, enlarged; its joints as JHMDB's.

    ``smoothed`` as files are by `rpstn infer`, in place of its own filter.
    """

    def answers(results: dict) -> Iterator[FrameResult]:
        with MediaPipePose(scale, tracking, smooth=not smoothed) as pose:
            for n, frame in enumerate(results['frames']):
                joints, scores = pose(frame['img'])
                box = np.concatenate([joints.min(axis=0), joints.max(axis=0)])
                people = () if np.isnan(box).any() else (PersonResult(0, box, joints, scores),)
                yield FrameResult(n, n / FPS, people)

    def predict(results: dict) -> Iterator[np.ndarray]:
        found = KernelSmoother()(answers(results)) if smoothed else answers(results)
        for result in found:
            joints = result.people[0].keypoints if result.people else np.full((33, 2), np.nan)
            yield map_joints(joints, SOURCE, LABELS)

    return predict


def frame_milliseconds(predict: Predictor, results: dict, batch: int = 8) -> float:
    """Time of a frame of a video, all included: the median over batches of the mean in each.

    Batches, as models that know clips only answer several frames at once. The first one, in which
    things are made ready, does not count. The video is shown forwards and backwards, five times, so
    that its beginning and end, of which several frames are answered at once, are little of it.
    """
    forwards, backwards = results['frames'], results['frames'][::-1]
    frames = [*forwards, *backwards, *forwards, *backwards, *forwards]
    answers = iter(predict(dict(results, frames=frames)))
    times = [_timed(lambda: next(answers)) for _ in frames]
    batches = [times[start : start + batch] for start in range(batch, len(times), batch)]
    means = [statistics.mean(times) for times in batches if len(times) == batch]
    return statistics.median(means) if means else float('nan')


@torch.inference_mode()
def model_milliseconds(model: nn.Module, repeats: int = 20) -> float:
    """Median time of one frame of one person in a stream, network only, on the CPU."""
    width, height = model.head.decoder.input_size
    image = torch.randn(1, 3, int(height), int(width))
    if isinstance(model, VideoPoseEstimator):
        state = model.head.start(*model.backbone.start(image))
        return _median(lambda: model.head.step(*state, model.backbone.encoder(image)), repeats)
    return _median(lambda: model.head.forward(model.extract_feat(image)), repeats)


def model_megabytes(model: nn.Module) -> float:
    """Of parameters and buffers in half precision, in millions of bytes."""
    return sum(2 * tensor.numel() for tensor in model.state_dict().values()) / 1e6


def _median(call: Callable[[], object], repeats: int) -> float:
    for _ in range(3):
        call()
    return statistics.median(_timed(call) for _ in range(repeats))


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)
