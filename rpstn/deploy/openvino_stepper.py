"""The recurrence computed by OpenVINO, from exported graphs.

Shapes: N people, K joints, C channels, (H, W) input pixels, (h, w) heatmap cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .export import Exported
from .exported_steppers import ExportedStepper, float_type, in_words, plain, refused, stored_as
from .onnx_graphs import for_one

if TYPE_CHECKING:
    from openvino import InferRequest, Model, Output
    from openvino import Tensor as Array


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
        # Kept, as graphs for several people are compiled when they come.
        self._protos = self._graphs()
        self._locks = {graph: Lock() for graph in self._protos}
        self._requests: dict[tuple[str, bool], InferRequest] = {}
        ports = [self._request(graph, one=True).model_outputs for graph in self._protos]
        self._expect([name for found in ports for port in found for name in port.names])
        compiled = self._request('start', one=True).get_compiled_model()
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
            for graph in self._protos
            if graph != 'start'
            for info in self._request(graph, one=True).get_profiling_info()
        }

    def _request(self, graph: str, one: bool) -> InferRequest:
        """The inference request for one person or for any number, compiled when first asked."""
        if (graph, one) not in self._requests:
            try:
                self._requests[graph, one] = self._core.compile_model(
                    self._model(graph, one), 'CPU', self._options
                ).create_infer_request()
            except RuntimeError as error:
                raise refused(self.files[stored_as(graph)], 'OpenVINO', error) from None
        return self._requests[graph, one]

    def _model(self, graph: str, one: bool) -> Model:
        import onnx
        from openvino import Layout, Type
        from openvino.preprocess import PrePostProcessor

        proto = onnx.load_from_string(self._protos[graph])
        if one:
            for_one(proto)
        model = self._core.read_model(proto.SerializeToString())
        # It drops inputs that nothing comes of, as NoPropagator's states.
        model.reshape(
            {
                port.any_name: [1 if one else -1, *list(port.partial_shape)[1:]]
                for port in model.inputs
            }
        )
        ports = PrePostProcessor(model)
        inside = [ports.input(port.any_name) for port in model.inputs if _is_inside(port)]
        inside += [ports.output(port.any_name) for port in model.outputs if _is_inside(port)]
        for maps in inside:
            maps.model().set_layout(Layout('NCHW'))
            maps.tensor().set_layout(Layout('NHWC'))
            if self.carried == torch.bfloat16:
                maps.tensor().set_element_type(Type.bf16)
        return ports.build()

    def _run(self, graph: str, inputs: Mapping[str, Any]) -> dict[str, Array]:
        from openvino import Tensor as Array

        count = len(inputs['heatmaps' if 'heatmaps' in inputs else 'crops'])
        with self._locks[graph]:  # a request is for one at a time
            request = self._request(graph, one=count == 1)
            arrays = []  # which do not live by the request alone
            for port in request.model_inputs:
                name = next(name for name in port.names if name in inputs)
                arrays.append(self._array(name, inputs[name]))
                request.set_tensor(port, arrays[-1])
            answers = {}
            # The engine writes where the answers stay: no copies, but new memory for each call.
            for port in request.model_outputs:
                shape = [count, *(side.get_length() for side in list(port.partial_shape)[1:])]
                array = Array(port.element_type, shape)
                request.set_tensor(port, array)
                answers.update(dict.fromkeys(port.names, array))
            request.infer()
        return answers

    def _array(self, name: str, value: Tensor | Array) -> Array:
        from openvino import Tensor as Array
        from openvino import Type

        if not isinstance(value, Tensor):
            return value
        if name == 'features':
            value = value.permute(0, 2, 3, 1)
            if value.dtype == torch.bfloat16:  # which NumPy has not
                return Array(plain(value.view(torch.int16)), value.shape, Type.bf16)
        return Array(plain(value), shared_memory=True)

    def _tensors(self, heatmaps: Array, features: Array) -> tuple[Tensor, Tensor]:
        short = self.carried == torch.bfloat16
        maps = torch.from_numpy(features.data.view(np.int16) if short else features.data)
        return torch.from_numpy(heatmaps.data), maps.view(self.carried).permute(0, 3, 1, 2)

    def _regressed_of(self, answers: Mapping[str, Array]) -> dict[str, np.ndarray]:
        return {name: answers[name].data for name in self.regressed}


def _is_inside(port: Output) -> bool:
    """Whether maps are those of features, which OpenVINO has channels-last."""
    maps = len(port.partial_shape) == 4 and port.element_type.get_type_name() == 'f32'
    return maps and not {'heatmaps', 'next_heatmaps'}.intersection(port.names)
