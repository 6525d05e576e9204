"""What answers to the names in a pickle: each checks its arguments and builds the value itself."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from rpstn.errors import RPSTNError

# bool, integer, unsigned, float, complex, bytes, text, raw (structured) and object; with a size.
_DTYPE = re.compile(r'[biufcSUVO]\d{1,9}|\?|O')


class UnsafePickleError(RPSTNError, ValueError):
    """A pickle names or calls what is not allowed; nothing of it was executed."""


class StandIn:
    """What an allowed name stands for: a checked function, or only a mark that cannot be called.

    Slots and :meth:`__setstate__` keep a pickle from changing it.
    """

    __slots__ = ('function', 'name')
    __hash__ = None

    def __init__(self, name: str, function: Callable | None) -> None:
        self.name, self.function = name, function

    def __call__(self, *args: Any) -> Any:
        try:
            if self.function is None:
                raise TypeError('not called in any pickle of plain data')
            return self.function(*args)
        except Exception as error:  # whatever hostile arguments can make NumPy raise
            raise UnsafePickleError(
                f"'{self.name}' is called with unexpected arguments: {error}"
            ) from error

    def __setstate__(self, state: Any) -> NoReturn:
        raise UnsafePickleError(f"the state of '{self.name}' itself is set, which is refused")


class Unfinished:
    """Something under construction; unhashable, so it cannot hide in a set or as a key."""

    __slots__ = ()
    __hash__ = None
    name = ''

    def __setstate__(self, state: Any) -> None:
        try:
            self.set_state(state)
        except Exception as error:  # whatever a hostile state can make NumPy raise
            raise UnsafePickleError(f"'{self.name}' has an unexpected state: {error}") from error

    def set_state(self, state: Any) -> None:
        """Take over what the pickle gives, after checking it."""
        raise NotImplementedError


class PickledDType(Unfinished):
    """A data type under construction."""

    __slots__ = ('dtype',)
    name = 'numpy.dtype'

    def __init__(self, spec: str | bytes, align: bool = False, copy: bool = True) -> None:
        spec = spec.decode('ascii') if isinstance(spec, bytes) else spec
        if not (isinstance(spec, str) and _DTYPE.fullmatch(spec)):
            raise ValueError(f'data type {spec!r}')
        self.dtype = np.dtype(spec)

    def set_state(self, state: tuple) -> None:
        version, order, subarray, names, fields, itemsize, *_ = state
        metadata = state[8] if len(state) > 8 else None
        if version not in (3, 4) or metadata:
            raise ValueError(f'version {version}, metadata {metadata!r}')
        if subarray is not None:
            base, shape = subarray
            self.dtype = np.dtype((_dtype(base), _shape(shape)))
        elif names is not None:  # NumPy checks the offsets, and that no two fields share objects
            formats, offsets = zip(*(fields[name] for name in names))
            self.dtype = np.dtype(
                dict(
                    names=list(names),
                    formats=list(map(_dtype, formats)),
                    offsets=list(offsets),
                    itemsize=itemsize,
                )
            )
        else:
            order = order.decode('ascii') if isinstance(order, bytes) else order
            self.dtype = self.dtype.newbyteorder(order)


class PickledArray(Unfinished):
    """An array under construction."""

    __slots__ = ('array', 'items')
    name = 'numpy.ndarray'

    def __init__(self) -> None:
        self.array, self.items = None, None

    def set_state(self, state: tuple) -> None:
        *_, shape, dtype, fortran, data = state
        self.fill(data, dtype, shape, 'F' if fortran else 'C')

    def fill(self, data: Any, dtype: Any, shape: Any, order: str) -> PickledArray:
        """Set the contents: raw bytes, or a list of items where the data type is object."""
        dtype, shape = _dtype(dtype), _shape(shape)
        if dtype == np.dtype(object):
            if type(data) is not list or len(data) != math.prod(shape):
                raise ValueError(f'an object array of shape {shape} with other contents')
            # The items are put in once the pickle has ended and they are finished.
            self.array, self.items = np.empty(len(data), object).reshape(shape), data
        else:
            self.array = _numbers(data, dtype, shape).reshape(shape, order=order).copy('K')
        return self


class Unhashable(type):
    """A class that cannot be in a set or a key itself."""

    __hash__ = None


class PickledObject(Unfinished, metaclass=Unhashable):
    """An instance of an allowed class: nothing but its name and its state."""

    __slots__ = ('state',)
    build: Callable[[Any], Any]

    def set_state(self, state: Any) -> None:
        self.state = state


def _dtype(value: Any) -> np.dtype:
    if not isinstance(value, PickledDType):
        raise ValueError(f'a data type is expected, not {type(value).__name__}')
    return value.dtype


def _shape(shape: Any) -> tuple[int, ...]:
    if type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f'the array shape {shape!r}')
    return shape


def _numbers(data: Any, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """A flat view of raw bytes, whose number must be the one that shape and type need."""
    data = data.encode('latin1') if isinstance(data, str) else data  # Python 2's bytes
    if not isinstance(data, bytes | bytearray) or dtype.hasobject or not dtype.itemsize:
        raise ValueError(f'{type(data).__name__} as contents of {dtype}')
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f'{len(data)} bytes for shape {shape} of {dtype}')
    return np.frombuffer(data, dtype) if data else np.empty(0, dtype)


def _reconstruct(subtype: Any, shape: Any, typecode: Any) -> PickledArray:
    if not (isinstance(subtype, StandIn) and subtype.name == 'numpy.ndarray'):
        raise TypeError('the class is not numpy.ndarray')
    return PickledArray()


def _frombuffer(data: Any, dtype: Any, shape: Any, order: str, axes: Any = None) -> PickledArray:
    array = PickledArray().fill(data, dtype, shape, 'F' if order == 'F' else 'C')
    if axes is not None:  # NumPy 2.3 keeps the order in memory of transposed arrays
        array.array = array.array.transpose(_shape(axes))
    return array


def _scalar(dtype: Any, data: Any) -> np.generic:
    return _numbers(data, _dtype(dtype), ())[0]


def _encode(text: str, encoding: str) -> bytes:
    if encoding not in ('latin1', 'latin-1') or not isinstance(text, str):
        raise ValueError(f'encoding {encoding!r}')
    return text.encode('latin1')


def _of(kind: type, *allowed: type) -> Callable:
    """``kind()`` or ``kind(one)`` where one is of the allowed types (never a size)."""

    def make(*args: Any) -> Any:
        if len(args) > 1 or not all(type(arg) in allowed for arg in args):
            raise TypeError(f'{[type(arg).__name__ for arg in args]}')
        return kind(*args)

    return make


def _complex(real: float, imag: float) -> complex:
    return complex(float(real), float(imag))


def _reconstructor(cls: Any, base: Any, state: Any) -> PickledObject:
    if not (isinstance(cls, type) and issubclass(cls, PickledObject)) or state is not None:
        raise TypeError('not an allowed class')
    return cls()


def plain_names() -> dict[str, StandIn]:
    """'module.name' -> what answers to it, for containers, numbers and arrays."""
    names: dict[str, Callable | None] = {
        'numpy.ndarray': None,
        'numpy.dtype': PickledDType,
        '_codecs.encode': _encode,
    }
    for core in ('numpy.core', 'numpy._core'):
        names |= {
            f'{core}.multiarray._reconstruct': _reconstruct,
            f'{core}.multiarray.scalar': _scalar,
            f'{core}.numeric._frombuffer': _frombuffer,
        }
    for builtins in ('builtins', '__builtin__'):
        names |= {
            f'{builtins}.set': _of(set, list, tuple),
            f'{builtins}.bytes': _of(bytes, bytes),
            f'{builtins}.frozenset': _of(frozenset, list, tuple),
            f'{builtins}.bytearray': _of(bytearray, bytes),
            f'{builtins}.complex': _complex,
        }
    return {name: StandIn(name, function) for name, function in names.items()}


def object_names(allow: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """'module.name' -> what answers to it, for instances of the allowed classes.

    The classes are made anew at each call, so that nothing outlives one pickle.
    """
    names: dict[str, Any] = {
        name: Unhashable(
            'Allowed', (PickledObject,), dict(__slots__=(), name=name, build=staticmethod(build))
        )
        for name, build in allow.items()
    }
    if allow:  # how protocols 0 and 1 make any instance: _reconstructor(class, object, None)
        for copyreg, builtins in (('copyreg', 'builtins'), ('copy_reg', '__builtin__')):
            names[f'{copyreg}._reconstructor'] = StandIn(
                f'{copyreg}._reconstructor', _reconstructor
            )
            names[f'{builtins}.object'] = StandIn(f'{builtins}.object', None)
    return names
