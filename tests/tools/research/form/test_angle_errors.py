"""Errors of angles by known answers: exact joints have none, a trunk that leans more has that."""

import numpy as np
import pytest

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.form.angle_table import ANGLES, VIEWS, error_of, is_measured, margin_of
from rpstn.lift import Track

from four_cameras import Camera
from squat_bodies import SKELETON, rotation, squatting

FRAMES = 60
TO_WORLD = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # y up to z up, facing -y


@pytest.fixture
def tools(monkeypatch):
    monkeypatch.syspath_prepend('tools/research/form')
    import angle_errors

    import measured_angles

    return angle_errors, measured_angles


def camera(azimuth: float) -> Camera:
    """One that looks at the origin from 4 m away, by degrees to the side of who faces it."""
    sin, cos = np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))
    turn = np.array([[cos, sin, 0], [0, 0, -1], [-sin, cos, 0]])
    inner = np.array([[1000.0, 0, 500], [0, 1000, 500], [0, 0, 1]])
    return Camera(inner, np.zeros(5), np.column_stack([turn, [0, 0, 4]]))


def tracks(cameras: list[Camera], lean: float) -> list[Track]:
    """Of a body that squats, whose trunk the network sees lean more by some degrees."""
    body = squatting(70, 20)
    body = np.where(np.isnan(body), 0.3, body)
    wrong = body.copy()
    above = [SKELETON.index(f'{side}_shoulder') for side in ('left', 'right')]
    wrong[above] = wrong[above] @ rotation('x', lean).T
    found = []
    for one in cameras:
        turn, shift = one.extrinsics[:, :3], one.extrinsics[:, 3]
        seen = body @ TO_WORLD @ turn.T + shift
        image = seen[:, :2] / seen[:, 2:] * 1000 + 500
        world = wrong @ TO_WORLD @ turn.T
        many = (np.repeat(array[None], FRAMES, 0) for array in (image, np.ones(33), world))
        image, scores, world = many
        frames = np.arange(FRAMES)
        found.append(Track(image, scores, frames / 30, frames, SKELETON, world=world))
    return found


def test_exact_joints_have_no_error_and_only_views_that_were_seen_have_any(tools):
    cameras = [camera(azimuth) for azimuth in (-10, 15, 140)]
    errors = tools[1].errors_by_view(cameras, tracks(cameras, 0), 'blazepose')
    assert set(errors) == set(ANGLES)
    for key in ('knee_flexion', 'trunk_lean', 'shank_lean', 'hip_flexion', 'depth'):
        assert errors[key][:2] == pytest.approx([0, 0], abs=1e-4) and errors[key][2] is None


def test_a_trunk_that_leans_more_is_measured_and_its_legs_are_right(tools):
    cameras = [camera(azimuth) for azimuth in (0, 45, 75)]
    errors = tools[1].errors_by_view(cameras, tracks(cameras, 12), 'blazepose')
    assert errors['trunk_lean'] == pytest.approx([12, 12, 12], abs=1e-3)
    assert errors['hip_flexion'] == pytest.approx([12, 12, 12], abs=1e-3)
    assert errors['knee_flexion'] == pytest.approx([0, 0, 0], abs=1e-3)


def test_views_are_folded_from_the_front_and_the_back(tools):
    numbers = tools[1].view_numbers(np.array([0.0, -29, 31, 59, 61, -90, 119, 130, 151, -180]))
    assert numbers.tolist() == [0, 0, 1, 1, 2, 2, 2, 1, 0, 0]


def test_what_was_not_measured_is_simulated_and_as_much_larger(tools):
    simulated = dict(knee=[1.0, 2.0, None], hip=[4.0, 4.0, 1.0])
    measured = dict(knee=[3.0, None, 5.0], hip=[8.0, 4.0, None])
    errors, known, ratio = tools[0].joined(simulated, measured)
    assert ratio == 2
    assert errors == dict(knee=[3.0, 4.0, None], hip=[8.0, 4.0, 2.0])
    assert known == dict(knee=[True, False, False], hip=[True, True, False])


def test_the_table_says_which_were_measured_and_margins_are_not_larger():
    for key in ANGLES:
        for view in VIEWS:
            assert margin_of(key, view) <= error_of(key, view)
            assert not (is_measured(key, view) and error_of(key, view) == float('inf'))
    assert is_measured('left_knee_flexion', 'front') and is_measured('trunk_lean', 'oblique')
    assert not is_measured('knee_flexion', 'side')
