"""Ways to compute RPSTN beside each other; weights are random, as time does not depend on them.

Shapes: T frames, K joints, (H, W) input pixels, (h, w) heatmap cells.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import Tensor, nn

from rpstn.choices import ENGINES
from rpstn.deploy.engines import EngineError, build_stepper, precision_here
from rpstn.deploy.export import MANIFEST, Exported, ExportError, check_exportable, export_model
from rpstn.deploy.onnx_graphs import Normalize
from rpstn.deploy.openvino_stepper import OpenVINOStepper
from rpstn.deploy.sample_clips import random_clips
from rpstn.engine.cpu import for_inference, keep_freed_memory
from rpstn.pose.models.estimator import VideoPoseEstimator
from rpstn.pose.streaming.streaming import Stepper
from rpstn.video.frames import open_frames

from .parts import eager_parts, multiply_adds, operator_parts, peak_rates
from .report import Section
from .settings import WAYS, Settings
from .timing import Call, Timing, measure


def build_model(config: Config) -> VideoPoseEstimator:
    """The config's model as PyTorch builds it, with random, fixed weights.

    Batch statistics are random, too, as after training: no batch norm is the identity.
    """
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    wide, narrow = (0.5, 1.5), (-0.1, 0.1)
    bounds = dict(weight=wide, bias=narrow, running_mean=narrow, running_var=wide)
    with torch.no_grad():
        for module in model.modules():
            for name in bounds if isinstance(module, nn.BatchNorm2d) else ():
                getattr(module, name).uniform_(*bounds[name])
    model.cfg = config
    return model.eval().requires_grad_(False)


def release_way(model: VideoPoseEstimator, clip: Tensor) -> Tensor:
    """The authors' loop over a clip (T, 3, H, W): every frame by itself, P on the first.

    Returns:
        The last frame's heatmaps, (1, K, h, w).
    """
    backbone, head, normalize = model.backbone, model.head, Normalize(model.data_preprocessor)
    first, *others = clip.split(1)
    state = head.start(*backbone.start(normalize(first)))
    for crop in others:
        state = head.step(*state, backbone.encoder(normalize(crop)))
    return state[0]


def streaming(stepper: Stepper, clip: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Follow one person for ever, over a clip (T, 3, H, W) again and again; a state per frame."""
    state = stepper.start(clip[-1:])
    for crop in cycle(clip.split(1)):
        state = stepper.step(crop, *state)
        yield state


def build_call(
    way: str, config: Config, size: tuple[int, int], exported: Exported | None, settings: Settings
) -> Call:
    """One of :data:`WAYS` for a config, whose input is of so many pixels (W, H); units: frames."""
    if way == 'mediapipe':
        return _mediapipe(settings.video)
    clip_len = settings.clip_len or 5
    clip = random_clips(size, clip_len, 1)[0]
    if way == 'simple baseline':
        backbone = dict(type='ResNet', depth=50)
        head = dict(type='HeatmapHead', in_channels=2048, out_channels=17)
        init_default_scope('mmpose')
        network = MODELS.build(dict(type='TopdownPoseEstimator', backbone=backbone, head=head))
        return Call(_inferring(network.eval(), torch.randn(1, 3, *reversed(size)), None))
    if way == 'release':
        return Call(_inferring(release_way, build_model(config), clip), clip_len)
    if way not in ('clip as built', 'clip folded'):
        keep_freed_memory()
    if way.startswith('clip'):
        model = build_model(config)
        model = model if way == 'clip as built' else for_inference(model)
        normalize = Normalize(model.data_preprocessor)
        return Call(_inferring(lambda: model(normalize(clip)[None], None, mode='tensor')), clip_len)
    engine, precision = way.split()
    if precision_here(engine, precision) != precision:
        raise EngineError(f'this processor has no {precision}')
    source = exported if exported and engine != 'torch' else for_inference(build_model(config))
    stepper = build_stepper(source, engine, precision, settings.threads)
    return Call(_inferring(next, streaming(stepper, clip)), 1, stepper.device)


