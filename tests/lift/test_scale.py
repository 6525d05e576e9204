"""A stated height makes a body's segments as long as such a body's are."""

import numpy as np
import pytest

from rpstn.errors import SettingError
from rpstn.lift import LiftError, scaled_to_height

from squat_bodies import HEIGHT, SKELETON, joints_of, squat


@pytest.mark.parametrize('factor', [0.5, 1.0, 3.0])
def test_the_height_of_a_body_of_those_shares_comes_back(factor):
    scaled = scaled_to_height(joints_of(squat() * factor), HEIGHT)
    assert scaled.scale == 'height'
    np.testing.assert_allclose(scaled.joints, squat(), atol=1e-9)


def test_hidden_segments_and_wild_frames_do_not_count():
    poses = squat()
    poses[:, SKELETON.index('left_ankle')] = np.nan
    poses[5] *= 10
    scaled = scaled_to_height(joints_of(poses), HEIGHT)
    knee = SKELETON.index('right_knee')
    np.testing.assert_allclose(scaled.joints[20, knee], squat()[20, knee], atol=1e-9)


def test_what_was_measured_stays():
    seen = joints_of(squat(), scale='metric')
    assert scaled_to_height(seen, 1.5) is seen


@pytest.mark.parametrize('height', [0.99, 2.51, 180, float('nan')])
def test_a_height_that_nobody_has_is_refused(height):
    with pytest.raises(SettingError, match='height must be from 1 to 2.5 metres'):
        scaled_to_height(joints_of(squat()), height)


def test_a_body_without_segments_is_refused():
    with pytest.raises(LiftError, match='no thigh, shank or trunk'):
        scaled_to_height(joints_of(np.full((3, 33, 3), np.nan)), 1.8)
