"""One code path for tensors and NumPy arrays, and square roots that can be differentiated at 0."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch import Tensor


def numpy_too(function: Callable) -> Callable:
    """Let a function of tensors take NumPy arrays instead; its tensors then come back as arrays.

    The memory is shared, not copied, where the array allows it, so the function must not write
    into what it is given.

    Raises:
        TypeError: arrays and tensors are mixed.
    """

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        given = (*args, *kwargs.values())
        if not any(isinstance(value, np.ndarray) for value in given):
            return function(*args, **kwargs)
        if any(isinstance(value, Tensor) for value in given):
            raise TypeError(f'{function.__name__} takes either NumPy arrays or tensors, got both')
        result = function(
            *map(_to_tensor, args), **{name: _to_tensor(value) for name, value in kwargs.items()}
        )
        return tuple(map(_to_array, result)) if isinstance(result, tuple) else _to_array(result)

    return wrapper


def _to_tensor(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    # torch knows no negative strides, no foreign byte order, and warns of read-only memory.
    native = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder('='))
    return torch.from_numpy(native if native.flags.writeable else native.copy())


def _to_array(value: Any) -> Any:
    return value.numpy() if isinstance(value, Tensor) else value


def check_floating(values: Tensor, name: str) -> None:
    """Refuse, with a TypeError, what is no tensor or array of real floating-point numbers."""
    if not isinstance(values, Tensor) or not values.is_floating_point():
        got = f'dtype {values.dtype}' if isinstance(values, Tensor) else type(values).__name__
        raise TypeError(
            f'{name} must be a NumPy array or tensor of floating-point numbers, got {got}'
        )


def safe_sqrt(squares: Tensor) -> Tensor:
    """Square root of values >= 0 whose gradient is 0, not infinite, at 0."""
    zero = squares == 0
    return squares.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)


def safe_norm(vectors: Tensor, keepdim: bool = False) -> Tensor:
    """Euclidean length along the last axis, by :func:`safe_sqrt`."""
    return safe_sqrt(vectors.square().sum(-1, keepdim=keepdim))