def measure_pose(name: str, config: Config, settings: Settings) -> Section:
    """Time an RPSTN in all ways, in turns, and tell where the time of a frame goes.

    Raises:
        ExportError: no RPSTN, or it cannot be exported.
    """
    model, threads = build_model(config), settings.threads
    check_exportable(model)
    size = model.backbone.input_size
    fast = for_inference(model)
    fast.cfg = config
    adds, parts = multiply_adds(fast), {'PyTorch, eager: ms': eager_parts(fast)}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(settings.exports, name) if settings.exports else Path(temporary)
        exported = _export(fast, folder, settings)
        builds = {
            way: partial(build_call, way, config, size, exported, settings) for way in settings.ways
        }
        timings = measure(builds, settings.rounds, settings.frames, threads)
        measured = [way for way, timing in timings.items() if not timing.error]
        precision = next((p for p in ('bfloat16', 'float32') if f'openvino {p}' in measured), None)
        if exported and precision:
            stepper = OpenVINOStepper(exported, precision, threads, counters=True)
            list(islice(streaming(stepper, random_clips(size)[0]), 3))
            parts[f'OpenVINO, {precision}: ms'] = operator_parts(stepper.operator_times())
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    return Section(
        title=f'{name}: {size[0]}x{size[1]}, {parameters:.1f} M parameters, '
        f'{adds["all"] / 1e9:.1f} G multiply-adds in a step',
        timings={
            WAYS[way].format(clip_len=settings.clip_len or 5): timings[way] for way in timings
        },
        text=_reached(adds['all'], timings),
        header=['part of a step', 'multiply-adds, G', *parts],
        rows=[[part, adds[part] / 1e9, *(ms[part] for ms in parts.values())] for part in adds],
    )


def _export(model: VideoPoseEstimator, folder: Path, settings: Settings) -> Exported | None:
    """What engines other than PyTorch are to run, in the folder from before or new."""
    ways = [way for way in settings.ways if way.startswith(('onnx', 'openvino'))]
    int8 = any('int8' in way for way in ways)
    if not ways:
        return None
    try:
        if not (folder / MANIFEST).is_file():
            return export_model(
                model,
                folder,
                graphs=('start', 'step'),
                keep_float=settings.keep_float,
                calibration=random_clips(model.backbone.input_size)[:1] if int8 else (),
            )
        exported = Exported.open(folder)
        exported.check_source(model)
        kept, wanted = exported.manifest.get('keep_float', []), list(settings.keep_float)
        if kept != wanted:
            raise ExportError(f'{folder}: was exported with --keep-float {kept}, not {wanted}')
        return exported
    except ExportError as error:
        raise ExportError(f'{error}; or name other ways than {", ".join(ways)}') from None


def _reached(multiply_adds: float, timings: Mapping[str, Timing]) -> str:
    """What the machine can do, and the share of it that each engine and precision reaches."""
    peaks, reached = peak_rates(), []
    for way, timing in timings.items():
        engine, _, precision = way.partition(' ')
        if engine in ENGINES and not timing.error:
            rate = multiply_adds / (1e-3 * np.median(np.concatenate(timing.ms)))
            share = rate / peaks.get(precision, max(peaks.values()))
            reached.append(f'{way} {rate / 1e9:.0f} G/s, {100 * share:.0f} %')
    return (
        'Greatest rates of a product of two 2048x2048 matrices in PyTorch: '
        + ', '.join(f'{name} {rate / 1e9:.0f} G multiply-adds/s' for name, rate in peaks.items())
        + f'. Reached, of the same precision or else of the greater: {"; ".join(reached) or "-"}.'
    )


def _inferring(run: Callable, *args: object) -> Callable[[], object]:
    return torch.inference_mode()(partial(run, *args))


def _mediapipe(video: str | Path) -> Call:
    """Pose landmarks of whole frames, tracking on, decoded before."""
    import mediapipe

    frames = cycle(
        [frame.image[..., ::-1].copy() for frame in islice(open_frames(Path(video)), 60)]
    )
    pose = mediapipe.solutions.pose.Pose(model_complexity=1)
    device = f'MediaPipe {mediapipe.__version__}, float32 and threads of its own'
    return Call(lambda: pose.process(next(frames)), 1, device)
