"""Pickle files of plain data and arrays, read by an allow-list.

A pickle is a program: it names functions and the arguments to call them with. Here no name is ever
looked up. While a file is read, nothing runs: calls of the names in a table are only noted, any
other name is refused. Then what was noted is made, by the functions of this module and through
NumPy's public constructors, which check what they are given; NumPy's own unpickling believes what
a file says about memory. What a file holds is bounded by its size, which has a limit.
"""

from __future__ import annotations

import math
import os
import pickle
import re
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from rpstn.errors import RPSTNError
from rpstn.limits import LimitError, check_size

PLAIN = (
    'None, bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, '
    "frozenset, and NumPy's arrays, scalars and dtypes"
)
# Object; or bool, integer, unsigned, float, complex, bytes, text, raw, with a size in bytes.
_DTYPE = re.compile(r'O\d?|[biufcSUV][1-9]\d{0,8}')


class BadPickleError(RPSTNError, ValueError):
    """A file that is no pickle, is truncated, or holds more than one."""


class UnsafePickleError(BadPickleError):
    """A pickle names or calls what is not allowed; nothing of it was executed."""


def load_arrays(
    path: str | os.PathLike, *, allow: Mapping[str, Callable[[Any], Any]] | None = None
) -> Any:
    """Read a pickle of plain containers and NumPy arrays, of any protocol, executing nothing.

    Args:
        path: the file. Pickles of Python 2 and of NumPy 1 and 2 are read.
        allow: more classes, as ``'module.name'`` -> function that makes a value of the state which
            an instance was pickled with (mostly its ``__dict__``). The class itself is never
            imported. The function has to check the state.

    Returns:
        The value, made of what :data:`PLAIN` says, and of what ``allow`` makes.

    Raises:
        UnsafePickleError: it names anything else (the name is in the message), or gives an allowed
            one arguments that no pickle of plain data has.
        BadPickleError: it is truncated, or no pickle.
        OSError: the file cannot be opened.
    """
    try:
        check_size(path)
    except LimitError as error:
        raise BadPickleError(f'{os.fspath(path)}: has {error}') from None
    with open(path, 'rb') as file:
        return read_arrays(file, os.fspath(path), allow)


def read_arrays(
    file: BinaryIO, name: str, allow: Mapping[str, Callable[[Any], Any]] | None = None
) -> Any:
    """As :func:`load_arrays`, of an open file that messages call by a name."""
    try:
        value = _made(_Unpickler(file, {**_TABLE, **(allow or {})}).load(), {})
    except UnsafePickleError as error:
        raise UnsafePickleError(f'{name}: {error}') from error
    except Exception as error:  # a broken pickle can raise nearly anything
        reason = 'truncated' if isinstance(error, EOFError) else 'truncated or not a pickle'
        raise BadPickleError(f'{name}: {reason} ({type(error).__name__}: {error})') from error
    if file.read(1):
        raise BadPickleError(f'{name}: there is more after the end of the pickle')
    return value


class _Unpickler(pickle.Unpickler):
    """Answers names from a table, by exact match: no import, no attribute lookup."""

    def __init__(self, file: BinaryIO, table: Mapping[str, Callable]) -> None:
        super().__init__(file, encoding='latin1')  # of Python 2's text, which arrays were, too
        # Made anew for each file, so that nothing outlives it.
        self.calls = {
            name: type(name, (_Call,), {'make': staticmethod(make)}) for name, make in table.items()
        }
        self.allowed = ', '.join([PLAIN, *sorted(table.keys() - _TABLE.keys())])

    def find_class(self, module: str, name: str) -> type[_Call]:
        # 'a.b' 'c' and 'a' 'b.c' must not be the same.
        if '.' not in name and f'{module}.{name}' in self.calls:
            return self.calls[f'{module}.{name}']
        raise UnsafePickleError(
            f"it names '{module}.{name}', which is refused; allowed are {self.allowed}"
        )


