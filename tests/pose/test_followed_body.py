"""The body that follows joints: round and round, and through joints that are wild or unsure."""

import math

import numpy as np
import pytest

from rpstn.pose.bodies import Body, BodyJoints, box_of_body
from rpstn.pose.followed_body import FollowedBody, box_about

PARTS = BodyJoints((0, 1), (2, 3))
# Hips, shoulders, head, elbows, knees, ankles, about the hips' middle.
STANDING = np.array(
    [(-8, 0), (8, 0), (-12, -35), (12, -35), (0, -52), (-22, -18), (22, -18)]
    + [(-9, 30), (9, 30), (-10, 60), (10, 60)],
    float,
)
SURE = np.ones(len(STANDING))
SIZE = (320, 240)
CENTER = np.array([150.0, 120])


def turned(degrees: float, points: np.ndarray = STANDING) -> np.ndarray:
    """Clockwise about the hips, as seen on the screen."""
    sin, cos = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    return points @ np.array([[cos, sin], [-sin, cos]]) + CENTER


def apart(a: float, b: float) -> float:
    """Between two angles, degrees."""
    return abs(math.remainder(a - b, 360))


def started(points: np.ndarray | None = None) -> FollowedBody:
    follower = FollowedBody(PARTS)
    follower.update(turned(0) if points is None else points, SURE)
    return follower


@pytest.mark.parametrize('step', [7, -20, 44])
def test_a_body_is_followed_at_once_round_and_round_and_slowly_as_it_shrinks(step):
    follower = started()
    radius = follower.body.radius
    for t in range(1, 2 * 360 // abs(step) + 2):
        points = turned(step * t, STANDING * (1 + 0.5 * math.sin(t / 5))) + 2 * t
        follower.update(points, SURE)
        body = follower.body
        assert body.center == pytest.approx(CENTER + 2 * t)
        radius = max(np.linalg.norm(points - body.center, axis=1).max(), 0.995 * radius)
        assert body.radius == pytest.approx(radius)
        assert apart(math.degrees(body.angle), step * t) < 1e-6


def test_what_is_found_first_is_taken_as_it_is_and_changes_are_limited_from_then_on():
    for place in (None, np.array([0, 0, 30, 20.0]), Body(np.zeros(2), 300.0, 3.0)):
        follower = FollowedBody(PARTS, place)
        follower.update(turned(100), SURE)
        assert follower.body.center == pytest.approx(CENTER)
        assert apart(math.degrees(follower.body.angle), 100) < 1e-6
    before = follower.body
    follower.update(1.5 * (turned(-70) - CENTER) + CENTER + 60, SURE)
    assert np.linalg.norm(follower.body.center - before.center) == pytest.approx(before.radius / 2)
    assert follower.body.radius == pytest.approx(before.radius * 4 / 3)
    assert apart(math.degrees(follower.body.angle), 100) == pytest.approx(45)
    follower.update(np.zeros_like(STANDING) + follower.body.center, SURE)
    assert follower.body.radius == pytest.approx(before.radius * 4 / 3 * 0.995)


def test_a_trunk_that_points_at_the_camera_does_not_turn_the_crop():
    follower = started(turned(30))
    short = STANDING.copy()
    for up in (-35, -20, -12, -5, 3, 5, -3):
        short[2:4, 1] = up
        follower.update(turned(30, short), SURE)
        assert apart(math.degrees(follower.body.angle), 30) < 1e-6
    short[2:4, 1] = 30  # bent over: upside down it is, but not all at once
    for expected in (45, 90, 135, 180):
        follower.update(turned(30, short), SURE)
        assert apart(math.degrees(follower.body.angle), 30) == pytest.approx(expected)


@pytest.mark.parametrize('wild', range(len(STANDING)))
def test_one_wild_joint_moves_the_crop_little(wild):
    follower = started()
    before = follower.body
    points = turned(0) + 3
    points[wild] = (900, -700)
    for _ in range(5):
        follower.update(points, SURE)
    body = follower.body
    assert np.linalg.norm(body.center - CENTER - 3) < 1
    assert before.radius * 0.9 < body.radius < before.radius * 1.6
    assert apart(math.degrees(body.angle), 0) < 10


def test_unsure_hips_move_with_what_is_sure_and_the_radius_stays():
    follower = started(turned(20))
    before = follower.body
    scores = np.where(np.arange(len(STANDING)) < 2, 0.0, 0.9)
    for t in range(1, 10):
        follower.update(turned(20) + (4 * t, t), scores)
        assert follower.body.center == pytest.approx(CENTER + (4 * t, t))
        assert apart(math.degrees(follower.body.angle), 20) < 1e-6
    few = np.where(np.arange(len(STANDING)) < 5, 0.9, 0.0)
    for _ in range(9):
        follower.update(turned(20), few)
    assert follower.body.radius == pytest.approx(before.radius)
    assert follower.body.center == pytest.approx(CENTER)
    for _ in range(9):
        follower.update(turned(20), np.where(np.arange(len(STANDING)) < 8, 0.9, 0.0))
    assert follower.body.radius == pytest.approx(0.995**9 * before.radius), 'enough to go by'


@pytest.mark.parametrize('sure', [0, 2, 3])
def test_with_hardly_a_joint_sure_the_person_is_lost_and_what_is_found_then_is_taken(sure):
    follower = started()
    follower.update(turned(0), np.where(np.arange(len(STANDING)) < sure, 0.9, 0.0))
    assert follower.lost
    whole = follower.current(SIZE)
    assert (whole.center.tolist(), whole.radius) == ([159.5, 119.5], 159.5)
    follower.update(turned(150) + 40, SURE)
    assert not follower.lost and apart(math.degrees(follower.body.angle), 150) < 1e-6
    assert follower.body.center == pytest.approx(CENTER + 40)


def test_joints_that_are_no_numbers_count_as_unsure():
    follower = started()
    points = turned(0)
    points[[0, 9]] = np.nan
    follower.update(points, SURE)
    assert follower.body.center == pytest.approx(CENTER)
    follower.update(np.full_like(points, np.nan), SURE)
    assert follower.lost


def test_it_neither_collapses_nor_runs_away():
    rng = np.random.default_rng(0)
    follower = started()
    for scale in [0.01] * 30 + [1000] * 30 + list(rng.uniform(0, 50, 100)):
        before = follower.current(SIZE)
        follower.update(before.center + rng.normal(0, scale, STANDING.shape), SURE)
        body = follower.current(SIZE)
        assert 0.025 * 320 - 1e-6 <= body.radius <= 320
        assert (body.center >= -body.radius / 2).all()
        assert (body.center <= np.array(SIZE) - 1 + body.radius / 2).all()
        assert abs(body.angle) <= math.pi


def test_the_box_that_is_answered_is_that_of_the_joints():
    body = Body(CENTER, 60.0, 0.5)
    box = box_about(body, turned(0), SURE, 0.3, SIZE)
    np.testing.assert_allclose(box, (128 - 4.4, 68 - 11.2, 172 + 4.4, 180 + 11.2), rtol=1e-6)
    scores = np.where(np.arange(len(STANDING)) < 2, 0.9, 0.1)
    np.testing.assert_allclose(
        box_about(body, turned(0), scores, 0.3, SIZE), box_of_body(body), rtol=1e-6
    )
    cut = box_about(body, turned(0) - (150, 0), SURE, 0.3, SIZE)
    assert cut[0] == 0 and cut.dtype == np.float32
    given = np.array([1, 2, 3, 4.0])
    assert box_about(given, turned(0), SURE, 0.3, SIZE) is given
