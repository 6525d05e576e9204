"""RPSTN as ONNX graphs, the dynamic depthwise convolution included.

ONNX's convolution has its number of groups as a constant, so that one grouped convolution cannot
serve a batch of any size. The convolution is written as a ``Scan`` over the samples, each one
convolution of C groups, which is exact.

Shapes: N people, B clips, T frames, K joints, C channels, (H, W) input pixels, (h, w) heatmap
cells, (kh, kw) dynamic kernel.
"""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor, nn

from rpstn.pose.alignment import ALIGNMENT, alignment_points
from rpstn.pose.models.backbone import ClipBackbone
from rpstn.pose.models.estimator import VideoPoseEstimator
from rpstn.pose.models.guided_blazepose import guides_of
from rpstn.pose.models.head import RPSTNHead
from rpstn.pose.presence import PRESENCE, presence_of
from rpstn.pose.world import WORLD, WorldJoints

from .concatenations import convolve_apart
from .subpixel import with_subpixels

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, ValueInfoProto

OPSET = 17
"""Of ONNX's operators: the newest that PyTorch's exporter without onnxscript knows in full."""
DYNAMIC_CONV = 'DynamicDepthwiseConv'
"""In the domain ``rpstn``, of the trace; :func:`trace` makes ONNX's own operators of it."""
GRAPHS = dict(
    start=(('crops',), ('heatmaps', 'features')),
    step=(('crops', 'heatmaps', 'features'), ('next_heatmaps', 'next_features')),
    clip=(('clips',), ('heatmaps',)),
)
"""Inputs and outputs of each graph."""
REGRESSED = (WORLD, ALIGNMENT, PRESENCE)
"""Further outputs of start and step, of models built on BlazePose: (N, 3 L), (N, 4) and (N, 1), see
:mod:`rpstn.pose.world`, :mod:`rpstn.pose.alignment` and :mod:`rpstn.pose.presence`."""


class Normalize(nn.Module):
    """Raw crops to network input, as MMPose's ``PoseDataPreprocessor`` does it.

    Args:
        preprocessor: of the model.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, preprocessor: BaseDataPreprocessor) -> None:
        super().__init__()
        self.flip = bool(getattr(preprocessor, '_channel_conversion', False))
        mean, std = torch.zeros(3), torch.ones(3)
        if getattr(preprocessor, '_enable_normalize', False):
            mean, std = preprocessor.mean.flatten().float(), preprocessor.std.flatten().float()
        self.register_buffer('mean', mean.view(3, 1, 1).clone())
        self.register_buffer('scale', (1 / std).view(3, 1, 1).clone())

    def forward(self, crops: Tensor) -> Tensor:
        """(..., 3, H, W) uint8 BGR -> float32, in the order the network has it."""
        if self.flip:  # while a number is a byte
            crops = torch.cat(crops.split(1, dim=-3)[::-1], dim=-3)
        return (crops.to(self.mean.dtype) - self.mean) * self.scale


class Graph(nn.Module):
    """What is exported: of raw crops, with the model's own normalization.

    Args:
        model: in evaluation mode; a copy, as it is listened to from then on.
    """

    backbone: ClipBackbone
    head: RPSTNHead

    def __init__(self, model: VideoPoseEstimator) -> None:
        super().__init__()
        self.normalize = Normalize(model.data_preprocessor)
        self.backbone, self.head = model.backbone, model.head
        guides = guides_of(model)
        self.world = WorldJoints(model) if guides else None
        self._landmarks = self._presence = torch.empty(0)
        for guide in guides:
            guide.head.landmarks.register_forward_hook(partial(self._keep, guide.head.presence))

    def _keep(
        self, presence: nn.Module, module: nn.Module, inputs: tuple, landmarks: Tensor
    ) -> None:
        self._landmarks, self._presence = landmarks, presence_of(presence(*inputs))

    def and_regressed(self, maps: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        """Heatmaps and features, and what else is known."""
        if self.world is None:
            return maps
        return (*maps, self.world.in_crops(), alignment_points(self._landmarks), self._presence)


class StartGraph(Graph):
    """The first frame of a person."""

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) -> heatmaps (N, K, h, w), features (N, C, h, w)."""
        return self.and_regressed(self.head.start(*self.backbone.start(self.normalize(crops))))


