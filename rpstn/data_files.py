"""JSON, tables, NPZ and .mat files read within :mod:`rpstn.limits`, and nothing in them executed.

All readers raise ValueErrors (LimitError is one) that say what is wrong, and not with which file,
or OSErrors; whoever calls them knows what the file is for, and puts that before.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import numpy as np

from rpstn.errors import first_line
from rpstn.limits import (
    JSON_BYTES,
    NESTING,
    ROWS,
    UNPACKED_BYTES,
    LimitError,
    check_size,
    read_bytes,
)
from rpstn.mat_files import is_level_5, parse_mat

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_WHOLE_DIGITS = 18  # of a whole number that all that computes can hold
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_json(
    path: str | os.PathLike, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """What a JSON file in UTF-8 holds; whole numbers of more than 18 digits as floats.

    Args:
        path: the file.
        pairs: makes an object of its names and values, as json's ``object_pairs_hook``.

    Raises:
        ValueError: it is no JSON, or above a limit.
    """
    data = read_bytes(path, JSON_BYTES)
    _check_nesting(data)
    try:
        return json.loads(data.decode('utf-8-sig'), object_pairs_hook=pairs, parse_int=_whole)
    except RecursionError:
        raise ValueError('lists and objects too deep in each other') from None


def _whole(text: str) -> int | float:
    """Python would take minutes for a million digits, and NumPy fails beyond 19."""
    return int(text) if len(text) <= _WHOLE_DIGITS else float(text)


def _check_nesting(data: bytes) -> None:
    if data.count(b'[') + data.count(b'{') <= NESTING.value:
        return
    signs = np.frombuffer(_STRINGS.sub(b'', data), np.uint8)
    opening = (signs == ord('[')) | (signs == ord('{'))
    closing = (signs == ord(']')) | (signs == ord('}'))
    depth = np.cumsum(opening.astype(np.int8) - closing.astype(np.int8), dtype=np.int32)
    NESTING.check(int(depth.max(initial=0)))


def read_lines(path: str | os.PathLike) -> Iterator[str]:
    """The lines of a table in UTF-8, as they are asked for, with their ends.

    Raises:
        ValueError: it is no text, or has too many lines, or too long ones.
    """
    limit = ROWS.value
    with open(path, encoding='utf-8-sig', newline='') as file:
        for count, line in enumerate(iter(lambda: file.readline(_LONGEST + 1), '')):
            if len(line) > _LONGEST:
                raise ValueError(f'a line of more than {_LONGEST:,} characters')
            if count > limit:  # the head is none
                ROWS.check(count)
            yield line


_LONGEST = 1 << 20  # characters of a line: a hundred thousand numbers


def read_npz(
    path: str | os.PathLike, unread: dict[str, str] | None = None
) -> dict[str, np.ndarray]:
    """The arrays of an NPZ file, none of which may need pickle.

    Args:
        path: the file.
        unread: takes the names of arrays that cannot be read, and why; by default the first such
            is an error.

    Raises:
        ValueError: it is no archive of arrays, an array is not as its header says, or a limit is
            exceeded.
    """
    check_size(path)
    arrays: dict[str, np.ndarray] = {}
    left = UNPACKED_BYTES.value
    with _naming_the_kind('an archive of arrays'), zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix('.npy')
            try:
                with _naming_the_kind('an array'):
                    arrays[name] = _read_member(archive, member, left)
                    left -= arrays[name].nbytes
            except ValueError as error:
                if unread is None:
                    raise type(error)(f'{name}: {error}') from None
                unread[name] = str(error)
    return arrays


def read_npy(path: str | os.PathLike) -> np.ndarray:
    """The array of an .npy file, which may not need pickle; ValueError as :func:`read_npz`."""
    data = read_bytes(path)
    with _naming_the_kind('an array'):
        _check_header(io.BytesIO(data), len(data), UNPACKED_BYTES.value)
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, left: int) -> np.ndarray:
    if member.compress_type not in _PACKINGS:  # others take as much memory as they say
        raise ValueError(f'packed by method {member.compress_type}, not by deflate')
    with archive.open(member) as file:
        _check_header(file, member.file_size, left)
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _check_header(file: IO[bytes], size: int, left: int) -> None:
    """Refuse an array that is not as large as its header says, or too large.

    NumPy would take the memory that the header asks for.
    """
    version = np.lib.format.read_magic(file)
    headers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in headers:
        raise ValueError(f'format {version}, which is not read')
    shape, _, dtype = headers[version](file)
    if dtype.hasobject:
        raise ValueError('Object arrays cannot be loaded when allow_pickle=False')
    if any(side < 0 for side in shape):
        raise ValueError(f'shape {shape}')
    wanted = math.prod(shape) * max(dtype.itemsize, 1)
    if wanted > left:
        UNPACKED_BYTES.check(UNPACKED_BYTES.value - left + wanted)
    if wanted != size - file.tell() and dtype.itemsize:
        raise ValueError(
            f'shape {shape} of {dtype} in its header, {size - file.tell():,} bytes in the file'
        )


class _naming_the_kind:  # noqa: N801  # used as a function
    """Makes ValueErrors of all that damaged files raise in the modules that read them."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, LimitError | FileNotFoundError | PermissionError):
            return
        if isinstance(error, ValueError):
            return
        if isinstance(error, Exception):
            raise ValueError(
                f'something that is not {self.kind} ({type(error).__name__}: {first_line(error)})'
            ) from None


