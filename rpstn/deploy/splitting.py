"""The step graph as two: what looks at crops alone, and what carries on."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from .onnx_graphs import GRAPHS

if TYPE_CHECKING:
    from onnx import NodeProto

ENCODE, CARRY_ON = 'encode', 'carry_on'
"""The names of the two."""


def split_step(step: bytes) -> dict[str, bytes]:
    """Two graphs that together answer what the step graph does.

    Args:
        step: the graph, as stored.

    Returns:
        ``encode``, of crops, answers all that does not depend on the states; ``carry_on`` takes of
        it what it needs, and the states.
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
    answered = [name for name in outputs if name not in carried and name not in between]
    halves = Extractor(proto)
    return {
        ENCODE: halves.extract_model([crops], [*between, *answered]).SerializeToString(),
        CARRY_ON: halves.extract_model(
            [*between, *states], [name for name in outputs if name in carried]
        ).SerializeToString(),
    }


def _made_of(names: Iterable[str], nodes: Collection[NodeProto]) -> set[str]:
    """These, and everything that any of them goes into; nodes are in the order of computation."""
    found = set(names)
    for node in nodes:
        if found.intersection(node.input):
            found.update(node.output)
    return found
