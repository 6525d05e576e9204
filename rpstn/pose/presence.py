"""Whether crops show anybody, as BlazePose's regression says of the crops just looked at.

Bazarevsky et al., BlazePose, 2020, https://arxiv.org/abs/2006.10204: its flag of presence, by which
MediaPipe gives up whom it follows. Heatmaps may have peaks where there is nobody; it seldom is
above a half there.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from .regressed import regressed, regressed_names

PRESENCE = 'presence'
"""What a stepper's ``regressed`` calls it: (N, 1), probabilities."""


def presence_of(logits: Tensor) -> Tensor:
    """Probabilities (N, 1) of what is regressed, (N, 1, 1, 1)."""
    return logits.flatten(1).sigmoid()


def presences(stepper: object) -> np.ndarray | None:
    """Probabilities (N,) that there is a person, of the crops that a stepper looked at last, in
    their order; None where it knows none.

    Args:
        stepper: :class:`.streaming.steppers.Stepper`.
    """
    if PRESENCE not in regressed_names(stepper):
        return None
    return regressed(stepper, PRESENCE)[:, 0]
