"""Which way is up: found to the degree where somebody stands, and not claimed where nobody does."""

import numpy as np
import pytest

from rpstn.errors import SettingError
from rpstn.lift import upright
from rpstn.lift.vertical import ANKLES_OFF, MOST_TURNED, found_vertical, rotation_to_y

from squat_bodies import SKELETON, joints_of, rotation, squat, squatting

UP = np.array([0.0, 1.0, 0.0])


@pytest.mark.parametrize('seed', range(5))
def test_the_rotation_is_one_takes_up_to_y_and_turns_no_further(seed):
    up = np.random.default_rng(seed).normal(size=3)
    up[1] = abs(up[1])
    up /= np.linalg.norm(up)
    matrix = rotation_to_y(up)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)
    np.testing.assert_allclose(matrix @ up, UP, atol=1e-12)
    turned = np.degrees(np.arccos((np.trace(matrix) - 1) / 2))
    assert turned == pytest.approx(np.degrees(np.arccos(up[1])))


@pytest.mark.parametrize(('pitch', 'roll'), [(0, 0), (20, 0), (-10, 5), (15, -20)])
def test_it_is_found_while_somebody_stands(pitch, roll):
    camera = rotation('x', pitch) @ rotation('z', roll)
    noise = np.random.default_rng(0).normal(scale=0.01, size=(50, 33, 3))
    seen = joints_of(squat() @ camera.T + noise)
    found = found_vertical(seen)
    assert np.degrees(np.arccos(found @ camera @ UP)) < 1.5
    straight = upright(seen)
    assert straight.upright
    trunk = straight.joint('shoulder')[0] - straight.joint('ankle')[0]
    assert np.degrees(np.arccos(trunk[1] / np.linalg.norm(trunk))) < 2


def test_it_is_not_claimed_where_nobody_stands():
    squats = np.repeat(squatting(90, 30)[None], 50, axis=0)
    plank = squat() @ rotation('z', MOST_TURNED + 5).T
    leaning = np.repeat(squatting(0, 45)[None], 50, axis=0)
    moment = squat()[:4]
    for poses in (squats, plank, leaning, moment, np.full((50, 33, 3), np.nan)):
        seen = joints_of(poses)
        assert found_vertical(seen) is None
        assert upright(seen) is seen and not upright(seen).upright


@pytest.mark.parametrize('part', ['foot', 'ankles'])
def test_the_feet_can_contradict(part):
    poses = squat()
    if part == 'foot':
        toes = [SKELETON.index(f'{side}_foot_index') for side in ('left', 'right')]
        poses[:, toes, 1] += 0.15  # feet that point upwards
    else:
        rise = 0.2 * np.sin(np.radians(2 * ANKLES_OFF))
        poses[:, SKELETON.index('left_ankle'), 1] += rise
    assert found_vertical(joints_of(squat())) is not None
    assert found_vertical(joints_of(poses)) is None


def test_a_stated_tilt_goes_before_what_is_seen():
    camera = rotation('x', 20)  # looks down: their heads come nearer
    straight = upright(joints_of(np.repeat(squatting(90)[None], 3, 0) @ camera.T), tilt=20)
    assert straight.upright
    np.testing.assert_allclose(straight.joints, np.repeat(squatting(90)[None], 3, 0), atol=1e-12)


@pytest.mark.parametrize('tilt', [81, -90, float('nan')])
def test_a_tilt_that_cannot_be_is_refused(tilt):
    with pytest.raises(SettingError, match='tilt must be from -80 to 80 degrees'):
        upright(joints_of(squat()), tilt)


def test_what_is_upright_already_stays():
    seen = joints_of(squat(), upright=True)
    assert upright(seen, tilt=30) is seen
