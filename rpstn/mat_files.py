"""MATLAB's files of version 5 to 7, arrays of numbers and text alone.

SciPy's reader ends the process on files with a changed byte. The format: MathWorks, "MAT-File
Format", level 5.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_NUMBERS = dict(
    zip((1, 2, 3, 4, 5, 6, 7, 9, 12, 13), 'i1 u1 i2 u2 i4 u4 f4 f8 i8 u8'.split(), strict=True)
)
_TEXTS = {2: 'latin-1', 4: 'utf-16', 16: 'utf-8', 17: 'utf-16', 18: 'utf-32'}
_MATRIX, _PACKED, _HEAD = 14, 15, 128
_CHARACTERS = 4
_OTHERS = {1: 'cell', 2: 'struct', 3: 'object', 5: 'sparse'}
_COMPLEX = 0x800


class _Element(NamedTuple):
    kind: int
    data: bytes


def is_level_5(data: bytes) -> bool:
    """Whether it says that it is such a file."""
    return data[126:128] in (b'IM', b'MI')


def parse_mat(data: bytes, fields: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Arrays by name, of the types that they are stored in; text as one string for each row.

    Raises:
        ValueError: it is damaged, or a field is something else.
    """
    order = '<' if data[126:128] == b'IM' else '>'
    found: dict[str, np.ndarray] = {}
    for kind, content in _elements(data[_HEAD:], order):
        if kind == _PACKED:
            try:
                # Some of Penn Action's lack their end, and no byte of the array.
                unpacked = zlib.decompressobj().decompress(content)
            except zlib.error as error:
                raise ValueError(f'damaged: {error}') from None
            kind, content = next(_elements(unpacked, order), _Element(0, b''))
        if kind == _MATRIX:
            _add(found, list(_elements(content, order)), order, fields)
    return found


def _elements(data: bytes, order: str) -> Iterator[_Element]:
    """Types and contents of what lies one after the other."""
    place = 0
    while place + 8 <= len(data):
        kind, size = struct.unpack_from(f'{order}II', data, place)
        place += 8
        if kind >> 16:  # both in four bytes, and up to four bytes of content behind them
            kind, size, start, place = kind & 0xFFFF, kind >> 16, place - 4, place - 4
            end = place + 4
            if size > 4:
                raise ValueError('damaged: a small element of more than four bytes')
        else:
            start = place
            end = place + size + (-size % 8 if kind != _PACKED else 0)
        if start + size > len(data):
            raise ValueError('damaged: an element is longer than what holds it')
        yield _Element(kind, data[start : start + size])
        place = end


def _add(
    found: dict[str, np.ndarray], parts: list[_Element], order: str, fields: tuple[str, ...]
) -> None:
    if len(parts) < 3 or len(parts[0].data) != 8 or len(parts[1].data) % 4:
        raise ValueError('damaged: an array without its head')
    (flags,) = struct.unpack_from(f'{order}I', parts[0].data)
    name = parts[2].data.decode('latin-1')
    if name not in fields:
        return
    kind = flags & 0xFF
    if kind in _OTHERS or flags & _COMPLEX or not _CHARACTERS <= kind <= 15:
        raise ValueError(f'{name} as {_OTHERS.get(kind, "other")}, not as numbers or text')
    shape = np.frombuffer(parts[1].data, f'{order}i4').tolist()
    stored = parts[3] if len(parts) > 3 else _Element(9, b'')
    count = math.prod(shape)
    if len(shape) < 2 or min(shape) < 0:
        raise ValueError(f'damaged: {name} of shape {shape}')
    if kind == _CHARACTERS:
        found[name] = _text(name, stored, shape, order)
        return
    if stored.kind not in _NUMBERS:
        raise ValueError(f'damaged: {name} of type {stored.kind}')
    dtype = np.dtype(order + _NUMBERS[stored.kind])
    if len(stored.data) != count * dtype.itemsize:
        raise ValueError(f'damaged: {name} of shape {shape} has {len(stored.data):,} bytes')
    array = np.frombuffer(stored.data, dtype).reshape(shape, order='F')
    found[name] = array.astype(dtype.newbyteorder('='))


def _text(name: str, stored: _Element, shape: list[int], order: str) -> np.ndarray:
    coding = _TEXTS.get(stored.kind)
    if coding is None:
        raise ValueError(f'damaged: {name} as text of type {stored.kind}')
    if coding in ('utf-16', 'utf-32'):
        coding += '-le' if order == '<' else '-be'
    text = stored.data.decode(coding, 'replace')
    if len(text) != math.prod(shape):
        raise ValueError(f'damaged: {name} of shape {shape} has {len(text):,} characters')
    if len(shape) != 2:
        return np.array(list(text)).reshape(shape, order='F')
    return np.array([text[row :: shape[0]] for row in range(shape[0])], dtype=str)
