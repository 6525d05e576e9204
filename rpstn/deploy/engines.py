"""What computes the recurrence: PyTorch, ONNX Runtime or OpenVINO, in three precisions.

Shapes: N people, K joints, C channels, (H, W) input pixels, (h, w) heatmap cells.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from torch import Tensor, nn

from rpstn.engine.cpu import has_bfloat16, pack_convolutions
from rpstn.engine.loading import load_model
from rpstn.pose.streaming.streaming import Stepper, TorchStepper

from .export import Exported, check_exportable, export_model, require
from .exported_steppers import EngineError, OnnxStepper, OpenVINOStepper, float_type, in_words
from .integer_sums import weight_bits

ENGINES = dict(
    torch=('float32', 'bfloat16'),
    onnx=('float32', 'int8'),
    openvino=('float32', 'bfloat16', 'int8'),
)
"""The precisions of each engine on a CPU; see :func:`precision_here`."""


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


def build_stepper(
    model: nn.Module | Config | str | Path,
    checkpoint: str | Path | None = None,
    engine: str = 'torch',
    precision: str = 'float32',
    *,
    device: str = 'cpu',
    exported: str | Path | Exported | None = None,
    calibration: Sequence[Tensor] = (),
    threads: int | None = None,
) -> Stepper:
    """What :class:`rpstn.pose.streaming.streaming.StreamingRPSTN` takes frames through.

    Args:
        model: loaded, or its config, with the checkpoint beside it.
        checkpoint: where ``model`` is a config.
        engine: ``'torch'``, ``'onnx'`` or ``'openvino'``.
        precision: ``'float32'``, ``'bfloat16'`` or ``'int8'``, see :data:`ENGINES`.
        device: of torch; the other engines compute on the CPU.
        exported: folder of `rpstn export`; without it the model is exported on the way, which
            takes some seconds. Then model and checkpoint are not needed (``model=None``).
        calibration: for int8 without ``exported``: clips of crops
            (T, 3, H, W) uint8 BGR, see :func:`rpstn.deploy.sample_clips.read_clips`.
        threads: of the engine. Defaults to torch's.

    Returns:
        Its ``device`` says in words what computes, its ``precision`` in what: float32
            stands in for bfloat16 where the processor has none.

    Raises:
        EngineError, ExportError, ModelError: it cannot be had; the message is one line.
    """
    check_engine(engine, precision)
    threads = threads or torch.get_num_threads()
    if engine == 'torch':
        return AutocastStepper(_loaded(model, checkpoint, device), precision)
    require('onnx', dict(onnx='onnxruntime', openvino='openvino')[engine])
    kind = OnnxStepper if engine == 'onnx' else OpenVINOStepper
    if exported is not None:
        if not isinstance(exported, Exported):
            exported = Exported.open(exported)
        return kind(exported, precision, threads)
    if precision == 'int8' and not len(calibration):
        raise EngineError(
            'int8 has to be calibrated: give the folder of `rpstn export '
            '--calibrate` (--exported), or in Python calibration=clips'
        )
    model = _loaded(model, checkpoint, 'cpu')
    check_exportable(model)
    with tempfile.TemporaryDirectory() as folder:
        return kind(
            export_model(
                model,
                folder,
                graphs=('start', 'step'),
                checkpoint=checkpoint,
                calibration=calibration if precision == 'int8' else (),
                weight_bits=weight_bits(engine) if precision == 'int8' else None,
            ),
            precision,
            threads,
        )


def _loaded(
    model: nn.Module | Config | str | Path | None, checkpoint: str | Path | None, device: str
) -> nn.Module:
    if isinstance(model, nn.Module):
        return model
    if model is None or checkpoint is None:
        raise EngineError('a config and a checkpoint are needed, or a model, or an export')
    return load_model(model, checkpoint, device)


class AutocastStepper(TorchStepper):
    """PyTorch, eager, in float32 or with its own mixed precision.

    Args:
        model: of :func:`rpstn.engine.loading.load_model`.
        precision: ``'float32'`` or ``'bfloat16'``.
    """

    def __init__(self, model: nn.Module, precision: str = 'float32') -> None:
        check_exportable(model)
        place = next(model.parameters()).device
        asked = precision
        if place.type == 'cpu':
            precision = precision_here('torch', asked)
            model = pack_convolutions(model, getattr(torch, precision))
        super().__init__(model)
        self.precision = precision
        self._autocast = dict(
            device_type=place.type, dtype=torch.bfloat16, enabled=precision == 'bfloat16'
        )
        name = torch.cuda.get_device_name(place) if place.type == 'cuda' else str(place)
        self.device = f'PyTorch {torch.__version__} on {name}, {in_words(precision, asked)}'

    def start(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`Stepper.start`."""
        with torch.autocast(**self._autocast):
            heatmaps, features = super().start(crops)
        return heatmaps.float(), features

    def step(self, crops: Tensor, heatmaps: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`Stepper.step`."""
        with torch.autocast(**self._autocast):
            heatmaps, features = super().step(crops, heatmaps, features)
        return heatmaps.float(), features
