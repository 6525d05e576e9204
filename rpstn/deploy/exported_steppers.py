"""The recurrence computed by ONNX Runtime and by OpenVINO, from exported graphs.

Shapes: N people, K joints, C channels, (H, W) input pixels, (h, w) heatmap cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rpstn.checkpoints import ModelError
from rpstn.choices import WEIGHT_BITS
from rpstn.deploy.integer_sums import weight_bits
from rpstn.errors import first_line

from .export import Exported, require
from .onnx_graphs import GRAPHS, REGRESSED, for_one

if TYPE_CHECKING:
    from openvino import InferRequest, Model


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
    regressed: dict[str, np.ndarray]
    """What the graphs answer beside :data:`GRAPHS`, of the crops that were looked at last; their
    names are there from the beginning."""

    def __init__(self, exported: Exported, precision: str, threads: int) -> None:
        facts = exported.manifest
        self.input_size: tuple[int, int] = tuple(facts['input_size'])
        self.heatmap_size: tuple[int, int] = tuple(facts['heatmap_size'])
        self.num_joints: int = facts['num_joints']
        self.channels: int = facts['channels']
        self.precision, self.threads = precision, threads
        # What features, and heatmaps behind them, are between steps; others stay in float32.
        self.carried = torch.float32
        self.files = {
            graph: stored_graph(exported, graph, self.engine, precision)
            for graph in ('start', 'step')
        }

    def start(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`Stepper.start`."""
        self._check(crops)
        return self._run('start', crops)

    def step(self, crops: Tensor, heatmaps: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`Stepper.step`."""
        self._check(crops)
        return self._run('step', crops, heatmaps.float(), features.to(self.carried))

    def _run(self, graph: str, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def _expect(self, outputs: Sequence[str]) -> None:
        """Of all graphs. What one of them lacks, as older exports do, is not answered."""
        self.regressed = {
            name: np.empty(0) for name in REGRESSED if outputs.count(name) == len(self.files)
        }

    def _check(self, crops: Tensor) -> None:
        width, height = self.input_size
        if crops.dtype != torch.uint8 or crops.shape[1:] != (3, height, width):
            raise ValueError(
                f'crops must be (N, 3, {height}, {width}) torch.uint8, got '
                f'{tuple(crops.shape)} {crops.dtype}'
            )


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
        for graph, path in self.files.items():
            try:
                self._sessions[graph] = onnxruntime.InferenceSession(
                    path.read_bytes(), options, providers=['CPUExecutionProvider']
                )
            except Exception as error:  # its errors have no base class of their own
                raise _refused(path, 'ONNX Runtime', error) from None
        ports = [port.name for s in self._sessions.values() for port in s.get_outputs()]
        self._expect(ports)
        used = ', '.join(self._sessions['step'].get_providers())
        self.device = f'ONNX Runtime {onnxruntime.__version__}, {used}, {precision}'

    def _run(self, graph: str, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        feed = {name: _plain(tensor) for name, tensor in zip(GRAPHS[graph][0], inputs)}
        wanted = [*GRAPHS[graph][1], *self.regressed]
        heatmaps, features, *more = self._sessions[graph].run(wanted, feed)
        self.regressed = dict(zip(self.regressed, more))
        return torch.from_numpy(heatmaps), torch.from_numpy(features)


class OpenVINOStepper(ExportedStepper):
    """OpenVINO on the CPU; see :class:`ExportedStepper`.

    What is not in integers is in bfloat16, unless float32 is asked for or the processor has no
    bfloat16. Features enter and leave the graph, and are kept between steps, in that type and
    channels-last, as it has them inside: that spares conversions of C h w numbers in every frame.
    Behind them are, with a readout, the heatmaps that are carried on. For one person the step is
    compiled for a batch of 1, which is faster; for more, on their first frames, for any batch.

    Args:
        exported, precision, threads: see :class:`ExportedStepper`.
        counters: measure operators, for :meth:`operator_times`; a little slower.
    """

    engine = 'openvino'

    def __init__(
        self, exported: Exported, precision: str, threads: int, counters: bool = False
    ) -> None:
        super().__init__(exported, precision, threads)
        import openvino

        self._core = openvino.Core()
        inside = float_type(precision)
        self._options = {
            'INFERENCE_PRECISION_HINT': inside,
            'INFERENCE_NUM_THREADS': threads,
            'NUM_STREAMS': 1,
            'PERF_COUNT': counters,
            # Or the threads of several processes would all be on the same cores.
            'ENABLE_CPU_PINNING': False,
        }
        self.carried = dict(f32=torch.float32, bf16=torch.bfloat16)[inside]
        # Kept, as the graph for several people is compiled when they come.
        self._graphs = {graph: path.read_bytes() for graph, path in self.files.items()}
        self._requests: dict[tuple[str, bool], InferRequest] = {}
        self._taken: dict[str, list[str]] = {}
        ports = [self._request(graph, one=True).model_outputs for graph in self.files]
        self._expect([name for found in ports for port in found for name in port.names])
        compiled = self._request('step', one=True).get_compiled_model()
        devices = ', '.join(compiled.get_property('EXECUTION_DEVICES'))
        name = self._core.get_property(devices.split(',')[0], 'FULL_DEVICE_NAME').strip()
        inside = compiled.get_property('INFERENCE_PRECISION_HINT').get_type_name()
        self.precision = 'float32' if (precision, inside) == ('bfloat16', 'f32') else precision
        self.device = (
            f'OpenVINO {openvino.__version__.partition("-")[0]}, {devices} ({name}), '
            f'{in_words(self.precision, precision)}, floating point in {inside}'
        )

    def operator_times(self) -> dict[str, float]:
        """Milliseconds of every operator in the last step of one person."""
        return {
            info.node_name: 1e3 * info.real_time.total_seconds()
            for info in self._request('step', one=True).get_profiling_info()
        }

    def _request(self, graph: str, one: bool) -> InferRequest:
        """The inference request for one person or for any number, compiled when first asked."""
        if (graph, one) not in self._requests:
            try:
                self._requests[graph, one] = self._core.compile_model(
                    self._model(graph, one), 'CPU', self._options
                ).create_infer_request()
            except RuntimeError as error:
                raise _refused(self.files[graph], 'OpenVINO', error) from None
        return self._requests[graph, one]

    def _model(self, graph: str, one: bool) -> Model:
        import onnx
        from openvino import Layout, Type
        from openvino.preprocess import PrePostProcessor

        proto = onnx.load_from_string(self._graphs[graph])
        if one:
            for_one(proto)
        model = self._core.read_model(proto.SerializeToString())
        batch = 1 if one else -1
        (width, height), (columns, rows) = self.input_size, self.heatmap_size
        shapes = dict(
            crops=[batch, 3, height, width],
            heatmaps=[batch, self.num_joints, rows, columns],
            features=[batch, self.channels, rows, columns],
        )
        # It drops inputs that nothing comes of, as NoPropagator's states.
        taken = [name for name in shapes if any(name in port.names for port in model.inputs)]
        self._taken[graph] = taken
        model.reshape({name: shapes[name] for name in taken})
        ports = PrePostProcessor(model)
        states = [ports.output(GRAPHS[graph][1][1])]
        if 'features' in taken:
            states.append(ports.input('features'))
        for state in states:
            state.model().set_layout(Layout('NCHW'))
            state.tensor().set_layout(Layout('NHWC'))
            if self.carried == torch.bfloat16:
                state.tensor().set_element_type(Type.bf16)
        return ports.build()

    def _run(self, graph: str, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        from openvino import Tensor as Array
        from openvino import Type

        count, (columns, rows) = len(inputs[0]), self.heatmap_size
        short = self.carried == torch.bfloat16  # which NumPy has not
        # The engine writes where the answers stay: no copies, but new memory for each call.
        answers = [
            Array(Type.f32, [count, self.num_joints, rows, columns]),
            Array(Type.bf16 if short else Type.f32, [count, rows, columns, self.channels]),
        ]
        arrays = [Array(_plain(tensor), shared_memory=True) for tensor in inputs[:2]]
        if graph == 'step':
            carried = inputs[2].permute(0, 2, 3, 1)
            arrays.append(
                Array(_plain(carried.view(torch.int16)), carried.shape, Type.bf16)
                if short
                else Array(_plain(carried), shared_memory=True)
            )
        request = self._request(graph, one=count == 1)
        inputs_, outputs = GRAPHS[graph]
        for name, value in (*zip(inputs_, arrays), *zip(outputs, answers)):
            if name in outputs or name in self._taken[graph]:
                request.set_tensor(name, value)
        request.infer()
        self.regressed = {name: request.get_tensor(name).data.copy() for name in self.regressed}
        heatmaps, features = (answer.data for answer in answers)
        features = torch.from_numpy(features.view(np.int16) if short else features)
        return torch.from_numpy(heatmaps), features.view(self.carried).permute(0, 3, 1, 2)


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
        raise _refused(path, engine, error) from None


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


def _plain(tensor: Tensor) -> np.ndarray:
    # Copied by NumPy, if at all: for some milliseconds after it has worked, PyTorch's pool of
    # threads waits for more without sleeping, on the cores that the engine needs.
    return np.ascontiguousarray(tensor.numpy())


def _refused(path: Path, engine: str, error: Exception) -> EngineError:
    return EngineError(f'{path}: {engine} cannot use it: {first_line(error)}')
