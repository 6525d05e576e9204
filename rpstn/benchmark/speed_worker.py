"""One way to compute RPSTN, timed in a process that :mod:`rpstn.benchmark.speed` starts.

Shapes: B clips, T frames, K joints, (H, W) input pixels.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import Tensor, nn

import rpstn  # noqa: F401 (before MMPose: makes the OpenMMLab stack work)
from rpstn.deploy.engines import EngineError, build_stepper, precision_here
from rpstn.deploy.onnx_graphs import Normalize
from rpstn.deploy.sample_clips import random_clips
from rpstn.engine.cpu import for_inference, keep_freed_memory

Call = Callable[[], object]


def build_model(config: Config) -> nn.Module:
    """The config's model as PyTorch builds it, with random, fixed weights.

    Batch statistics are random, too, as after training: no batch norm is the identity.
    """
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.1, 0.1)
                module.running_mean.uniform_(-0.1, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    model.cfg = config
    return model.eval().requires_grad_(False)


def release_way(model: nn.Module, clip: Tensor) -> Tensor:
    """The authors' loop over a clip (T, 3, H, W): every frame by itself, P on the first."""
    normalize = Normalize(model.data_preprocessor)
    heatmaps = features = None
    for index, crop in enumerate(clip):
        image = normalize(crop[None])
        following = model.backbone.encoder(image)
        if index == 0:
            heatmaps = model.head.refine(model.backbone.initializer(image))
        else:
            following = model.head.embed(following)
            heatmaps = model.head.step(heatmaps, features, following)
        features = following
    return heatmaps


class Streaming:
    """A stepper that follows one person for ever; a call is one frame, the initializer's aside."""

    def __init__(self, stepper, clip: Tensor) -> None:
        self.stepper, self.clip, self.index = stepper, clip, 0
        self.state = stepper.start(clip[:1])

    def __call__(self) -> None:
        self.index = (self.index + 1) % len(self.clip)
        self.state = self.stepper.step(self.clip[self.index : self.index + 1], *self.state)


def prepare(settings: dict) -> tuple[Call, int, str]:
    """The call to time, the frames it takes, and what computes, in words."""
    way, clip_len = settings['way'], settings['clip_len']
    eager = f'PyTorch {torch.__version__} on cpu, float32'
    if way == 'mediapipe':
        return _mediapipe(settings['video'])
    if way == 'simple baseline':
        init_default_scope('mmpose')
        network = MODELS.build(
            dict(
                type='TopdownPoseEstimator',
                backbone=dict(type='ResNet', depth=50),
                head=dict(type='HeatmapHead', in_channels=2048, out_channels=17),
            )
        ).eval()
        image = torch.randn(1, 3, *settings['input_size'][::-1])
        return lambda: network(image, None, mode='tensor'), 1, eager
    config = Config.fromfile(settings['config'])
    config.merge_from_dict(settings['cfg_options'])
    width, height = settings['input_size']
    clip = random_clips((width, height), clip_len, 1)[0]
    if way in ('release', 'clip') or way.startswith('torch'):
        model = build_model(config)
    if way == 'release':
        return lambda: release_way(model, clip), clip_len, eager
    keep_freed_memory()
    if way == 'clip':
        model = for_inference(model)
        normalize = Normalize(model.data_preprocessor)
        return lambda: model(normalize(clip)[None], None, mode='tensor'), clip_len, eager
    engine, precision = way.split()
    if precision_here(engine, precision) != precision:
        raise EngineError(f'this processor has no {precision}')
    stepper = (
        build_stepper(for_inference(model), precision=precision)
        if engine == 'torch'
        else build_stepper(
            None,
            engine=engine,
            precision=precision,
            exported=settings['exported'],
            threads=settings['threads'],
        )
    )
    return Streaming(stepper, clip), 1, stepper.device


def _mediapipe(video: str) -> tuple[Call, int, str]:
    """Pose landmarks of whole frames, tracking on, decoded before."""
    from itertools import cycle, islice

    import cv2
    import mediapipe

    from rpstn.video.frames import open_frames

    frames = cycle(
        [cv2.cvtColor(frame.image, cv2.COLOR_BGR2RGB) for frame in islice(open_frames(video), 60)]
    )
    pose = mediapipe.solutions.pose.Pose(model_complexity=1)
    return (
        lambda: pose.process(next(frames)),
        1,
        f'MediaPipe {mediapipe.__version__}, float32 and threads of its own',
    )


def peak_memory() -> float:
    """The most memory this process has had, MB."""
    status = Path('/proc/self/status')
    if status.exists():  # ru_maxrss would count what the process that started this one had
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith('VmHWM')) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(call: Call, repeats: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each of several calls: passed, and of the processor in this process."""
    passed, worked = [], []
    for _ in range(repeats):
        began, before = time.perf_counter(), time.process_time()
        call()
        passed.append(1e3 * (time.perf_counter() - began))
        worked.append(1e3 * (time.process_time() - before))
    return passed, worked


def serve(connection: Connection, settings: dict) -> None:
    """Build a way; then, for every number received, send the times of so many frames."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # libraries print
        os.dup2(nothing, stream)
    torch.set_num_threads(settings['threads'])
    try:
        with torch.inference_mode():
            call, frames, device = prepare(settings)
            call()
            connection.send(dict(device=device))
            while number := connection.recv():
                call()  # the first after a pause is slower
                passed, worked = timed(call, max(1, number // frames))
                connection.send(
                    dict(
                        ms=[value / frames for value in passed],
                        cpu_ms=[value / frames for value in worked],
                        memory=peak_memory(),
                    )
                )
    except EOFError:  # the driver is gone
        pass
    except Exception as error:  # whatever it is, the driver shall name it and go on
        connection.send(dict(error=' '.join(str(error).split()) or type(error).__name__))
