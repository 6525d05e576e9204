"""Where the time of one frame goes, and how far that is from what the machine can do.

Shapes: K joints, C channels, (H, W) input pixels, (h, w) heatmap cells.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rpstn.deploy.onnx_graphs import StepGraph
from rpstn.engine.cpu import has_bfloat16

PARTS = {
    'backbone': {'backbone.encoder.backbone': '/encoder/backbone/'},
    'deconvolutions': {'backbone.encoder.head': '/encoder/deconv_layers/'},
    # For inference the first may be a part of the second, see JRPSP.fold_for_inference.
    'Conv_a and S': {
        'head.propagator.reduce': '/propagator/reduce/',
        'head.propagator.kernel': '/propagator/kernel/',
    },
    'R': {'head.relation': '/relation/'},
    'Conv_d': {'head.propagator.predict': '/propagator/predict/'},
}
"""Of the step graph: names of modules, and how names of their operators in ONNX begin."""
REST = 'dynamic convolution and the rest'


def _example(model: nn.Module) -> tuple[torch.Tensor, ...]:
    (width, height), stride = model.backbone.input_size, model.backbone.heatmap_stride
    size = (height // stride, width // stride)
    return (
        torch.zeros(1, 3, height, width, dtype=torch.uint8),
        torch.rand(1, model.head.num_joints, *size) / 10,
        torch.rand(1, model.head.channels, *size),
    )


@torch.no_grad()
def multiply_adds(model: nn.Module) -> dict[str, int]:
    """Multiply-adds of convolutions and products in one step, by part and ``'all'``."""
    graph = StepGraph(model)
    with FlopCounterMode(display=False) as counter:
        graph(*_example(model))
    counts = {
        name: sum(operators.values()) // 2 for name, operators in counter.get_flop_counts().items()
    }
    found = {
        part: sum(counts.get(f'StepGraph.{module}', 0) for module in modules)
        for part, modules in PARTS.items()
    }
    # Of an encoder, whose head is called by its method, past the counter's hooks.
    encoder = 'StepGraph.backbone.encoder'
    found['deconvolutions'] = counts[encoder] - counts[f'{encoder}.backbone']
    total = counter.get_total_flops() // 2
    return dict(found, **{REST: total - sum(found.values())}, all=total)


@torch.inference_mode()
def eager_parts(model: nn.Module, repeats: int = 5) -> dict[str, float]:
    """Milliseconds of each part of an eager step, medians, and ``'all'``."""
    graph, example = StepGraph(model), _example(model)
    times: dict[str, list[float]] = {name: [] for modules in PARTS.values() for name in modules}
    began: dict[str, float] = {}
    handles = []
    modules = dict(graph.named_modules())
    for name in times:
        if name in modules:  # is not folded into another
            handles.append(
                modules[name].register_forward_pre_hook(
                    lambda *_, name=name: began.update({name: time.perf_counter()})
                )
            )
            handles.append(
                modules[name].register_forward_hook(
                    lambda *_, name=name: times[name].append(time.perf_counter() - began[name])
                )
            )
    # The head of an encoder is called by its method, which runs no hooks.
    head = graph.backbone.encoder.head
    plain = head.forward

    def watched(*args):
        start = time.perf_counter()
        answer = plain(*args)
        times['backbone.encoder.head'].append(time.perf_counter() - start)
        return answer

    head.forward = watched
    try:
        whole = [_seconds(lambda: graph(*example)) for _ in range(repeats + 1)][1:]
    finally:
        del head.forward
        for handle in handles:
            handle.remove()
    found = {
        part: 1e3 * sum(float(np.median(times[name][1:])) for name in names if times[name])
        for part, names in PARTS.items()
    }
    total = 1e3 * float(np.median(whole))
    return dict(found, **{REST: total - sum(found.values())}, all=total)


def operator_parts(operators: dict[str, float]) -> dict[str, float]:
    """Milliseconds by part of an exported step, from those by operator name; and ``'all'``."""
    found = dict.fromkeys((*PARTS, REST), 0.0)
    for name, milliseconds in operators.items():
        part = next(
            (
                part
                for part, modules in PARTS.items()
                if any(prefix in name for prefix in modules.values())
            ),
            REST,
        )
        found[part] += milliseconds
    return dict(found, all=sum(operators.values()))


def peak_rates(size: int = 2048, repeats: int = 5) -> dict[str, float]:
    """Multiply-adds per second of a large matrix product in torch, the best of several.

    In float32, and in bfloat16 where the processor has it.
    """
    found = {}
    for name, dtype in (('float32', torch.float32), ('bfloat16', torch.bfloat16)):
        if dtype == torch.bfloat16 and not has_bfloat16():
            continue
        a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
        product = partial(torch.matmul, a, b)
        found[name] = size**3 / min(_seconds(product) for _ in range(repeats + 1))
    return found


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
