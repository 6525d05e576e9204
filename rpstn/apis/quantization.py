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

from rpstn.pose.streaming import Stepper

# Over K maps, or beside them, and where a ResNet's stages project their input: little time, and
# their errors go straight into the answer, or into all that the stage adds to.
_KEPT_IN_FLOAT = ('/relation/', '/predict', '/heatmaps', '/final_layer', '/carry/', '/downsample/')
_IMAGE_NETWORKS = ('/encoder/', '/initializer/')


def calibration_feeds(stepper: Stepper, clips: Sequence[Tensor], graph: str,
                      clip_len: int = 5) -> Iterator[dict[str, np.ndarray]]:
    """What a graph is given when people are followed through clips.

    Args:
        stepper (Stepper): in float32, which computes the states carried.
        clips (Sequence[Tensor]): each (T, 3, H, W) uint8 BGR crops.
        graph (str): ``'start'``, ``'step'`` or ``'clip'``.
        clip_len (int): T of the clip graph; shorter clips end with their last frame repeated.

    Yields:
        dict[str, np.ndarray]: the inputs by name, N = 1.
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
            yield dict(crops=crop[None].numpy(), heatmaps=heatmaps.float().numpy(),
                       features=features.float().contiguous().numpy())
            heatmaps, features = stepper.step(crop[None], heatmaps, features)


def _makers(graph, names: Iterable[str]) -> set[str]:
    """The convolutions that values come from, with no other in between."""
    made_by = {name: node for node in graph.node for name in node.output}
    names, seen, found = list(names), set(), set()
    while names:
        node = made_by.get(names.pop())
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if node.op_type == 'Conv':
            found.add(node.name)
        else:
            names += node.input
    return found


def quantize_graph(source: Path, target: Path, feeds: Iterable[dict[str, np.ndarray]],
                   keep_float: Sequence[str] = ()) -> int:
    """Write the quantized graph of an exported one.

    Convolutions with constant weights are quantized, but for those of the image, depthwise ones
    and all of an encoder that has such, the last ones of encoder and initializer, and those over
    and beside the joints' maps; the dynamic convolution stays as it is.

    Args:
        source, target (Path): of the graphs.
        feeds: inputs to calibrate by; activations get the range from their least to their
            greatest value.
        keep_float (Sequence[str]): convolutions whose names have one of these in them stay in
            float, too.

    Returns:
        int: convolutions quantized.
    """
    import onnx
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.feeds = iter(feeds)

        def get_next(self) -> dict | None:
            return next(self.feeds, None)

    graph = onnx.load(str(source)).graph
    convolutions = [node for node in graph.node if node.op_type == 'Conv']
    # Those of the image: their errors go through all others.
    first = {weight.name for weight in graph.initializer if tuple(weight.dims[1:2]) == (3, )}
    grouped = {node.name for node in convolutions
               if any(a.name == 'group' and a.i > 1 for a in node.attribute)}
    floating = (*_KEPT_IN_FLOAT, *keep_float)
    # Depthwise ones have one range for all channels, however different they are. What lies between
    # them would go to and from integers for nothing, and moves more joints than it saves time.
    if any('/encoder/' in name for name in grouped):
        floating = (*floating, '/encoder/')
    kept = grouped | {node.name for node in convolutions if node.input[1] in first
                      or any(part in node.name for part in floating)}
    # What an image network ends with: all others see its errors, too.
    outside = [node.input[0] for node in convolutions if '/final_layer' in node.name
               or not any(part in node.name for part in _IMAGE_NETWORKS)]
    kept |= {name for name in _makers(graph, [*outside, *(o.name for o in graph.output)])
             if any(part in name for part in _IMAGE_NETWORKS)}
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)  # it advises to optimize the graph first, which it is
    try:
        quantization.quantize_static(
            str(source), str(target), Reader(), quant_format=quantization.QuantFormat.QDQ,
            per_channel=True, activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=['Conv'], nodes_to_exclude=sorted(kept))
    finally:
        logging.root.setLevel(level)
    return len(convolutions) - len(kept)
