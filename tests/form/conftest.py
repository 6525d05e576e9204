"""Simulated people as a camera gives them: x to its right, y up, z towards it, metres."""

import numpy as np
import pytest

from rpstn.form.angles import measure_angles
from rpstn.simulation.athletes.motion import MOTIONS
from rpstn.simulation.athletes.skeleton import JOINTS, Proportions
from rpstn.simulation.squats.observation import JointSensor
from rpstn.simulation.squats.squat import squat_joints
from rpstn.simulation.squats.squat_form import (
    SQUAT_CLASSES,
    SquatForm,
    SquatStyle,
    SquatTempo,
    random_body,
)
from rpstn.skeletons import get_skeleton

BLAZEPOSE = get_skeleton('blazepose33')
# From the world of the simulation, x ahead and z up, to a camera ahead.
FACING = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
_NAMES = {'head': 'nose', 'left_toe': 'left_foot_index', 'right_toe': 'right_foot_index'}


@pytest.fixture(scope='session')
def turned():
    """Joints turned about the vertical, degrees to the camera's right."""

    def turn(joints, degrees):
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        return joints @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])

    return turn


@pytest.fixture(scope='session')
def squatting():
    """(joints (T, 33, 3), times, how often) of a random person of a class, seen with noise."""

    def squat(seed, noise=0.0, fps=30, label=None, repetitions=None, **form):
        rng = np.random.default_rng(seed)
        number = int(rng.integers(1, 6)) if repetitions is None else repetitions
        body = random_body(rng)
        drawn = SquatForm.random(rng, label or str(rng.choice(SQUAT_CLASSES)))
        times, course = SquatTempo.random(rng, number).course(fps, rng)
        joints = squat_joints(
            body,
            SquatForm(**form) if form else drawn,
            times,
            course,
            SquatStyle.random(rng, body),
            seed,
            skeleton='blazepose33',
        )
        if not noise:
            return joints @ FACING, times, number
        sensor = JointSensor('around', noise=noise, bias=noise / 2, missing=0.02)
        return sensor.observe(joints, rng) * [1, -1, -1], times, number

    return squat


@pytest.fixture(scope='session')
def moving():
    """(angles, times) of ten seconds of a motion of rpstn.simulation, seen with noise."""

    def move(name, seed, noise=0.0):
        rng = np.random.default_rng(seed)
        times = np.arange(300) / 30
        posed = MOTIONS[name](rng, Proportions.random(rng), times)
        joints = np.full((300, 33, 3), np.nan)
        for number, joint in enumerate(JOINTS):
            joint = _NAMES.get(joint, joint)
            if joint in BLAZEPOSE.joints:
                joints[:, BLAZEPOSE.index(joint)] = posed.joints[:, number]
        seen = JointSensor('around', noise=noise).observe(joints, rng) * [1, -1, -1]
        return measure_angles(seen, BLAZEPOSE), times

    return move
