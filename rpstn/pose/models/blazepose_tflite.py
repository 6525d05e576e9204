"""The convolutions of a TFLite file, such as MediaPipe's: their weights by name.

A file is a FlatBuffer of one graph. Constants may lie behind DEQUANTIZE (half floats) and DENSIFY
(sparse rows); a layer is a CONV_2D or DEPTHWISE_CONV_2D into which its batch norm was folded.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rpstn.errors import RPSTNError, SettingError

# What reading a FlatBuffer of wrong offsets ends with.
_DAMAGED = (struct.error, IndexError, ValueError, TypeError, KeyError, AttributeError)


class TFLiteError(RPSTNError, ValueError):
    """A TFLite file that cannot be read, or is not the one asked for; one line."""


@dataclass(frozen=True)
class Layer:
    """Weights of one convolution as they lie in the file.

    Attributes:
        depthwise: whether each channel has a kernel of its own.
        weight: (out, kh, kw, in), or (1, kh, kw, channels) if depthwise.
        bias: (out,).
    """

    depthwise: bool
    weight: np.ndarray
    bias: np.ndarray

    def tensors(self) -> dict[str, Tensor]:
        """Weight and bias as Conv2d has them: (out, in, kh, kw), (channels, 1, kh, kw)."""
        weight = self.weight.transpose((3, 0, 1, 2) if self.depthwise else (0, 3, 1, 2))
        # Copies: what lies in the file cannot be written to, as tensors must.
        return dict(weight=torch.tensor(weight), bias=torch.tensor(self.bias))


def read_layers(path: Path) -> dict[str, Layer]:
    """All convolutions of a ``.tflite`` file, in the order they are computed.

    Args:
        path: of the file.

    Returns:
        Layers by the name of their batch norm in Keras, e.g. ``batch_normalization_7``, or, where
        they have none, of their convolution.

    Raises:
        TFLiteError: no such file, no TFLite model, or the package ``tflite`` is not installed.
    """
    try:
        import tflite
    except ImportError:
        raise TFLiteError(
            f'{path}: cannot be read without the package tflite: pip install --no-deps tflite'
        ) from None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TFLiteError(f'{path}: cannot be read, {error.strerror}') from None
    if data[4:8] != b'TFL3':
        raise TFLiteError(f'{path}: must be a TFLite model, got another file')
    try:
        named = list(_Graph(tflite, data).layers())
    except _DAMAGED as error:
        raise TFLiteError(f'{path}: damaged, {type(error).__name__}') from None
    layers = dict(named)
    if len(layers) < len(named):
        raise TFLiteError(f'{path}: two layers have one name')
    return layers


class _Graph:
    """The one graph of a TFLite file.

    Args:
        tflite: the package.
        data: the file's bytes.
    """

    def __init__(self, tflite: ModuleType, data: bytes) -> None:
        self._model = tflite.Model.GetRootAs(data)
        self._graph = self._model.Subgraphs(0)
        self._codes = tflite.BuiltinOperator
        self._types = {tflite.TensorType.FLOAT32: np.float32, tflite.TensorType.FLOAT16: np.float16}
        self._sparse = tflite.DimensionType.SPARSE_CSR
        kinds = tflite.SparseIndexVector
        self._vectors = {
            kinds.Int32Vector: tflite.Int32Vector,
            kinds.Uint16Vector: tflite.Uint16Vector,
            kinds.Uint8Vector: tflite.Uint8Vector,
        }
        self._operators = [self._graph.Operators(n) for n in range(self._graph.OperatorsLength())]
        self._producers = {operator.Outputs(0): operator for operator in self._operators}

    def layers(self) -> Iterator[tuple[str, Layer]]:
        """Names and weights of the convolutions, in order."""
        kinds = {self._codes.CONV_2D: False, self._codes.DEPTHWISE_CONV_2D: True}
        for operator in self._operators:
            if (code := self._code(operator)) in kinds:
                weight, bias = operator.Inputs(1), operator.Inputs(2)
                yield (
                    self._layer_name(operator),
                    Layer(kinds[code], self._constant(weight), self._constant(bias)),
                )

    def _code(self, operator: Any) -> int:
        code = self._model.OperatorCodes(operator.OpcodeIndex())
        # Old files know only the first, a byte; new codes have no place in it.
        return max(code.DeprecatedBuiltinCode(), code.BuiltinCode())

    def _name(self, tensor: int) -> str:
        return self._graph.Tensors(tensor).Name().decode()

    def _layer_name(self, operator: Any) -> str:
        # A fused operator's output has the names of all it was made of, its own first.
        norm = re.search(r'batch_normalization(_\d+)?', self._name(operator.Outputs(0)))
        return norm[0] if norm else self._name(operator.Inputs(1)).split('/')[-2]

    def _constant(self, tensor: int) -> np.ndarray:
        """Values of a constant, in half floats if it lies behind DEQUANTIZE."""
        if (operator := self._producers.get(tensor)) is not None:
            if self._code(operator) not in (self._codes.DEQUANTIZE, self._codes.DENSIFY):
                raise SettingError('weights are computed')
            return self._constant(operator.Inputs(0))
        described = self._graph.Tensors(tensor)
        values = self._model.Buffers(described.Buffer()).DataAsNumpy()
        values = values.view(self._types[described.Type()])
        shape = described.ShapeAsNumpy()
        if (sparsity := described.Sparsity()) is not None:
            values = self._dense(values, sparsity, shape[-1])
        return values.reshape(shape)

    def _dense(self, values: np.ndarray, sparsity: Any, width: int) -> np.ndarray:
        """Rows of the last dimension (rows, width), of which only some values are stored."""
        *outer, last = (sparsity.DimMetadata(n) for n in range(sparsity.DimMetadataLength()))
        order = sparsity.TraversalOrderAsNumpy().tolist()
        by_rows = not any(d.Format() for d in outer) and last.Format() == self._sparse
        if not by_rows or order != sorted(order):
            raise SettingError('sparse in another way than by rows')
        ends = self._indices(last.ArraySegmentsType(), last.ArraySegments())
        columns = self._indices(last.ArrayIndicesType(), last.ArrayIndices())
        dense = np.zeros((len(ends) - 1, width), values.dtype)
        dense[np.repeat(np.arange(len(ends) - 1), np.diff(ends)), columns] = values
        return dense

    def _indices(self, kind: int, table: Any) -> np.ndarray:
        vector = self._vectors[kind]()
        vector.Init(table.Bytes, table.Pos)
        return vector.ValuesAsNumpy().astype(int)
