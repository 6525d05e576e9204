"""Exported graphs in 8-bit integers, calibrated on clips.

ONNX Runtime's static quantization writes the ranges of activations and the weights' scales, one
for each output channel, into the graph as pairs of QuantizeLinear and DequantizeLinear; ONNX
Runtime and OpenVINO both compute such graphs in integers.

Shapes: N people, T frames, K joints, C channels, (H, W) input pixels, (h, w) heatmap cells.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from rpstn.pose.streaming.streaming import Stepper

# Over K maps, or beside them, and where a ResNet's stages project their input: little time, and
# their errors go straight into the answer, or into all that the stage adds to.
_KEPT_IN_FLOAT = (
    '/relation/',
    '/readout/',
    '/predict',
    '/heatmaps',
    '/carry/',
    '/downsample/',
    '/world/',
    '/presence/',
)
# Pixels per cell from which on the layers of an image network are integers. In finer maps there
# are more values than weights: integers save no time there, and their errors go through all others
# or, behind the last deconvolutions, straight into the answer.
_COARSE = 16
_IMAGE_NETWORKS = ('/encoder/', '/initializer/')


def calibration_feeds(
    stepper: Stepper, clips: Sequence[Tensor], graph: str, clip_len: int = 5
) -> Iterator[dict[str, np.ndarray]]:
    """What a graph is given when people are followed through clips.

    Args:
        stepper: in float32, which computes the states carried.
        clips: each (T, 3, H, W) uint8 BGR crops.
        graph: ``'start'``, ``'step'`` or ``'clip'``.
        clip_len: T of the clip graph; shorter clips end with their last frame repeated.

    Yields:
        The inputs by name, N = 1.
    """
    for clip in clips:
        if graph == 'clip':
            yield dict(clips=clip[[min(t, len(clip) - 1) for t in range(clip_len)]][None].numpy())
            continue
        heatmaps, features = stepper.start(clip[:1])
        if graph == 'start':
            yield dict(crops=clip[:1].numpy())
            continue
        for crop in clip[1:]:
            yield dict(
                crops=crop[None].numpy(),
                heatmaps=heatmaps.float().numpy(),
                features=features.float().contiguous().numpy(),
            )
            heatmaps, features = stepper.step(crop[None], heatmaps, features)


def quantize_graph(
    source: Path,
    target: Path,
    feeds: Iterable[dict[str, np.ndarray]],
    bits: int,
    keep_float: Sequence[str] = (),
) -> int:
    """Write the quantized graph of an exported one.

    Convolutions with constant weights are quantized, but for depthwise ones and all of an encoder
    that has such, those of the image networks whose cells are smaller than 16 pixels, projections
    of shortcuts, and those over and beside the joints' maps; the dynamic convolution stays as it
    is.

    Args:
        source, target: of the graphs.
        feeds: inputs to calibrate by; activations get the range from their least to their
            greatest value.
        bits: of the weights, 8 or 7, see :func:`rpstn.deploy.integer_sums.weight_bits`.
        keep_float: convolutions whose names have one of these in them stay in
            float, too.

    Returns:
        Convolutions quantized.
    """
    import onnx
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.feeds = iter(feeds)

        def get_next(self) -> dict | None:
            return next(self.feeds, None)

    graph = onnx.shape_inference.infer_shapes(onnx.load(str(source))).graph
    convolutions = [node for node in graph.node if node.op_type == 'Conv']
    grouped = {
        node.name
        for node in convolutions
        if any(a.name == 'group' and a.i > 1 for a in node.attribute)
    }
    floating = (*_KEPT_IN_FLOAT, *keep_float)
    # Depthwise ones have one range for all channels, however different they are. What lies between
    # them would go to and from integers for nothing, and moves more joints than it saves time.
    if any('/encoder/' in name for name in grouped):
        floating = (*floating, '/encoder/')
    columns = {
        value.name: value.type.tensor_type.shape.dim[-1].dim_value
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.tensor_type.shape.dim
    }
    finest = columns[graph.input[0].name] / _COARSE
    kept = sorted(
        node.name
        for node in convolutions
        if node.name in grouped
        or any(part in node.name for part in floating)
        or any(part in node.name for part in _IMAGE_NETWORKS)
        and columns.get(node.output[0], 0) > finest
    )
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)  # it advises to optimize the graph first, which it is
    try:
        quantization.quantize_static(
            str(source),
            str(target),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=bits == 7,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=['Conv'],
            nodes_to_exclude=kept,
        )
    finally:
        logging.root.setLevel(level)
    return len(convolutions) - len(kept)
