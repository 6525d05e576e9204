"""What is done to a good file: edits of its bytes, and of the values in it.

An edit is plain JSON, drawn by hypothesis; positions are shares of a length, so that an edit fits
any file. Applying it is a function of the edit and the file alone.
"""

from __future__ import annotations

import random
import re
from typing import Any

from hypothesis import strategies as st

SHARES = st.floats(0, 1, exclude_max=True, width=16)
SIZES = st.sampled_from([1, 2, 4, 8, 16, 64, 256, 1024, 4096])
NUMBERS = [0, 1, -1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1]
TEXTS = ['1e30', '-1', '0', '9' * 400, 'NaN', '1e400', '-1e-9', 'inf', '0x10', '1_000', '']

BYTE_EDITS = st.fixed_dictionaries(
    dict(
        op=st.sampled_from(
            [
                'flip', 'set', 'zero', 'ones', 'noise', 'cut', 'remove', 'repeat', 'insert',
                'swap', 'number', 'text', 'head',
            ]
        ),
        at=SHARES,
        to=SHARES,
        size=SIZES,
        value=st.integers(0, 255),
    )
)  # fmt: skip
"""Of a file's bytes."""


def edit_bytes(data: bytes, edit: dict) -> bytes:
    """The bytes with one of :data:`BYTE_EDITS`."""
    at, to = int(edit['at'] * len(data)), int(edit['to'] * len(data))
    size, value = edit['size'], edit['value']
    head, block, tail = data[:at], data[at : at + size], data[at + size :]
    noise = random.Random(value).randbytes(size)
    match edit['op']:
        case 'flip':
            return head + bytes(b ^ (1 << value % 8) for b in block[:1]) + data[at + 1 :]
        case 'set':
            return head + bytes([value]) + data[at + 1 :]
        case 'zero':
            return head + bytes(len(block)) + tail
        case 'ones':
            return head + b'\xff' * len(block) + tail
        case 'noise':
            return head + noise[: len(block)] + tail
        case 'cut':
            return head
        case 'remove':
            return head + tail
        case 'repeat':
            return head + block * (1 + value % 8) + tail
        case 'insert':
            return head + noise + block + tail
        case 'swap':
            at, to = sorted((at, to))
            size = min(size, to - at)
            a, b = data[at : at + size], data[to : to + size]
            return data[:at] + b + data[at + size : to] + a + data[to + size :]
        case 'number':
            width = 1 << value % 4
            number = NUMBERS[value % len(NUMBERS)] & (256**width - 1)
            order = 'big' if value & 64 else 'little'
            return head + number.to_bytes(width, order) + data[at + width :]  # type: ignore[arg-type]
        case 'text':
            places = list(re.finditer(rb'-?\d+(\.\d+)?', data))
            if not places:
                return head + TEXTS[value % len(TEXTS)].encode() + tail
            place = places[int(edit['at'] * len(places))]
            text = TEXTS[value % len(TEXTS)].encode()
            return data[: place.start()] + text + data[place.end() :]
        case _:  # head
            return bytes(size) + data[size:]


VALUES: dict[str, Any] = {
    'null': None,
    'true': True,
    'zero': 0,
    'minus': -1,
    'big': 1e30,
    'huge': 10**400,
    'inf': float('inf'),
    'nan': float('nan'),
    'empty text': '',
    'text': 'seven',
    'long text': 'x' * 100_000,
    'surrogate': '\ud800',
    'path': '../../../etc/passwd',
    'zero byte': 'a\0b',
    'list': [],
    'dict': {},
    'nested': [[[[[[1]]]]]],
    'numbers': list(range(5)),
    'type': {'type': 'os.system', 'command': 'touch canary'},
}
"""What a value can be replaced by."""

VALUE_EDITS = st.fixed_dictionaries(
    dict(
        op=st.sampled_from(['replace', 'delete', 'repeat', 'rename', 'wrap', 'other']),
        at=SHARES,
        to=SHARES,
        value=st.sampled_from(sorted(VALUES)),
    )
)
"""Of the values in a file."""


def edit_value(content: Any, edit: dict) -> Any:
    """Nested lists and dicts with one of :data:`VALUE_EDITS`, in place where that can be."""
    places = list(_places(content))
    if not places:
        return VALUES[edit['value']]
    # Places deep down are many: every second edit is of one near the top.
    near = [place for place in places if place[2] <= 2]
    places = near if edit['to'] < 0.5 else places
    owner, key, _ = places[int(edit['at'] * len(places))]
    value = owner[key]
    match edit['op']:
        case 'delete':
            del owner[key]
        case 'repeat' if isinstance(owner, list):
            owner.insert(key, value)
        case 'rename' if isinstance(owner, dict):
            owner[str(VALUES[edit['value']])[:50]] = owner.pop(key)
        case 'wrap':
            owner[key] = [value]
        case 'other':
            other, at, _ = places[int(edit['to'] * len(places))]
            if key in owner if isinstance(owner, dict) else key < len(owner):
                owner[key] = VALUES[edit['value']] if other is owner else _copy(other[at])
        case _:
            owner[key] = VALUES[edit['value']]
    return content


def _places(content: Any, depth: int = 1) -> Any:
    """(container, key, depth) of every value."""
    if isinstance(content, dict):
        keys: Any = list(content)
    elif isinstance(content, list):
        keys = range(len(content))
    else:
        return
    for key in keys:
        yield content, key, depth
        yield from _places(content[key], depth + 1)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


ARRAYS = ('same', 'nan', 'inf', 'huge', 'negative', 'empty', 'flat', 'scalar', 'text', 'object',
          'payload', 'complex', 'bool', 'big-endian', 'more', 'bytes', 'uint64', 'less',
          'float16', 'shape lies', 'dates', 'record')  # fmt: skip
"""What an array can be replaced by; see :func:`edit_array`."""


def edit_array(array: Any, kind: str, payload: Any) -> Any:
    """The array, another kind of it."""
    import numpy as np

    array = np.asarray(array)
    numbers = array if array.dtype.kind in 'fiu' else np.arange(6.0).reshape(2, 3)
    spoilt = numbers.astype(np.float64)
    if kind in ('nan', 'inf', 'huge'):
        spoilt.flat[:: max(spoilt.size // 3, 1)] = dict(nan=np.nan, inf=np.inf, huge=1e30)[kind]
        return spoilt
    objects = np.empty(1, object)
    objects[0] = payload if kind == 'payload' else {'a': [1, 2]}
    return {
        'same': array,
        'negative': -spoilt,
        'empty': spoilt.reshape(-1)[:0],
        'flat': spoilt.reshape(-1),
        'scalar': np.float64(3),
        'text': numbers.astype(str),
        'object': objects,
        'payload': objects,
        'complex': numbers.astype(complex),
        'bool': numbers.astype(bool),
        'big-endian': spoilt.astype('>f8'),
        'more': np.concatenate([np.atleast_1d(spoilt)] * 2),
        'less': np.atleast_1d(spoilt)[:-1],
        'bytes': np.frombuffer(b'abcdef', np.uint8),
        'uint64': np.full(numbers.shape, 2**63, np.uint64),
        'float16': np.clip(spoilt, -1e4, 1e4).astype(np.float16),
        'dates': np.array(['2024-01-01'], 'datetime64[D]'),
        'record': np.zeros(2, [('x', 'f8'), ('y', 'i4')]),
    }[kind]
