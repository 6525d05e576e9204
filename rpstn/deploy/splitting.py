"""The step graph as two: what looks at crops alone, and what carries on."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from .onnx_graphs import GRAPHS

if TYPE_CHECKING:
    from onnx import NodeProto

ENCODE, CARRY_ON = 'encode', 'carry_on'
"""The names of the two."""


def split_step(step: bytes) -> dict[str, bytes] | None:
    """Two graphs that together answer what the step graph does.

    Args:
        step: the graph, as stored.

    Returns:
        ``encode``, of crops, answers all that does not depend on the states; ``carry_on`` takes of
        it what it needs, and the states. None where they cannot be told apart: nothing is carried
        on, or what goes from one to the other are not maps of each person alone.
    """
    import onnx
    from onnx import shape_inference
    from onnx.utils import Extractor

    proto = shape_inference.infer_shapes(onnx.load_from_string(step))
    (crops, *states), _ = GRAPHS['step']
    outputs = [value.name for value in proto.graph.output]
    nodes = list(proto.graph.node)
    seen, carried = _made_of([crops], nodes), _made_of(states, nodes)
    taken = [
        name
        for node in nodes
        if carried.intersection(node.output)
        for name in node.input
        if name in seen - carried
    ]
    between = list(dict.fromkeys(taken))
    shapes = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.value_info, *proto.graph.output)
    }
    maps = all(len(s := shapes.get(name, [])) == 4 and all(s[1:]) for name in between)
    last = [name for name in outputs if name in carried]
    if not maps or not last:
        return None
    first = [*between, *(name for name in outputs if name not in {*carried, *between})]
    halves = Extractor(proto)
    return {
        ENCODE: halves.extract_model([crops], first).SerializeToString(),
        CARRY_ON: halves.extract_model([*between, *states], last).SerializeToString(),
    }


def _made_of(names: Iterable[str], nodes: Collection[NodeProto]) -> set[str]:
    """These, and everything that any of them goes into; nodes are in the order of computation."""
    found = set(names)
    for node in nodes:
        if found.intersection(node.input):
            found.update(node.output)
    return found
