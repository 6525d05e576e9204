"""Colours of trunks: known histograms, when people are somebody else, and where one looks."""

import math

import cv2
import numpy as np
import pytest

from rpstn.pose.appearance import BINS, Appearance, colours_of, trunk_of_body, trunk_of_joints
from rpstn.pose.bodies import Body, BodyJoints

HERE = Body(np.array([100.0, 80.0]), 40.0)
SQUARE = np.array([(20, 20), (60, 20), (60, 60), (20, 60)], float)
BLUE, RED, GREY = (150, 90, 80), (80, 90, 150), (120, 120, 120)


def plain(color, size=(200, 160)) -> np.ndarray:
    return np.full((size[1], size[0], 3), color, np.uint8)


def colours(color) -> np.ndarray:
    return colours_of(plain(color), SQUARE)


def test_the_histogram_is_of_what_lies_between_the_corners():
    image = plain(GREY)
    cv2.fillConvexPoly(image, SQUARE.astype(int), BLUE)
    inside = colours_of(image, SQUARE)
    assert inside.shape == BINS and inside.sum() == pytest.approx(1)
    np.testing.assert_array_equal(inside, colours(BLUE))
    image[40:] = RED
    half = colours_of(image, SQUARE)
    assert sorted(half[half > 0]) == pytest.approx([0.5, 0.5], abs=0.03)


@pytest.mark.parametrize('scale', [0.25, 1, 7])
def test_large_trunks_are_as_small_ones(scale):
    size = (int(200 * scale), int(160 * scale))
    image = plain(GREY, size)
    image[size[1] // 4 :] = RED  # half of the square
    found = colours_of(image, SQUARE * scale)
    assert sorted(found[found > 0]) == pytest.approx([0.5, 0.5], abs=0.06)


def test_what_is_outside_of_the_image_says_nothing():
    assert colours_of(plain(BLUE), SQUARE + 300) is None
    assert colours_of(plain(BLUE), SQUARE - 58) is None
    assert colours_of(plain(BLUE), SQUARE / 20) is None
    np.testing.assert_array_equal(colours_of(plain(BLUE), SQUARE - 30), colours(BLUE))


@pytest.mark.parametrize('color', [(46, 16, 200), (200, 60, 30), (60, 150, 0), (0, 255, 220)])
def test_strong_colours_are_colours(color):
    one = Appearance()
    one.see(colours(color), HERE)
    assert one.likeness(colours(color)) == pytest.approx(1)
    assert one.likeness(colours(GREY)) == 0


def test_likeness_is_bhattacharyyas():
    one = Appearance()
    assert one.likeness(colours(BLUE)) == 0
    one.see(colours(BLUE), HERE)
    assert one.likeness(colours(BLUE)) == pytest.approx(1)
    assert one.likeness(colours(RED)) == 0
    mixed = 0.36 * colours(BLUE) + 0.64 * colours(RED)
    assert one.likeness(mixed) == pytest.approx(0.6)
    expected = sum(math.sqrt(p * q) for p, q in zip(mixed.ravel(), colours(BLUE).ravel()))
    assert one.likeness(mixed) == pytest.approx(expected)


def test_one_looks_about_while_colours_are_others_and_then_gets_used_to_them():
    one = Appearance()
    one.see(colours(BLUE), HERE)
    looks = []
    for frame in range(1, Appearance.MOST + 1):
        one.see(colours(RED), HERE)
        if one.doubtful:
            looks.append(frame)
    assert looks == list(range(3, 51, 4))
    assert one.fits_better(colours(BLUE)) and not one.fits_better(colours(GREY))
    one.see(None, HERE)
    assert not one.doubtful and one.strange_for == Appearance.MOST + 1
    one.see(colours(RED), HERE)
    assert (
        not one.doubtful and one.strange_for == 0 and one.likeness(colours(RED)) == pytest.approx(1)
    )


def test_one_who_comes_back_is_no_longer_looked_for():
    one = Appearance()
    for color in (BLUE, RED, RED, BLUE, RED, RED):
        one.see(colours(color), HERE)
        assert not one.doubtful
    one.see(colours(RED), HERE)
    assert one.doubtful
    one.found()
    assert not one.doubtful


def test_colours_that_change_slowly_stay_the_persons():
    one = Appearance()
    for share in np.linspace(0, 1, 60):
        one.see((1 - share) * colours(BLUE) + share * colours(GREY), HERE)
        assert not one.doubtful
    assert one.likeness(colours(GREY)) > 0.9


def test_one_looks_only_where_the_person_was_last():
    one = Appearance()
    near, far = (Body(HERE.center + (x, 0), 40.0) for x in (79, 81))
    assert not one.reaches(near)  # never seen
    one.see(colours(BLUE), HERE)
    one.see(colours(RED), far)  # somebody else
    assert one.reaches(near) and not one.reaches(far)


@pytest.mark.parametrize('degrees', [0, 70, 180])
def test_trunks_lie_between_hips_and_shoulders_however_turned(degrees):
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    parts = BodyJoints((0, 1), (2, 3))
    # From the front, and from the side, whose shoulders and hips lie upon each other.
    front = np.array([(8, 0), (-8, 0), (12, -40), (-12, -40)]) @ turn
    side = np.array([(0, 0), (0, 0), (0, -40), (0, -40)]) @ turn
    for trunk in (
        trunk_of_joints(front, parts),
        trunk_of_joints(side, parts),
        trunk_of_body(Body(np.zeros(2), 80.0, angle)),
    ):
        upright = trunk @ turn.T
        hull = cv2.convexHull(upright.astype(np.float32))
        assert cv2.pointPolygonTest(hull, (0, -20), False) > 0
        assert (np.abs(upright[:, 0]) < 12).all() and np.ptp(upright[:, 0]) > 8
        assert upright[:, 1].min() >= -40 and upright[:, 1].max() <= 0
