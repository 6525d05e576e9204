"""Where the next crop belongs, as BlazePose's regression says of the crops just looked at.

Bazarevsky et al., BlazePose, 2020, https://arxiv.org/abs/2006.10204: of its 39 landmarks two are no
joints but say where the body is, the middle of the hips and a point above it on the circle about
the body. They may lie outside of the crop, and know of legs that a table hides, as joints read from
heatmaps do not. MediaPipe's crops follow them.

Shapes: N crops, L = 39 landmarks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from .bodies import LEAST_RADIUS, Body
from .crops import Crop
from .models.blazepose_head import LANDMARKS, NUM_JOINTS
from .regressed import regressed, regressed_names

ALIGNMENT = 'alignment'
"""What a stepper's ``regressed`` calls the two points: (N, 4), x y of the middle and x y of the
point on the circle, in pixels of the crops, from their corners."""


def alignment_points(landmarks: Tensor) -> Tensor:
    """The points (N, 4) among the landmarks that are regressed, (N, 5 L, 1, 1)."""
    return landmarks.reshape(-1, LANDMARKS, 5)[:, NUM_JOINTS : NUM_JOINTS + 2, :2].flatten(1)


def aligned_bodies(stepper: object, crops: Sequence[Crop]) -> list[Body | None]:
    """Where the bodies are in the image, of the crops that a stepper looked at last, in their
    order; None where it knows no such points.

    Args:
        stepper: :class:`.streaming.steppers.Stepper`.
    """
    if ALIGNMENT not in regressed_names(stepper):
        return [None] * len(crops)
    pairs = regressed(stepper, ALIGNMENT).reshape(-1, 2, 2)
    return [_body(crop, pair) for crop, pair in zip(crops, pairs, strict=True)]


def _body(crop: Crop, pair: np.ndarray) -> Body | None:
    """Of two points (2, 2); None where they are no numbers, as of damaged weights."""
    if not np.isfinite(pair).all():
        return None
    middle, top = crop.to_image(pair - 0.5)  # from the centre of the first pixel
    x, y = (top - middle).tolist()
    return Body(middle, max(math.hypot(x, y), LEAST_RADIUS), math.atan2(x, -y))
