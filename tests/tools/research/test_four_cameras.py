"""Triangulation and reprojection by known answers, and the calibration of the four cameras."""

import cv2
import numpy as np
import pytest

from rpstn.data.paths import find_data

from four_cameras import Camera, read_cameras, reprojection_errors, triangulate


def camera(azimuth: float) -> Camera:
    """One that looks at the origin from 4 m away, with some distortion."""
    sin, cos = np.sin(azimuth), np.cos(azimuth)
    turn = np.array([[cos, sin, 0], [0, 0, -1], [-sin, cos, 0]])  # z of the world is up
    return Camera(
        np.array([[1500.0, 0, 500], [0, 1510, 900], [0, 0, 1]]),
        np.array([-0.05, 0.1, 0.001, 0.0005, 0]),
        np.column_stack([turn, [0, 0, 4]]),
    )


CAMERAS = [camera(a) for a in (0.0, 1.2, 2.6, 4.5)]
WORLD = np.random.default_rng(0).uniform(-1, 1, (7, 5, 3))


def seen(camera: Camera) -> np.ndarray:
    turn, shift = camera.extrinsics[:, :3], camera.extrinsics[:, 3]
    pixels, _ = cv2.projectPoints(
        WORLD.reshape(-1, 3), cv2.Rodrigues(turn)[0], shift, camera.intrinsics, camera.distortion
    )
    return pixels.reshape(7, 5, 2)


def test_points_come_back_and_have_no_error():
    pixels = np.stack([seen(c) for c in CAMERAS])
    found = triangulate(np.stack([c.normalized(p) for c, p in zip(CAMERAS, pixels)]), CAMERAS)
    assert found == pytest.approx(WORLD, abs=1e-5)
    assert reprojection_errors(pixels, CAMERAS).max() < 0.01


def test_a_joint_that_one_camera_sees_elsewhere_shows_in_all_errors():
    pixels = np.stack([seen(c) for c in CAMERAS])
    pixels[1, 3, 2] += [30, 0]
    errors = reprojection_errors(pixels, CAMERAS)
    assert errors[:, 3, 2].sum() > 15 and errors[1, 3, 2] > 8
    errors[:, 3, 2] = 0
    assert errors.max() < 0.01


def test_the_calibration_is_read():
    try:
        path = next(find_data('four_cameras').glob('*.qca.txt'))
    except FileNotFoundError as error:
        pytest.skip(str(error))
    cameras = read_cameras(path)
    assert len(cameras) == 4
    for found in cameras:
        turn = found.extrinsics[:, :3]
        assert turn @ turn.T == pytest.approx(np.eye(3), abs=1e-6)
        assert np.linalg.det(turn) == pytest.approx(1)
        # All look at the middle of the room, where the person walks, 1 m above the ground.
        ahead = found.extrinsics @ [0, 0, 1, 1]
        assert ahead[2] > 1.5
        assert abs(ahead[0] / ahead[2]) < 0.5 and abs(ahead[1] / ahead[2]) < 0.6
