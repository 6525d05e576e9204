"""An export run by every engine that is installed, against PyTorch in float32.

Shapes: T frames of a clip, (H, W) input pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rpstn.checkpoints import ModelError
from rpstn.choices import ENGINES
from rpstn.pose.models.estimator import VideoPoseEstimator

from .engines import build_stepper, precision_here
from .export import Exported, ExportError, check_exportable
from .exported_steppers import BitsError, run_clip_graph
from .onnx_graphs import Normalize
from .parity import Parity, compare_heatmaps, compare_steppers, decoder_in_cells


@dataclass(frozen=True)
class Check:
    """How far one way to compute an export is from PyTorch in float32."""

    way: str
    """What computed."""
    parity: Parity | None = None
    """None where it could not be checked."""
    reason: str = ''
    """Why it could not."""

    def __str__(self) -> str:
        return f'{self.way}: {self.parity or self.reason}'


def check_export(
    model: nn.Module, exported: Exported, clips: Sequence[Tensor], clip_len: int
) -> Iterator[Check]:
    """Run start, step and clip graphs in all engines and precisions there are here.

    Args:
        model: that was exported, of :func:`rpstn.engine.loading.load_model`, on the CPU.
        exported: what it was exported to.
        clips: crops (T, 3, H, W) uint8 BGR.
        clip_len: T of the clip graph.
    """
    model = check_exportable(model)
    reference, decode = build_stepper(model), decoder_in_cells(model)
    calibrated = any(entry['precision'] == 'int8' for entry in exported.manifest['files'].values())
    checked = []
    for engine, precision in [(e, p) for e, precisions in ENGINES.items() for p in precisions]:
        way = f'{engine}, {precision}'
        if way == 'torch, float32':
            continue
        if precision == 'int8' and not calibrated:
            yield Check(way, reason='not written, for want of --calibrate')
            continue
        try:
            if precision_here(engine, precision) != precision:
                yield Check(way, reason=f'not checked: this processor has no {precision}')
                continue
            source = model if engine == 'torch' else exported
            stepper = build_stepper(source, engine, precision)
        except (ExportError, BitsError) as error:  # not installed, or not for here
            yield Check(way, reason=f'not checked: {error}')
            continue
        yield Check(stepper.device, compare_steppers(reference, stepper, clips, decode))
        if engine != 'torch':
            checked.append((engine, precision))
    yield from _check_clip_graph(model, exported, clips, clip_len, checked)


def _check_clip_graph(
    model: VideoPoseEstimator,
    exported: Exported,
    clips: Sequence[Tensor],
    clip_len: int,
    ways: Sequence[tuple[str, str]],
) -> Iterator[Check]:
    """The clip graph, which no stepper uses, in each engine and precision."""
    fitting = [clip[:clip_len] for clip in clips if len(clip) >= clip_len][:4]
    if not fitting:
        yield Check('clip graph', reason=f'not checked: no clip has {clip_len} frames')
        return
    whole = torch.stack(fitting)
    with torch.inference_mode():
        expected = model(Normalize(model.data_preprocessor)(whole), None, mode='tensor').numpy()
    for engine, precision in ways:
        way = f'clip graph, {engine}, {precision}'
        try:
            found = run_clip_graph(exported, whole, engine, precision)
        except ModelError as error:
            yield Check(way, reason=f'not checked: {error}')
            continue
        parity = compare_heatmaps(list(expected), list(found), decoder_in_cells(model))
        yield Check(f'{way}, a batch of {len(whole)}', parity)
