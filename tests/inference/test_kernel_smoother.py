"""The kernel smoother against its formulas, one number at a time, and what it does to people."""

import math

import numpy as np
import pytest

from rpstn.errors import SettingError
from rpstn.inference.kernel_smoother import (
    FAR,
    NARROW,
    REACH,
    RIDGE,
    WIDE,
    KernelSmoother,
    smoothed_joints,
)
from rpstn.results import FrameResult, PersonResult

FPS = 30


def by_hand(times, keypoints, scores, at, size):
    """The formulas of the module, joint by joint, as least squares of rows."""
    frames, joints = scores.shape
    found = np.zeros((joints, 2))
    way = [(time - times[at]) / REACH for time in times]
    rows = np.array([[1, u, u * u] for u in way])
    for k in range(joints):
        sigma = NARROW + (WIDE - NARROW) * (1 - scores[at, k])
        near = [math.exp(-((REACH * u / sigma) ** 2) / 2) for u in (*way, 1)]
        robust = [1.0] * frames
        for _ in range(3):
            weights = [scores[j, k] ** 2 * (near[j] - near[-1]) * robust[j] for j in range(frames)]
            root = np.sqrt(weights)[:, None]
            still = math.sqrt(RIDGE) * np.eye(3)[1:]
            curve, *_ = np.linalg.lstsq(
                np.concatenate([root * rows, still]),
                np.concatenate([root * keypoints[:, k], np.zeros((2, 2))]),
                rcond=None,
            )
            robust = [
                1 / (1 + (math.dist(keypoints[j, k], rows[j] @ curve) / (FAR * size)) ** 2)
                for j in range(frames)
            ]
        found[k] = curve[0]
    return found


def test_equals_the_formulas():
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.01, 0.06, 9))
    keypoints = rng.normal(0, 20, (9, 4, 2)).cumsum(axis=0)
    scores = rng.uniform(0.01, 1, (9, 4))
    for at in (0, 4, 8):
        np.testing.assert_allclose(
            smoothed_joints(times, keypoints, scores, times[at], scores[at], 150.0),
            by_hand(times, keypoints, scores, at, 150.0),
            rtol=1e-9,
        )


def video(keypoints: np.ndarray, scores: np.ndarray, fps: float = FPS):
    """Results of one person of 200 pixels; joints (N, K, 2) and scores (N, K)."""
    box = np.array([0.0, 0, 100, 200])
    return [
        FrameResult(n, n / fps, (PersonResult(0, box, joints, sure),))
        for n, (joints, sure) in enumerate(zip(keypoints, scores))
    ]


def smoothed(keypoints: np.ndarray, scores: np.ndarray, **options) -> np.ndarray:
    return np.stack([r.keypoints[0] for r in KernelSmoother()(video(keypoints, scores, **options))])


def test_frames_come_in_order_with_boxes_scores_and_all_else_as_they_were():
    rng = np.random.default_rng(1)
    keypoints, scores = rng.normal(0, 9, (40, 3, 2)), rng.uniform(0, 1, (40, 3))
    before = video(keypoints, scores)
    after = list(KernelSmoother()(before))
    assert [(r.index, r.time) for r in after] == [(r.index, r.time) for r in before]
    for a, b in zip(before, after):
        assert a.people[0].box is b.people[0].box and a.people[0].scores is b.people[0].scores
        assert a.people[0].state == b.people[0].state
    times = np.arange(40) / FPS
    near = np.abs(times - times[17]) <= REACH
    np.testing.assert_allclose(
        after[17].keypoints[0],
        by_hand(times[near], keypoints[near], scores[near], int(near[:17].sum()), 200.0),
    )


def test_a_hidden_joint_is_told_from_before_and_after():
    """A knee that is guessed 60 pixels off, unsurely, of a steady motion, and no jump."""
    way = np.linspace(0, 160, 41)[:, None, None] * [[[1.0, 0.5]]]
    for hidden in (slice(18, 23), slice(13, 28)):
        guessed, scores = way.copy(), np.full((41, 1), 0.95)
        guessed[hidden] += (0, 60)
        scores[hidden] = 0.1
        found = smoothed(guessed, scores)
        assert np.abs(found - way)[hidden].max() < 15
        assert np.abs(np.diff(found, axis=0)).max() < 12
        sure = np.delete(np.arange(41), hidden)
        assert np.abs(found - way)[sure].max() < 5