class StepGraph(Graph):
    """Every further frame of a person; the two states are all that is carried."""

    def forward(self, crops: Tensor, heatmaps: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W), (N, K, h, w), (N, C, h, w) -> the next of the last two."""
        encoded = self.backbone.encoder(self.normalize(crops))
        return self.and_regressed(self.head.step(heatmaps, features, encoded))


class ClipGraph(Graph):
    """A clip of T frames.

    Args:
        model: see :class:`Graph`.
        clip_len: T.
    """

    def __init__(self, model: VideoPoseEstimator, clip_len: int) -> None:
        super().__init__(model)
        self.clip_len = clip_len

    def forward(self, clips: Tensor) -> Tensor:
        """(B, T, 3, H, W) -> (B, T, K, h, w)."""
        images = self.normalize(clips)
        features, initial = self.backbone.start(images[:, 0])
        if self.clip_len > 1:
            # In one batch, its size left open: as the model does it, it would become a constant.
            others = images[:, 1:].reshape(-1, *map(int, images.shape[2:]))
            encoded = self.backbone.encoder(others)
            encoded = encoded.reshape(-1, self.clip_len - 1, *map(int, encoded.shape[1:]))
            features = torch.cat([features[:, None], encoded], dim=1)
        else:
            features = features[:, None]
        return self.head.propagate((features, initial))


def _matrix_transpose(graph: Any, maps: Any) -> Any:
    """``Tensor.mT``, which PyTorch's exporter does not know."""
    axes = list(range(maps.type().dim()))
    return graph.op('Transpose', maps, perm_i=[*axes[:-2], axes[-1], axes[-2]])


def _dynamic_conv(graph: Any, features: Any, kernels: Any) -> Any:
    """The symbol of ``torch.ops.rpstn.dynamic_depthwise_conv``: one node, for any batch."""
    # With the features' type, whose batch is open: the exporter would take the example's.
    return graph.op(f'rpstn::{DYNAMIC_CONV}', features, kernels).setType(features.type())


