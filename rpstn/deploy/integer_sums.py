"""Whether sums of 8-bit products are right on this processor."""

from __future__ import annotations

import functools
from contextlib import suppress

from rpstn.choices import WEIGHT_BITS

_CHANNELS = 16
_GREATEST = 127
# Activations of 255 everywhere meet weights of 127 everywhere.
_GRAPH = f"""
<ir_version: 8, opset_import: ["": 17]>
greatest (float[1, {_CHANNELS}, 4, 4] x) => (float[1, {_CHANNELS}, 2, 2] y) {{
    levels = QuantizeLinear(x, one, zero)
    image = DequantizeLinear(levels, one, zero)
    filters = DequantizeLinear <axis = 0> (weight, scale, centre)
    sums = Conv(image, filters)
    rounded = QuantizeLinear(sums, step, zero)
    y = DequantizeLinear(rounded, step, zero)
}}"""


@functools.cache
def weight_bits(engine: str) -> int:
    """The bits of integer weights with which an engine computes right on this processor.

    x86 without instructions made for it (VNNI, AMX) adds products of unsigned activations and
    signed weights in pairs, in 16 bits, for which twice 255 x 127 is too much: sums are cut off,
    silently. With weights of 7 bits no pair is. One convolution of greatest values tells.

    Args:
        engine: ``'onnx'`` or ``'openvino'``.

    Returns:
        Of :data:`WEIGHT_BITS`.

    Raises:
        ImportError: the engine, or onnx, is not installed.
    """
    import numpy as np
    from onnx import numpy_helper, parser

    proto = parser.parse_model(_GRAPH)
    expected = 9.0 * _CHANNELS * _GREATEST
    proto.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name)
        for name, value in dict(
            one=np.float32(1 / 255),
            zero=np.uint8(0),
            step=np.float32(expected / 255),
            weight=np.full((_CHANNELS, _CHANNELS, 3, 3), _GREATEST, np.int8),
            scale=np.ones(_CHANNELS, np.float32),
            centre=np.zeros(_CHANNELS, np.int8),
        ).items()
    )
    graph, image = proto.SerializeToString(), np.ones((1, _CHANNELS, 4, 4), np.float32)
    if engine == 'onnx':
        import onnxruntime

        session = onnxruntime.InferenceSession(graph, providers=['CPUExecutionProvider'])
        found = session.run(None, dict(x=image))[0]
    else:
        import openvino

        core = openvino.Core()
        found = core.compile_model(core.read_model(graph), 'CPU')(dict(x=image))[0]
    return 8 if found.mean() > 0.9 * expected else 7


def bits_for_all() -> int:
    """The bits with which every engine that is installed computes right on this processor."""
    found = [max(WEIGHT_BITS)]
    for engine in ('onnx', 'openvino'):
        with suppress(ImportError):
            found.append(weight_bits(engine))
    return min(found)