class _Call:
    """A call that the pickle wants, and the state that it gives to the result: noted, not done."""

    make: Callable
    args: tuple | None
    state: Any

    def __new__(cls, *args: Any) -> _Call:
        call = super().__new__(cls)
        call.args, call.state = args, None
        return call

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _made(value: Any, done: dict[int, Any]) -> Any:
    """The value with all calls in it done; what is shared stays shared.

    Args:
        value: as the pickle gives it; what was made is never looked up again.
        done: id of a value -> what became of it.
    """
    key = id(value)
    if key in done:
        return done[key]
    if isinstance(value, list):
        done[key] = value
        value[:] = [_made(item, done) for item in value]
    elif isinstance(value, dict):
        done[key] = value
        items = [(_made(name, done), _made(item, done)) for name, item in value.items()]
        value.clear()
        value.update(items)
    elif isinstance(value, tuple | set | frozenset):
        done[key] = type(value)([_made(item, done) for item in value])
    elif isinstance(value, _Call):
        name, noted = type(value).__name__, value.args
        if noted is None:
            raise UnsafePickleError(f"'{name}' contains itself")
        value.args = None
        # Only here may a class stand: the one that an array or an instance is of.
        args = [arg if isinstance(arg, type) else _made(arg, done) for arg in noted]
        state = _made(value.state, done)
        try:
            done[key] = value.make(state, *args)
        except UnsafePickleError:
            raise
        except Exception as error:  # whatever hostile arguments can make NumPy raise
            raise UnsafePickleError(
                f"'{name}' is not as expected: {type(error).__name__}: {error}"
            ) from error
    elif isinstance(value, type):
        raise UnsafePickleError(f"'{value.__name__}' itself is among the values")
    else:
        return value
    return done[key]


def _dtype(state: tuple, spec: str, *_: Any) -> np.dtype:
    order, subarray, fields = state[1:4]
    if not _DTYPE.fullmatch(spec) or subarray or fields:
        raise ValueError(f'data types are a kind and a size, without fields, not {spec!r}')
    return np.dtype(spec).newbyteorder(order)


def _array(shape: tuple, dtype: np.dtype, data: Any, order: Any = 'C') -> np.ndarray:
    """Of raw bytes, whose number must be the one needed, or a list of objects, likewise."""
    data = data.encode('latin1') if isinstance(data, str) else data  # Python 2's bytes
    objects = dtype.hasobject
    if len(data) != math.prod(shape) * (1 if objects else dtype.itemsize):
        raise ValueError(f'contents of length {len(data)} for shape {shape} of {dtype}')
    if not objects:
        return np.ndarray(shape, dtype, data, order=order).copy(order)
    array = np.empty(shape, object)
    items = array.reshape(-1)
    for i, item in enumerate(data):
        items[i] = item
    return array


def _reconstruct(state: tuple, *_: Any) -> np.ndarray:
    shape, dtype, fortran, data = state[-4:]
    return _array(shape, dtype, data, 'F' if fortran else 'C')


def _from_buffer(
    state: None, data: Any, dtype: np.dtype, shape: tuple, order: str, axes: Any = None
) -> np.ndarray:
    array = _array(shape, dtype, data, 'F' if order == 'F' else 'C')
    # NumPy 2.3 keeps the order in memory of transposed arrays.
    return array if axes is None else array.transpose(axes)


def _encode(state: None, text: str, encoding: str) -> bytes:
    if encoding not in ('latin1', 'latin-1'):  # another could be any module
        raise ValueError(f'encoding {encoding!r}')
    return text.encode('latin1')


def _never(*_: Any) -> None:
    raise TypeError('it is called')


# 'module.name' -> what makes the value, from the state and the arguments of the call.
_TABLE: dict[str, Callable] = {
    'numpy.dtype': _dtype,
    'numpy.ndarray': _never,
    '_codecs.encode': _encode,
}
for _core in ('numpy.core', 'numpy._core'):  # of NumPy 1 and 2
    _TABLE |= {
        f'{_core}.multiarray._reconstruct': _reconstruct,
        f'{_core}.multiarray.scalar': lambda state, dtype, data: _array((), dtype, data)[()],
        f'{_core}.numeric._frombuffer': _from_buffer,
    }
for _builtins, _copyreg in (('builtins', 'copyreg'), ('__builtin__', 'copy_reg')):  # of Python 2
    _TABLE |= {
        f'{_builtins}.set': lambda state, items=(): set(items),
        f'{_builtins}.frozenset': lambda state, items=(): frozenset(items),
        f'{_builtins}.bytes': lambda state: b'',
        f'{_builtins}.bytearray': lambda state, data=b'': bytearray(b'' + data),  # never of a size
        f'{_builtins}.complex': lambda state, *parts: complex(*parts),
        # How protocols 0 and 1 make an instance: _reconstructor(class, object, None).
        f'{_builtins}.object': _never,
        f'{_copyreg}._reconstructor': lambda state, kind, *_: kind.make(state),
    }
