"""The recurrence computed from exported graphs, and by ONNX Runtime.

Shapes: N people, K joints, C channels, (H, W) input pixels, (h, w) heatmap cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rpstn.checkpoints import ModelError
from rpstn.choices import WEIGHT_BITS
from rpstn.deploy.integer_sums import weight_bits
from rpstn.errors import first_line
from rpstn.pose.streaming.steppers import Encoded

from .export import Exported, require
from .onnx_graphs import GRAPHS, REGRESSED
from .splitting import CARRY_ON, ENCODE, split_step


class EngineError(ModelError):
    """An engine or precision that cannot be had; one line."""


class BitsError(EngineError):
    """Integer weights with which this processor does not compute right."""


def in_words(precision: str, asked: str) -> str:
    """What is computed in, and why, where that is not what was asked for."""
    return precision if precision == asked else f'{precision} as this processor has no {asked}'


class ExportedStepper:
    """A stepper over the start and the step graph of an export.

    Args:
        exported: opened.
        precision: as :data:`rpstn.choices.ENGINES` has them.
        threads: of the engine.

    Raises:
        EngineError: the engine cannot use the graph, or not on this processor.
    """

    engine: str
    device: str
    """What computes, in words."""
    encodes: bool
    """Whether a step comes in two, as :class:`EncodingStepper` has it; else as one graph."""
    regressed: Mapping[str, np.ndarray]
    """What the graphs answer beside :data:`GRAPHS`, of the crops that were looked at last; their
    names are there from the beginning."""

    def __init__(self, exported: Exported, precision: str, threads: int) -> None:
        facts = exported.manifest
        self.input_size: tuple[int, int] = tuple(facts['input_size'])
        self.heatmap_size: tuple[int, int] = tuple(facts['heatmap_size'])
        self.num_joints: int = facts['num_joints']
        self.precision, self.threads = precision, threads
        # What features, and heatmaps behind them, are between steps; others stay in float32.
        self.carried = torch.float32
        self.files = {
            graph: stored_graph(exported, graph, self.engine, precision)
            for graph in ('start', 'step')
        }

    def start(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`Stepper.start`."""
        answers = self._run('start', dict(crops=self._checked(crops)))
        return self._state('start', answers, self._regressed_of(answers))

    def step(self, crops: Tensor, heatmaps: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`Stepper.step`."""
        if self.encodes:
            return self.carry_on(self.encode(crops), heatmaps, features)
        states = self._states(heatmaps, features)
        answers = self._run('step', dict(states, crops=self._checked(crops)))
        return self._state('step', answers, self._regressed_of(answers))

    def encode(self, crops: Tensor) -> Encoded:
        """As :meth:`EncodingStepper.encode`."""
        answers = self._run(ENCODE, dict(crops=self._checked(crops)))
        return Encoded(answers, self._regressed_of(answers))

    def carry_on(
        self, encoded: Encoded, heatmaps: Tensor, features: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As :meth:`EncodingStepper.carry_on`."""
        answers = self._run(CARRY_ON, {**encoded.maps, **self._states(heatmaps, features)})
        # Features that nothing is added to are answered by the first half.
        return self._state(CARRY_ON, {**encoded.maps, **answers}, encoded.regressed)

    def _states(self, heatmaps: Tensor, features: Tensor) -> dict[str, Tensor]:
        return dict(heatmaps=heatmaps.float(), features=features.to(self.carried))

    def _state(
        self, graph: str, answers: Mapping[str, Any], regressed: Mapping[str, np.ndarray]
    ) -> tuple[Tensor, Tensor]:
        self.regressed = regressed
        heatmaps, features = (answers[name] for name in GRAPHS[stored_as(graph)][1])
        return self._tensors(heatmaps, features)

    def _run(self, graph: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """All that a graph answers, by name, as the engine has it.

        Args:
            graph: of :data:`GRAPHS`, or half of the step.
            inputs: by name, as tensors, or as this gives them; what it does not take is left.
        """
        raise NotImplementedError

    def _tensors(self, heatmaps: Any, features: Any) -> tuple[Tensor, Tensor]:
        """What was answered."""
        raise NotImplementedError

    def _regressed_of(self, answers: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return {name: np.asarray(answers[name]) for name in self.regressed}

    def _expect(self, outputs: Sequence[str]) -> None:
        """Of all graphs. What one of them lacks, as older exports do, is not answered."""
        self.regressed = {
            name: np.empty(0) for name in REGRESSED if outputs.count(name) == len(self.files)
        }

    def _graphs(self) -> dict[str, bytes]:
        """Start, and the step, in two halves where it has them."""
        stored = {graph: path.read_bytes() for graph, path in self.files.items()}
        halves = split_step(stored['step'])
        self.encodes = halves is not None
        return stored if halves is None else dict(start=stored['start'], **halves)

    def _checked(self, crops: Tensor) -> Tensor:
        width, height = self.input_size
        if crops.dtype != torch.uint8 or crops.shape[1:] != (3, height, width):
            raise ValueError(
                f'crops must be (N, 3, {height}, {width}) torch.uint8, got '
                f'{tuple(crops.shape)} {crops.dtype}'
            )
        return crops


class OnnxStepper(ExportedStepper):
    """ONNX Runtime on the CPU; see :class:`ExportedStepper`."""

    engine = 'onnx'

    def __init__(self, exported: Exported, precision: str, threads: int) -> None:
        super().__init__(exported, precision, threads)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Waiting threads would take the core that decodes the next frame.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        options.log_severity_level = 3
        self._sessions = {}
        # From bytes, as a graph may name other files, which then are not read.
        for graph, proto in self._graphs().items():
            try:
                self._sessions[graph] = onnxruntime.InferenceSession(
                    proto, options, providers=['CPUExecutionProvider']
                )
            except Exception as error:  # its errors have no base class of their own
                raise refused(self.files[stored_as(graph)], 'ONNX Runtime', error) from None
        self._expect([port.name for s in self._sessions.values() for port in s.get_outputs()])
        used = ', '.join(self._sessions['start'].get_providers())
        self.device = f'ONNX Runtime {onnxruntime.__version__}, {used}, {precision}'

    def _run(self, graph: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        session = self._sessions[graph]
        taken = [port.name for port in session.get_inputs()]
        given = [port.name for port in session.get_outputs()]
        return dict(zip(given, session.run(given, {name: plain(inputs[name]) for name in taken})))

    def _tensors(self, heatmaps: np.ndarray, features: np.ndarray) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(heatmaps), torch.from_numpy(features)


def run_clip_graph(
    exported: Exported, clips: Tensor, engine: str = 'onnx', precision: str = 'float32'
) -> np.ndarray:
    """What the clip graph answers, in an engine's default threads.

    Args:
        exported: with a clip graph.
        clips: (B, T, 3, H, W) uint8 BGR, T as exported.
        engine, precision: as :data:`rpstn.choices.ENGINES` has them, but torch.

    Returns:
        Heatmaps (B, T, K, h, w) float32.

    Raises:
        ModelError: the engine is not installed, there is no such graph, or it cannot be used.
    """
    require(dict(onnx='onnxruntime', openvino='openvino')[engine])
    path = stored_graph(exported, 'clip', engine, precision)
    try:
        if engine == 'onnx':
            import onnxruntime

            session = onnxruntime.InferenceSession(
                path.read_bytes(), providers=['CPUExecutionProvider']
            )
            return session.run(None, dict(clips=clips.numpy()))[0]
        import openvino

        compiled = openvino.Core().compile_model(
            str(path), 'CPU', {'INFERENCE_PRECISION_HINT': float_type(precision)}
        )
        return compiled(dict(clips=clips.numpy()))[0].astype(np.float32)
    except Exception as error:  # ONNX Runtime's errors have no base class of their own
        raise refused(path, engine, error) from None


def stored_graph(exported: Exported, graph: str, engine: str, precision: str) -> Path:
    """The file of a graph, which gives right answers in this engine on this processor.

    Raises:
        ExportError: there is none, or it was damaged.
        BitsError: its weights have too many bits for this processor.
    """
    path = exported.file(graph, 'int8' if precision == 'int8' else 'float32')
    bits = exported.manifest.get('weight_bits') or max(WEIGHT_BITS)
    if precision == 'int8' and bits > min(WEIGHT_BITS):
        require('onnx')
        if bits > weight_bits(engine):
            raise BitsError(
                f'{exported.folder}: its int8 graphs have weights of {bits} bits, with '
                f'which sums overflow in {engine} on this processor; for this one, '
                f'export with --weight-bits {weight_bits(engine)}'
            )
    return path


def float_type(precision: str) -> str:
    """OpenVINO's name of what a precision has in floating point on this processor."""
    require('openvino')
    import openvino

    short = precision != 'float32' and 'BF16' in openvino.Core().get_property(
        'CPU', 'OPTIMIZATION_CAPABILITIES'
    )
    return 'bf16' if short else 'f32'


def stored_as(graph: str) -> str:
    """The graph that is stored, of which another may be a half."""
    return graph if graph in GRAPHS else 'step'


def plain(maps: Tensor | np.ndarray) -> np.ndarray:
    """Numbers as engines take them."""
    # Copied by NumPy, if at all: for some milliseconds after it has worked, PyTorch's pool of
    # threads waits for more without sleeping, on the cores that the engine needs.
    return np.ascontiguousarray(maps.numpy() if isinstance(maps, Tensor) else maps)


def refused(path: Path, engine: str, error: Exception) -> EngineError:
    """What to raise about a graph that an engine does not take."""
    return EngineError(f'{path}: {engine} cannot use it: {first_line(error)}')
