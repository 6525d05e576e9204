"""One-euro filter against the paper's algorithm, and what it does to jitter, lag and people."""

import math

import numpy as np
import pytest

from rpstn.inference.one_euro import OneEuroFilter, OneEuroSmoother
from rpstn.results import FrameResult, PersonResult


class PaperFilter:
    """Algorithm 1 and 2 of the paper's appendix, one number at a time, in its own terms."""

    def __init__(self, mincutoff: float, beta: float, dcutoff: float) -> None:
        self.mincutoff, self.beta, self.dcutoff = mincutoff, beta, dcutoff
        self.first, self.hatx, self.hatdx = True, 0.0, 0.0

    @staticmethod
    def alpha(rate: float, cutoff: float) -> float:
        tau = 1.0 / (2 * math.pi * cutoff)
        te = 1.0 / rate
        return 1.0 / (1.0 + tau / te)

    def filter(self, x: float, rate: float) -> float:
        if self.first:
            self.first, dx = False, 0.0
            self.hatx, self.hatdx = x, 0.0
            return x
        dx = (x - self.hatx) * rate
        a = self.alpha(rate, self.dcutoff)
        self.hatdx = a * dx + (1 - a) * self.hatdx
        a = self.alpha(rate, self.mincutoff + self.beta * abs(self.hatdx))
        self.hatx = a * x + (1 - a) * self.hatx
        return self.hatx


@pytest.mark.parametrize('settings', [(1.0, 0.0, 1.0), (0.3, 2.0, 1.0), (4.0, 0.5, 0.2)])
def test_equals_the_papers_algorithm(settings):
    """Coordinate by coordinate, at an uneven rate, with sizes as the unit of speed."""
    rng = np.random.default_rng(0)
    points, size = rng.normal(0, 20, (40, 3, 2)).cumsum(0), 50.0
    times = np.cumsum(rng.uniform(0.01, 0.1, 40))
    ours = OneEuroFilter(*settings)
    # In sizes, a filter of any unit is the paper's.
    paper = [[PaperFilter(*settings) for _ in range(2)] for _ in range(3)]
    for i, (frame, time) in enumerate(zip(points, times)):
        rate = 1 / (time - times[i - 1]) if i else 1.0
        expected = [
            [size * paper[k][c].filter(frame[k, c] / size, rate) for c in range(2)]
            for k in range(3)
        ]
        np.testing.assert_allclose(ours(frame, time, size), expected, rtol=1e-9)


def test_looks_back_only_and_keeps_what_stands_still():
    rng = np.random.default_rng(1)
    points = rng.normal(0, 5, (30, 4, 2))
    whole, part = OneEuroFilter(), OneEuroFilter()
    changed = np.concatenate([points[:20], points[20:] + 99])
    a = [whole(p, t / 25) for t, p in enumerate(points)]
    b = [part(p, t / 25) for t, p in enumerate(changed)]
    np.testing.assert_array_equal(a[:20], b[:20])
    still = OneEuroFilter()
    for t in range(10):
        np.testing.assert_allclose(still(points[0], t / 25), points[0])


def test_removes_jitter_and_follows_fast_motion_with_beta():
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 2, (200, 1, 2))
    smooth = OneEuroFilter(1.0, 5.0)
    quiet = np.array([smooth(100 + n, t / 25, 200.0) for t, n in enumerate(noise)])
    assert quiet[50:].std() < 0.5 * noise[50:].std()
    ramp = np.array([[[20.0 * t, 0.0]] for t in range(50)])  # 500 pixels a second
    lags = {}
    for beta in (0.0, 5.0):
        smooth = OneEuroFilter(1.0, beta)
        lags[beta] = float(
            ramp[-1, 0, 0] - [smooth(p, t / 25, 200.0) for t, p in enumerate(ramp)][-1][0, 0]
        )
    assert lags[0.0] > 70 and 0 <= lags[5.0] < 10


def test_is_the_same_at_any_resolution():
    rng = np.random.default_rng(3)
    points = rng.normal(0, 10, (20, 2, 2))
    near, far = OneEuroFilter(), OneEuroFilter()
    for t, p in enumerate(points):
        np.testing.assert_allclose(near(4 * p, t / 25, 400.0), 4 * far(p, t / 25, 100.0))


@pytest.mark.parametrize(
    ('settings', 'says'),
    [
        (dict(min_cutoff=0), 'min_cutoff must be above 0'),
        (dict(beta=-1), 'beta must be 0 or more'),
        (dict(derivative_cutoff=float('nan')), 'derivative_cutoff must be above 0'),
    ],
)
def test_settings_that_cannot_be(settings, says):
    with pytest.raises(ValueError, match=says):
        OneEuroSmoother(**settings)


def test_time_has_to_go_on():
    smooth = OneEuroFilter()
    smooth(np.zeros((1, 2)), 1.0)
    with pytest.raises(ValueError, match='time must go on, got 1.0 after 1.0'):
        smooth(np.zeros((1, 2)), 1.0)


def frame(index: int, *people: tuple) -> FrameResult:
    return FrameResult(
        index,
        index / 10,
        tuple(
            PersonResult(
                number, np.array([0.0, 0, 100, 100]), np.full((2, 2), float(x)), np.ones(2), state
            )
            for number, x, state in people
        ),
    )


def places(result: FrameResult) -> list[float]:
    return [person.keypoints[0, 0] for person in result.people]


def test_each_person_has_a_filter_that_is_new_after_a_gap_or_a_loss():
    smoother = OneEuroSmoother(patience=0.5)
    assert places(smoother(frame(0, (0, 10, 'started'), (3, 90, 'started')))) == [10, 90]
    first, second = places(smoother(frame(1, (0, 20, 'tracked'), (3, 80, 'started'))))
    assert 10 < first < 20 and 80 < second < 90
    # Person 3 is gone for 0.6 seconds, person 0 was lost.
    smoother(frame(2, (0, 500, 'lost')))
    for index in range(3, 7):
        smoother(frame(index))
    assert places(smoother(frame(7, (0, 40, 'started'), (3, 5, 'tracked')))) == [40, 5]


def test_who_is_found_elsewhere_is_not_dragged_there():
    for x, found in ((69, None), (72, 72)):  # along the diagonal; the box is 100
        smoother = OneEuroSmoother()
        smoother(frame(0, (0, 0, 'started')))
        (place,) = places(smoother(frame(1, (0, x, 'tracked'))))
        assert place == found if found else 0 < place < x


def test_who_has_left_is_forgotten():
    smoother = OneEuroSmoother()
    for index in range(300):
        smoother(frame(index, (index, 1, 'started')))
    assert len(smoother._filters) < 10
