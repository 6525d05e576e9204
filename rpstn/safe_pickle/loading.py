"""The restricted unpickler, and the pass over its result that finishes what it began."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from .stand_ins import (
    PickledArray,
    PickledDType,
    PickledObject,
    StandIn,
    Unfinished,
    UnsafePickleError,
    object_names,
    plain_names,
)

PLAIN = (
    'None, bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, '
    "frozenset, and NumPy's arrays, scalars and dtypes"
)


class _Unpickler(pickle.Unpickler):
    """Answers names from a table, by exact match: no import, no attribute lookup."""

    def __init__(
        self, file: BinaryIO, encoding: str, allow: Mapping[str, Callable[[Any], Any]]
    ) -> None:
        super().__init__(file, encoding=encoding)
        self.names = plain_names() | object_names(allow)
        self.allowed = ', '.join([PLAIN, *sorted(allow)])

    def find_class(self, module: str, name: str) -> Any:
        # A name with dots (protocol 4) would not be in the table, but 'a.b' 'c' must not be 'a'
        # 'b.c' either.
        if '.' not in name and f'{module}.{name}' in self.names:
            return self.names[f'{module}.{name}']
        raise UnsafePickleError(
            f"it names '{module}.{name}', which is refused; allowed are {self.allowed}"
        )


class _Finisher:
    """Puts finished values in the place of those under construction, wherever they are."""

    def __init__(self) -> None:
        self.done: dict[int, Any] = {}
        self.open: set[int] = set()

    def __call__(self, value: Any) -> Any:
        if not isinstance(value, Unfinished | list | dict | tuple):
            if isinstance(value, StandIn) or isinstance(value, type):
                raise UnsafePickleError(f"'{value.name}' itself is among the values")
            return value
        key = id(value)
        if key in self.done:
            return self.done[key]
        if key in self.open:
            raise UnsafePickleError(f'a {type(value).__name__} that contains itself')
        self.open.add(key)
        self.done[key] = self.finish(key, value)
        return self.done[key]

    def finish(self, key: int, value: Any) -> Any:
        if isinstance(value, list):
            self.done[key] = value  # a list may contain itself
            value[:] = map(self, value)
        elif isinstance(value, dict):
            self.done[key] = value
            for name, item in value.items():  # values only, so no key is added
                value[name] = self(item)
        elif isinstance(value, tuple):
            return tuple(map(self, value))
        elif isinstance(value, PickledDType):
            return value.dtype
        elif isinstance(value, PickledArray):
            return self.finish_array(key, value)
        elif isinstance(value, PickledObject):
            return self.finish_object(value)
        return value

    def finish_array(self, key: int, value: PickledArray) -> np.ndarray:
        if value.array is None:
            raise UnsafePickleError('an array without contents')
        self.done[key] = value.array
        if value.items is not None:
            if len(value.items) != value.array.size:
                raise UnsafePickleError('an object array whose contents changed')
            flat = value.array.reshape(-1)
            for i in range(flat.size):
                flat[i] = self(value.items[i])
        return value.array

    def finish_object(self, value: PickledObject) -> Any:
        if not hasattr(value, 'state'):
            raise UnsafePickleError(f"an instance of '{value.name}' without state")
        state = self(value.state)
        try:
            return value.build(state)
        except Exception as error:  # a builder meets whatever the file holds
            raise UnsafePickleError(
                f"an instance of '{value.name}' is not as expected: {type(error).__name__}: {error}"
            ) from error


def load_arrays(
    path: str | os.PathLike,
    *,
    allow: Mapping[str, Callable[[Any], Any]] | None = None,
    encoding: str = 'latin1',
) -> Any:
    """Read a pickle of plain containers and NumPy arrays, of any protocol, executing nothing.

    Args:
        path: the file. Pickles of Python 2 and of NumPy 1 and 2 are read.
        allow: more classes, as ``'module.name'`` -> function that makes a value of the state which
            an instance was pickled with (mostly its ``__dict__``). The class itself is never
            imported. The function has to check the state.
        encoding: of Python 2's ``str``; ``'latin1'`` also reads its arrays, ``'bytes'`` leaves
            them bytes.

    Returns:
        The value, made of what :data:`PLAIN` says, and of what ``allow`` makes.

    Raises:
        UnsafePickleError: it names anything else (the name is in the message), or gives an allowed
            one arguments that no pickle of plain data has.
        ValueError: it is truncated, or no pickle.
        OSError: the file cannot be opened.
    """
    with open(path, 'rb') as file:
        unpickler = _Unpickler(file, encoding, allow or {})
        try:
            value = _Finisher()(unpickler.load())
        except UnsafePickleError as error:
            raise UnsafePickleError(f'{os.fspath(path)}: {error}') from error
        except Exception as error:  # a broken pickle can raise nearly anything
            reason = 'truncated' if isinstance(error, EOFError) else 'truncated or not a pickle'
            raise ValueError(
                f'{os.fspath(path)}: {reason} ({type(error).__name__}: {error})'
            ) from error
        if file.read(1):
            raise ValueError(f'{os.fspath(path)}: there is more after the end of the pickle')
    return value