def read_mat(path: str | os.PathLike, fields: Iterable[str]) -> dict[str, np.ndarray]:
    """Some arrays of numbers or text out of a MATLAB file (up to version 7), as far as there.

    Raises:
        ValueError: it is no such file, a field is something else, such as a cell, or a limit is
            exceeded.
    """
    import scipy.io

    fields = tuple(fields)
    data = read_bytes(path)
    with _naming_the_kind('a .mat file'):
        _check_unpacked(data)
        if is_level_5(data):
            return parse_mat(data, fields)
        for name, _, kind in scipy.io.whosmat(io.BytesIO(data)):
            if name in fields and kind not in _MAT_KINDS:
                raise ValueError(f'{name} as {kind}, not as numbers or text')
        content = scipy.io.loadmat(io.BytesIO(data), variable_names=fields)
    return {name: content[name] for name in fields if name in content}


_MAT_KINDS = ('logical', 'char', 'double', 'single') + tuple(
    f'{sign}int{bits}' for sign in ('', 'u') for bits in (8, 16, 32, 64)
)
_MAT_PACKED, _MAT_HEAD = 15, 128


def _check_unpacked(data: bytes) -> None:
    """Refuse a file of version 5 to 7 whose packed elements are too large together."""
    order = {b'IM': '<', b'MI': '>'}.get(data[126:128])
    # Version 4 packs nothing, and deflate packs a thousand bytes into one at most.
    if order is None or len(data) * 1100 <= UNPACKED_BYTES.value:
        return
    total, place, limit = 0, _MAT_HEAD, UNPACKED_BYTES.value
    while place + 8 <= len(data):
        kind, size = struct.unpack(f'{order}II', data[place : place + 8])
        place += 8
        if kind == _MAT_PACKED:
            for unpacked in _unpacked(memoryview(data)[place : place + size]):
                total += unpacked
                if total > limit:
                    UNPACKED_BYTES.check(total, f'more than {limit:,}')
        place += size


def _unpacked(data: memoryview, step: int = 1 << 20) -> Iterator[int]:
    """Sizes of the pieces that packed data unpack to."""
    unpack = zlib.decompressobj()
    rest = bytes(data)
    while rest and not unpack.eof:
        piece = unpack.decompress(rest, step)
        yield len(piece)
        rest = unpack.unconsumed_tail
        if not piece and not rest:
            return
