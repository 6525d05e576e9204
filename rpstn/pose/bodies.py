"""Bodies: where a person's hips are, how far the body reaches from them, and which way it points.

What BlazePose's crops are cut by (Bazarevsky et al., BlazePose, 2020,
https://arxiv.org/abs/2006.10204): a person in any position then looks much the same.

Points are x y, in 0-based image pixels. Shapes: K joints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rpstn.errors import SettingError

HIPS = ('left_hip', 'right_hip')
SHOULDERS = ('left_shoulder', 'right_shoulder')
FARTHEST = 1.5
"""Times as far as the third farthest joint, at most: one wild joint, or two, make no large crop."""
LEAST_RADIUS = 1.0
BODY = (0.8, 0.3)
"""Semi-axes, along and across the body, of an ellipse about the hips' centre, as shares of the
radius: of those tried, its upright box fits JHMDB's training joints best (mean IoU 0.61 with the
joints' own box; 0.25 of the square about the circle)."""


@dataclass(frozen=True, eq=False)
class Body:
    """The circle about the hips that holds a body, and the direction from hips to shoulders."""

    center: np.ndarray
    """(2,) of the hips."""
    radius: float
    """Of the circle, pixels."""
    angle: float = 0.0
    """Radians by which the body is turned clockwise; 0 is upright."""


@dataclass(frozen=True)
class BodyJoints:
    """Which of K joints are hips and shoulders."""

    hips: tuple[int, int]
    shoulders: tuple[int, int]

    @classmethod
    def of(cls, names: Sequence[str]) -> BodyJoints:
        """Those of joints with these names.

        Raises:
            SettingError: one of the four has none.
        """
        missing = [name for name in HIPS + SHOULDERS if name not in names]
        if missing:
            raise SettingError(
                f'crops about bodies need hips and shoulders; no {", ".join(missing)} '
                f'among the joints {", ".join(names)}'
            )
        index = list(names).index
        return cls((index(HIPS[0]), index(HIPS[1])), (index(SHOULDERS[0]), index(SHOULDERS[1])))

    def body(self, joints: np.ndarray, used: np.ndarray) -> Body | None:
        """The body that some of the joints show.

        Without a hip its centre is the middle of all, without a shoulder, or where shoulders lie
        upon hips, it counts as upright.

        Args:
            joints: (K, 2).
            used: (K,) bool.

        Returns:
            None if fewer than three joints are to be used.
        """
        if used.sum() < 3:
            return None
        hips, shoulders = (
            joints[[part for part in parts if used[part]]] for parts in (self.hips, self.shoulders)
        )
        center = hips.mean(axis=0) if len(hips) else joints[used].mean(axis=0)
        x, y = shoulders.mean(axis=0) - center if len(hips) and len(shoulders) else (0.0, -1.0)
        angle = float(np.arctan2(x, -y)) if np.hypot(x, y) > 0 else 0.0
        return Body(center, circle_radius(joints[used], center), angle)


def circle_radius(points: np.ndarray, center: np.ndarray) -> float:
    """Of the circle about a centre (2,) that holds all points (N, 2), N >= 3, but wild ones."""
    far = np.sort(np.linalg.norm(points - center, axis=-1))
    return float(max(min(far[-1], FARTHEST * far[-3]), LEAST_RADIUS))


def body_of_box(box: np.ndarray) -> Body:
    """An upright body in the middle of a box (4,), about whose joints nothing is known."""
    low, high = np.asarray(box, float).reshape(2, 2)
    return Body((low + high) / 2, float(max((high - low).max() / 2, LEAST_RADIUS)))


def box_of_body(body: Body) -> np.ndarray:
    """The upright box (4,) about a body: about the ellipse of :data:`BODY`."""
    along, across = BODY
    sin, cos = math.sin(body.angle), math.cos(body.angle)
    reach = body.radius * np.array(
        [math.hypot(along * sin, across * cos), math.hypot(along * cos, across * sin)]
    )
    return np.concatenate([body.center - reach, body.center + reach])


Place = np.ndarray | Body
"""Where to look for a person: a box (4,), or a body."""


def box_of(place: Place) -> np.ndarray:
    """The upright box (4,) about where a person is."""
    return box_of_body(place) if isinstance(place, Body) else place


def middle_of(place: Place) -> np.ndarray:
    """(2,) of a box, or of a body's hips."""
    return place.center if isinstance(place, Body) else (place[:2] + place[2:]) / 2


def rotation_of(place: Place) -> float:
    """Degrees by which it is turned clockwise; boxes are not."""
    return math.degrees(place.angle) if isinstance(place, Body) else 0.0