def _scan(channels: int, kernel_size: Sequence[int], size: Sequence[int]) -> GraphProto:
    """The body of the Scan: features (C, h, w) of one sample, its kernels (C, kh, kw)."""
    from onnx import TensorProto, helper

    def value(name: str, shape: Sequence[int]) -> ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [channels, *shape])

    pads = [side // 2 for side in kernel_size]
    return helper.make_graph(
        [
            helper.make_node('Unsqueeze', ['frame', 'first'], ['image']),
            helper.make_node('Unsqueeze', ['taps', 'second'], ['weight']),
            helper.make_node(
                'Conv',
                ['image', 'weight'],
                ['convolved'],
                group=channels,
                kernel_shape=list(kernel_size),
                pads=[*pads, *pads],
            ),
            helper.make_node('Squeeze', ['convolved', 'first'], ['filtered']),
        ],
        'dynamic_depthwise_conv',
        [value('frame', size), value('taps', kernel_size)],
        [value('filtered', size)],
        initializer=[
            helper.make_tensor('first', TensorProto.INT64, [1], [0]),
            helper.make_tensor('second', TensorProto.INT64, [1], [1]),
        ],
    )


def _standard(
    proto: ModelProto, channels: int, kernel_size: Sequence[int], size: Sequence[int]
) -> None:
    """Replace our node by operators of ONNX, in place."""
    from onnx import helper

    for domain in [d for d in proto.opset_import if d.domain == 'rpstn']:
        proto.opset_import.remove(domain)
    for node in proto.graph.node:
        if node.op_type == DYNAMIC_CONV:
            node.CopyFrom(
                helper.make_node(
                    'Scan',
                    list(node.input),
                    list(node.output),
                    name=node.name,
                    num_scan_inputs=2,
                    body=_scan(channels, kernel_size, size),
                )
            )


def _declare(
    proto: ModelProto, inputs: dict[str, Tensor], outputs: Sequence[tuple[str, Sequence[int]]]
) -> None:
    """Give a graph all of its inputs in their order, and its outputs their sizes, in place.

    The exporter drops inputs that are not used, as NoPropagator leaves the states and a head with
    a readout the heatmaps; so all models' graphs are fed alike. And it does not know the size of
    what some operators give.

    Args:
        inputs: an example of each, float32 where it was dropped.
        outputs: their sizes behind the batch; others stay as they are.
    """
    from onnx import TensorProto, helper

    there = {value.name: value for value in proto.graph.input}
    for name, tensor in inputs.items():
        if name not in there:
            shape = ['batch', *tensor.shape[1:]]
            there[name] = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    ordered = [there[name] for name in inputs]
    del proto.graph.input[:]
    proto.graph.input.extend(ordered)
    given = {value.name: value for value in proto.graph.output}
    for name, sizes in outputs:
        for dimension, size in zip(given[name].type.tensor_type.shape.dim[1:], sizes):
            dimension.dim_value = size


def for_one(proto: ModelProto) -> None:
    """Of a graph for batches of any size make one for a batch of 1, in place.

    The Scan becomes the one grouped convolution that it is then, which OpenVINO has a faster
    kernel for; the inputs' shapes are left to the engine.
    """
    from onnx import TensorProto, helper

    nodes = []
    for node in proto.graph.node:
        if node.op_type != 'Scan':
            nodes.append(node)
            continue
        body = node.attribute[[a.name for a in node.attribute].index('body')].g
        channels, *kernel = (d.dim_value for d in body.input[1].type.tensor_type.shape.dim)
        weight, shape = f'{node.name}/weight', f'{node.name}/shape'
        proto.graph.initializer.append(
            helper.make_tensor(shape, TensorProto.INT64, [4], [channels, 1, *kernel])
        )
        pads = [side // 2 for side in kernel]
        nodes += [
            helper.make_node('Reshape', [node.input[1], shape], [weight]),
            helper.make_node(
                'Conv',
                [node.input[0], weight],
                list(node.output),
                name=node.name,
                group=channels,
                kernel_shape=kernel,
                pads=[*pads, *pads],
            ),
        ]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def trace(model: VideoPoseEstimator, name: str, clip_len: int = 5) -> ModelProto:
    """One graph of :data:`GRAPHS`, for batches of any size.

    Args:
        model: in evaluation mode, on the CPU.
        name: ``'start'``, ``'step'`` or ``'clip'``.
        clip_len: T of the clip graph.

    Returns:
        Checked, shapes inferred.
    """
    import onnx

    rewritten = with_subpixels(copy.deepcopy(model).eval().requires_grad_(False))
    graph = (
        ClipGraph(rewritten, clip_len)
        if name == 'clip'
        else dict(start=StartGraph, step=StepGraph)[name](rewritten)
    )
    (width, height), stride = model.backbone.input_size, model.backbone.heatmap_stride
    size = (height // stride, width // stride)
    channels = model.head.channels
    # Two, as a batch of one could be taken for a constant.
    batch = (2, clip_len) if name == 'clip' else (2,)
    example: tuple[Tensor, ...] = (torch.zeros(*batch, 3, height, width, dtype=torch.uint8),)
    states = [(maps, *size) for maps in (model.head.num_joints, model.head.state_channels)]
    if name == 'step':
        example += tuple(torch.zeros(2, *shape) for shape in states)
    inputs, outputs = GRAPHS[name]
    if name != 'clip' and graph.world is not None:
        outputs = (*outputs, *REGRESSED)
    buffer = io.BytesIO()
    torch.onnx.register_custom_op_symbolic('aten::mT', _matrix_transpose, OPSET)
    torch.onnx.register_custom_op_symbolic('rpstn::dynamic_depthwise_conv', _dynamic_conv, OPSET)
    # The tracer warns of every check of shapes; they are constants but for the batch.
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')
        torch.onnx.export(
            graph,
            example,
            buffer,  # type: ignore[arg-type]  # with dynamo=False, a buffer serves as well
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={key: {0: 'batch'} for key in (*inputs, *outputs)},
        )
    proto = onnx.load_from_string(buffer.getvalue())
    if any(node.op_type == DYNAMIC_CONV for node in proto.graph.node):
        _standard(proto, channels, model.head.propagator.kernel_size(size), size)
    known = [] if name == 'clip' else list(zip(GRAPHS[name][1], states))
    _declare(proto, dict(zip(inputs, example)), known)
    convolve_apart(proto)
    onnx.checker.check_model(proto, full_check=True)
    return proto
