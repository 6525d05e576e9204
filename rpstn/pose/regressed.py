"""What steppers know of crops beside their heatmaps, by what BlazePose regresses of them.

:mod:`.alignment`, :mod:`.presence` and :mod:`.world` say what it means.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from torch import Tensor


def regressed_names(stepper: object) -> Collection[str]:
    """What a :class:`.streaming.steppers.Stepper` knows; one that wraps another hands it on."""
    return getattr(stepper, 'regressed', {}).keys()


def regressed(stepper: object, name: str) -> np.ndarray:
    """Of the crops that a stepper looked at last, in their order, (N, ...) float64.

    Raises:
        KeyError: it does not know such a thing.
    """
    found = getattr(stepper, 'regressed', {})[name]
    return np.asarray(found.float().cpu() if isinstance(found, Tensor) else found, np.float64)
