"""Where the time of one frame goes, and how far that is from what the machine can do.

Shapes: K joints, C channels, (H, W) input pixels, (h, w) heatmap cells.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode

from rpstn.deploy.onnx_graphs import StepGraph
from rpstn.engine.cpu import has_bfloat16
from rpstn.pose.models.estimator import VideoPoseEstimator

from .timing import timed

PARTS = {
    'backbone': {'backbone.encoder.backbone': '/encoder/backbone/'},
    'deconvolutions': {
        'backbone.encoder.head.deconv_layers': '/encoder/deconv_layers/',
        'backbone.encoder.head.conv_layers': '/encoder/conv_layers/',
    },
    # For inference the first may be a part of the second, see JRPSP.fold_for_inference.
    'Conv_a and S': {
        'head.propagator.reduce': '/propagator/reduce/',
        'head.propagator.kernel': '/propagator/kernel/',
    },
    'R': {'head.relation': '/relation/', 'head.readout': '/readout/'},
    'Conv_d': {'head.propagator.predict': '/propagator/predict/'},
}
"""Of the step graph: names of modules, and how names of their operators in ONNX begin."""
REST = 'dynamic convolution and the rest'


def multiply_adds(model: VideoPoseEstimator) -> dict[str, float]:
    """Multiply-adds of convolutions and products in one step, by part and ``'all'``."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        StepGraph(copy.deepcopy(model))(*_example(model))
    counts = {
        name.removeprefix('StepGraph.'): sum(operators.values()) // 2
        for name, operators in counter.get_flop_counts().items()
    }
    return _by_part(counts, counter.get_total_flops() // 2)


@torch.inference_mode()
def eager_parts(model: VideoPoseEstimator, repeats: int = 5) -> dict[str, float]:
    """Milliseconds of each part of an eager step, medians, and ``'all'``."""
    graph, example = StepGraph(copy.deepcopy(model)), _example(model)
    times: dict[str, list[float]] = {}

    def begin(name: str, *_: object) -> None:
        times.setdefault(name, []).append(time.perf_counter())

    def end(name: str, *_: object) -> None:
        times[name].append(1e3 * (time.perf_counter() - times[name].pop()))

    for name, module in graph.named_modules():
        if any(name in part for part in PARTS.values()):
            module.register_forward_pre_hook(partial(begin, name))
            module.register_forward_hook(partial(end, name))
    whole, _ = timed(lambda: graph(*example), repeats + 1)
    medians = {name: float(np.median(found[1:])) for name, found in times.items()}
    return _by_part(medians, float(np.median(whole[1:])))  # the first is slower


def operator_parts(operators: Mapping[str, float]) -> dict[str, float]:
    """Milliseconds by part of an exported step, from those by operator name; and ``'all'``."""
    found = {
        module: sum((ms for name, ms in operators.items() if prefix in name), 0.0)
        for part in PARTS.values()
        for module, prefix in part.items()
    }
    return _by_part(found, sum(operators.values()))


def peak_rates(size: int = 2048) -> dict[str, float]:
    """Multiply-adds per second of a large matrix product in torch, the best of several.

    In float32, and in bfloat16 where the processor has it.
    """
    found = {}
    for name in ('float32', 'bfloat16') if has_bfloat16() else ('float32',):
        a, b = (torch.randn(size, size).to(getattr(torch, name)) for _ in range(2))
        timer = Timer('a @ b', globals=dict(a=a, b=b), num_threads=torch.get_num_threads())
        found[name] = size**3 / min(timer.blocked_autorange(min_run_time=0.5).times)
    return found


def _by_part(modules: Mapping[str, float], total: float) -> dict[str, float]:
    found = {part: sum(modules.get(name, 0) for name in names) for part, names in PARTS.items()}
    return {**found, REST: total - sum(found.values()), 'all': total}


def _example(model: VideoPoseEstimator) -> tuple[torch.Tensor, ...]:
    (width, height), stride = model.backbone.input_size, model.backbone.heatmap_stride
    size = (height // stride, width // stride)
    return (
        torch.zeros(1, 3, height, width, dtype=torch.uint8),
        torch.rand(1, model.head.num_joints, *size) / 10,
        torch.rand(1, model.head.state_channels, *size),
    )
