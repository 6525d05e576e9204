"""What computes the recurrence: PyTorch, ONNX Runtime or OpenVINO, in three precisions.

Shapes: N people, K joints, C channels, (H, W) input pixels, (h, w) heatmap cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from rpstn.choices import ENGINES
from rpstn.engine.cpu import has_bfloat16, pack_convolutions
from rpstn.pose.streaming.streaming import TorchStepper

from .export import Exported, check_exportable, export_model, require
from .exported_steppers import EngineError, ExportedStepper, OnnxStepper, float_type, in_words
from .integer_sums import weight_bits
from .openvino_stepper import OpenVINOStepper


def check_engine(engine: str, precision: str) -> None:
    """Raise an EngineError that says what is allowed."""
    if engine not in ENGINES:
        raise EngineError(f'engine must be one of {", ".join(ENGINES)}, got {engine!r}')
    if precision not in ENGINES[engine]:
        raise EngineError(
            f'precision of engine {engine} must be one of '
            f'{", ".join(ENGINES[engine])}, got {precision!r}'
        )


def precision_here(engine: str, precision: str) -> str:
    """What an engine computes in on this CPU: float32 where the processor has no bfloat16."""
    if precision != 'bfloat16' or (
        has_bfloat16() if engine == 'torch' else float_type(precision) == 'bf16'
    ):
        return precision
    return 'float32'


def fastest_engine(device: str = 'cpu') -> str:
    """The engine that is fastest in float32 of those installed, see docs/performance_mediapipe.md.

    Args:
        device: as torch names it; on others than the CPU it is torch.
    """
    if device == 'cpu' and find_spec('onnx'):
        for engine, module in (('openvino', 'openvino'), ('onnx', 'onnxruntime')):
            if find_spec(module):
                return engine
    return 'torch'


def build_stepper(
    source: nn.Module | Exported | str | Path,
    engine: str = 'torch',
    precision: str = 'float32',
    threads: int | None = None,
) -> AutocastStepper | ExportedStepper:
    """What :class:`rpstn.pose.StreamingRPSTN` takes frames through.

        model = rpstn.from_pretrained()
        stepper = build_stepper(model)
        stepper = build_stepper(export_model(model, 'exported'), 'openvino', 'bfloat16')

    Args:
        source: for torch a model, of :func:`rpstn.engine.loading.load_model`, on any device; for
            the other engines, which compute on the CPU, an export of
            :func:`rpstn.deploy.export.export_model`, or its folder.
        engine: ``'torch'``, ``'onnx'`` or ``'openvino'``.
        precision: ``'float32'``, ``'bfloat16'`` or ``'int8'``, see :data:`rpstn.choices.ENGINES`.
        threads: of the engine. Defaults to torch's.

    Returns:
        Its ``device`` says in words what computes, its ``precision`` in what: float32
        stands in for bfloat16 where the processor has none.

    Raises:
        EngineError, ExportError: it cannot be had.
    """
    check_engine(engine, precision)
    if engine == 'torch':
        if not isinstance(source, nn.Module):
            raise EngineError(f'engine torch takes a model, got {source!r}')
        return AutocastStepper(source, precision)
    require('onnx', dict(onnx='onnxruntime', openvino='openvino')[engine])
    if isinstance(source, nn.Module):
        raise EngineError(f'engine {engine} takes an export, of export_model, got a model')
    exported = source if isinstance(source, Exported) else Exported.open(source)
    kind = OnnxStepper if engine == 'onnx' else OpenVINOStepper
    return kind(exported, precision, threads or torch.get_num_threads())


def export_for_engine(
    model: nn.Module,
    folder: str | Path,
    engine: str,
    precision: str = 'float32',
    calibration: Sequence[Tensor] = (),
) -> Exported:
    """Export just what one engine on this processor takes, in some seconds.

    Args:
        model: of :func:`rpstn.engine.loading.load_model`, on the CPU.
        folder: of the graphs; a stepper that is built needs it no more.
        engine, precision: see :func:`build_stepper`.
        calibration: for int8: clips of crops (T, 3, H, W) uint8 BGR, see
            :func:`rpstn.deploy.sample_clips.read_clips`.

    Raises:
        EngineError: int8 without clips. ExportError: see :func:`export_model`.
    """
    check_engine(engine, precision)
    whole = precision == 'int8'
    if whole and not len(calibration):
        raise EngineError(
            'int8 has to be calibrated: give the folder of `rpstn export --calibrate` '
            '(--exported), or in Python calibration=clips'
        )
    return export_model(
        model,
        folder,
        graphs=('start', 'step'),
        calibration=calibration if whole else (),
        weight_bits=weight_bits(engine) if whole else None,
    )


class AutocastStepper(TorchStepper):
    """PyTorch, eager, in float32 or with its own mixed precision.

    Args:
        model: of :func:`rpstn.engine.loading.load_model`.
        precision: ``'float32'`` or ``'bfloat16'``.
    """

    def __init__(self, model: nn.Module, precision: str = 'float32') -> None:
        model = check_exportable(model)
        place = next(model.parameters()).device
        asked = precision
        if place.type == 'cpu':
            precision = precision_here('torch', asked)
            model = pack_convolutions(model, getattr(torch, precision))
        super().__init__(model)
        self.precision = precision
        self._device_type = place.type
        name = torch.cuda.get_device_name(place) if place.type == 'cuda' else str(place)
        self.device = f'PyTorch {torch.__version__} on {name}, {in_words(precision, asked)}'

    def _computing(self) -> torch.autocast:
        short = self.precision == 'bfloat16'
        return torch.autocast(self._device_type, dtype=torch.bfloat16, enabled=short)
