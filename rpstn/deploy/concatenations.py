"""Convolutions over concatenated maps as sums of convolutions, which engines need not concatenate.

Engines keep maps channels-last, in blocks of channels; a concatenation of C, K and C channels fits
no blocks, so that all of it is copied to another layout and back, which takes as long as the
convolution. A convolution of [a, b] is that of a, plus that of b.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def convolve_apart(proto: ModelProto) -> None:
    """Split convolutions of a concatenation along channels, in place; the answer is the same.

    An average pooling between the two is done to each of the maps.

    Args:
        proto: whose shapes can be inferred but for the batch.
    """
    from onnx import helper, numpy_helper, shape_inference

    graph = proto.graph
    values = shape_inference.infer_shapes(proto).graph
    channels = {
        value.name: value.type.tensor_type.shape.dim[1].dim_value
        for value in (*values.input, *values.value_info, *values.output)
        if len(value.type.tensor_type.shape.dim) == 4
    }
    made_by = {name: node for node in graph.node for name in node.output}
    used = Counter(name for node in graph.node for name in node.input)
    used.update(value.name for value in graph.output)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes, gone = [], []

    for node in graph.node:
        nodes.append(node)
        if node.op_type != 'Conv' or node.input[1] not in weights:
            continue
        pool = made_by.get(node.input[0])
        pool = pool if pool is not None and pool.op_type == 'AveragePool' else None
        before = made_by.get(pool.input[0] if pool else node.input[0])
        if before is None or not _is_concatenation(before) or _attribute(node, 'group', 1) != 1:
            continue
        between = [before, pool] if pool else [before]
        sizes = [channels.get(name, 0) for name in before.input]
        weight = numpy_helper.to_array(weights[node.input[1]])
        if any(used[step.output[0]] > 1 for step in between) or sum(sizes) != weight.shape[1]:
            continue
        nodes.pop()
        gone += between
        parts = np.split(weight, np.cumsum(sizes)[:-1], axis=1)
        total = ''
        for number, (name, part) in enumerate(zip(before.input, parts)):
            stem = f'{node.name}/{number}'
            graph.initializer.append(numpy_helper.from_array(part.copy(), f'{stem}/weight'))
            if pool:
                nodes.append(_copy(pool, f'{stem}/pool', [name]))
                name = f'{stem}/pool'
            bias = node.input[2:] if number == 0 else ()
            nodes.append(_copy(node, f'{stem}/conv', [name, f'{stem}/weight', *bias]))
            if number:
                last = number == len(parts) - 1
                answer = node.output[0] if last else f'{stem}/sum'
                nodes.append(
                    helper.make_node('Add', [total, f'{stem}/conv'], [answer], name=f'{stem}/Add')
                )
            total = f'{stem}/sum' if number else f'{stem}/conv'
    del graph.node[:]
    graph.node.extend(node for node in nodes if not any(node is other for other in gone))
    needed = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _is_concatenation(node: NodeProto) -> bool:
    return (
        node.op_type == 'Concat' and len(node.input) > 1 and _attribute(node, 'axis', 0) in (1, -3)
    )


def _attribute(node: NodeProto, name: str, default: int) -> int:
    return next((a.i for a in node.attribute if a.name == name), default)


def _copy(node: NodeProto, name: str, inputs: list[str]) -> NodeProto:
    copy = type(node)()
    copy.CopyFrom(node)
    del copy.input[:], copy.output[:]
    copy.name = name
    copy.input.extend(inputs)
    copy.output.append(name)
    return copy