def test_fast_motion_keeps_its_way():
    """A wrist that goes up and down twice a second, at no lag."""
    times = np.arange(90) / FPS
    way = 20 * np.sin(4 * np.pi * times)[:, None, None] * [[[0.0, 1.0]]]
    found = smoothed(way, np.full((90, 1), 0.95))[15:-15]
    assert 0.8 < np.ptp(found) / np.ptp(way) <= 1
    assert np.corrcoef(found[..., 1].ravel(), way[15:-15, :, 1].ravel())[0, 1] > 0.999


def test_a_wild_joint_counts_for_little_even_if_it_is_sure():
    still = np.full((21, 1, 2), 50.0)
    still[10] += 100
    found = smoothed(still, np.full((21, 1), 0.95))
    assert np.abs(np.delete(found, 10, axis=0) - 50).max() < 1


def test_what_moves_does_not_lag_and_jitter_goes():
    rng = np.random.default_rng(2)
    ramp = np.arange(60)[:, None, None] * [[[5.0, 0.0]]]  # 150 pixels a second
    sure = np.full((60, 1), 0.95)
    np.testing.assert_allclose(smoothed(ramp, sure)[12:-12], ramp[12:-12], atol=1e-6)
    noise = rng.normal(0, 2, (200, 1, 2))
    quiet = smoothed(100 + noise, np.full((200, 1), 0.95))
    assert quiet.std() < 0.6 * noise.std()


def test_seconds_count_and_not_frames():
    """The same motion, filmed at twice the rate."""
    times = np.arange(120) / 60
    way = 40 * np.sin(2 * np.pi * times)[:, None, None] * [[[1.0, -1.0]]]
    scores = np.full((120, 1), 0.4)
    fast = smoothed(way, scores, fps=60)
    slow = smoothed(way[::2], scores[::2], fps=30)
    np.testing.assert_allclose(fast[40:80:2], slow[20:40], atol=1)


def test_whoever_is_found_elsewhere_is_not_dragged_there():
    keypoints = np.zeros((20, 2, 2))
    keypoints[10:] = 300  # pixels; the box has 200
    unsure = np.full((20, 2), 0.3)
    np.testing.assert_allclose(smoothed(keypoints, unsure), keypoints, atol=1e-9)
    keypoints[10:] = 100
    assert np.abs(smoothed(keypoints, unsure) - keypoints).max() > 1


def test_everybody_is_smoothed_alone_and_who_has_left_is_forgotten():
    box, sure = np.array([0.0, 0, 50, 50]), np.ones(1)

    def person(number: int, place: float) -> PersonResult:
        return PersonResult(number, box, np.full((1, 2), place), sure)

    frames = [
        FrameResult(n, n / FPS, (person(n // 50, 10.0), person(99, 30.0))) for n in range(300)
    ]
    smoother = KernelSmoother()
    for result in smoother(frames):
        assert [p.keypoints[0, 0] for p in result.people] == pytest.approx([10, 30])
        assert len(smoother._tracks) <= 3


def test_no_more_frames_wait_than_memory_holds(monkeypatch):
    taken = []

    def frames():
        for n in range(30):
            taken.append(n)
            yield FrameResult(n, n / FPS, (), np.zeros((10, 10, 3), np.uint8))

    next(KernelSmoother()(frames()))
    assert len(taken) == 2 + math.floor(REACH * FPS)
    taken.clear()
    monkeypatch.setattr('rpstn.inference.kernel_smoother.BYTES', 900)  # three images
    assert len(list(KernelSmoother()(frames()))) == 30
    taken.clear()
    next(KernelSmoother()(frames()))
    assert len(taken) == 5


def test_what_waits_comes_before_an_error():
    def broken():
        yield from video(np.zeros((15, 1, 2)), np.ones((15, 1)))
        raise OSError('the disk is gone')

    seen = []

    def take():
        for result in KernelSmoother()(broken()):
            seen.append(result.index)

    with pytest.raises(OSError, match='the disk is gone'):
        take()
    assert seen == list(range(15))


@pytest.mark.parametrize('times', [(0.0, math.nan), (math.nan, 0.0), (0.0, 0.0), (1.0, 0.5)])
def test_time_has_to_go_on(times):
    with pytest.raises(SettingError, match='smoothing: time must go on'):
        list(KernelSmoother()([FrameResult(n, time, ()) for n, time in enumerate(times)]))
