"""A body of coloured dots, for tests of upright crops, and a finder that is told who is there."""

import math

import numpy as np

from rpstn.pose.bodies import Body, BodyJoints
from rpstn.pose.finders import FoundPerson

BODY = dict(
    left_hip=(1, 0, 0),
    right_hip=(0, 1, 0),
    left_shoulder=(0, 0, 1),
    right_shoulder=(1, 1, 0),
    head=(1, 0, 1),
    left_ankle=(0, 1, 1),
    right_ankle=(1, 1, 1),
)
"""Its joints -> their colours, B, G, R."""
PARTS = BodyJoints.of(list(BODY))
# Hips, shoulders, head, ankles.
STANDING = np.array(
    [(10, 0), (-10, 0), (13, -27), (-13, -27), (0, -45), (11, 50), (-11, 50)], float
)


def person(degrees: float = 0.0, at=(160, 120), scale: float = 1.0) -> np.ndarray:
    """Joints (7, 2), turned clockwise about the hips as seen on the screen."""
    sin, cos = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    return scale * STANDING @ np.array([[cos, sin], [-sin, cos]]) + at


def body(joints: np.ndarray) -> Body:
    """That these joints, all sure, show."""
    return PARTS.body(joints, np.ones(len(joints), bool))


class Seen:
    """A finder that is told what to find."""

    def __init__(self, *people: FoundPerson) -> None:
        self.people = list(people)

    def observe(self, image, stream) -> None:
        """Nothing."""

    def find(self, image, stream) -> list[FoundPerson]:
        """Those."""
        return self.people

    def forget(self, stream) -> None:
        """Nothing."""
