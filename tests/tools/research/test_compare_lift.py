"""Measures of joints in space by known answers: knees, the vertical, frames that are missing."""

import numpy as np
import pytest

from compare_lift import errors_of, knee_flexion, rows_of, vertical_error
from four_cameras import Camera
from squat_bodies import SKELETON, joints_of, rotation, squat, squatting


@pytest.mark.parametrize('knee', [0, 30, 90, 140])
def test_flexion_is_the_departure_from_a_straight_leg(knee):
    turned = squatting(knee, 20) @ rotation('y', 35).T @ rotation('x', -20).T
    np.testing.assert_allclose(knee_flexion(turned[None], SKELETON), knee, atol=1e-4)


def test_errors_are_of_the_moments_that_were_seen():
    frames = np.array([0, 2])
    seen = joints_of(np.stack([squatting(50), squatting(70)]), frames=frames, times=frames / 25)
    errors = errors_of(seen, np.full((3, 2), 60.0))
    np.testing.assert_allclose(errors, [[-10, -10], [np.nan, np.nan], [10, 10]], atol=1e-4)


def test_the_vertical_is_compared_with_the_calibration():
    # Its world has z up, its axes are x right, y down, z ahead; it looks down by 15 degrees.
    level = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    flip = np.diag([1.0, -1, -1])
    looks = flip @ rotation('x', 15) @ flip @ level
    camera = Camera(np.eye(3), np.zeros(5), np.column_stack([looks, [0, 0, 4]]))
    seen = joints_of(squat() @ rotation('x', 15).T)
    assert vertical_error(seen, camera) < 1
    assert vertical_error(joints_of(squat() @ rotation('x', 25).T), camera) == pytest.approx(
        10, abs=1
    )
    assert np.isnan(vertical_error(joints_of(squat()[:2]), camera))
    row = rows_of('name', [seen], [camera], np.full((50, 2), 45.0))
    assert row[0] == 'name' and len(row) == 6 and row[-1] == '0'
