"""The kernel smoother against its formulas, one number at a time, and what it does to people."""

import math

import numpy as np
import pytest

from rpstn.inference.kernel_smoother import (
    FAR,
    NARROW,
    REACH,
    WIDE,
    KernelSmoother,
    smoothed_joints,
)
from rpstn.results import FrameResult, PersonResult

FPS = 30


def by_hand(times, keypoints, scores, at, size):
    """The formulas of the module, in loops."""
    frames, joints = scores.shape
    found = np.zeros((joints, 2))
    for k in range(joints):
        sigma = NARROW + (WIDE - NARROW) * (1 - scores[at, k])
        near = [
            scores[j, k] ** 2 * math.exp(-((times[j] - times[at]) ** 2) / (2 * sigma**2))
            for j in range(frames)
        ]
        robust = [1.0] * frames
        for _ in range(3):
            weights = [a * b for a, b in zip(near, robust)]
            mean = sum(w * keypoints[j, k] for j, w in enumerate(weights)) / sum(weights)
            robust = [
                1 / (1 + (math.dist(keypoints[j, k], mean) / (FAR * size)) ** 2)
                for j in range(frames)
            ]
        found[k] = mean
    return found


def test_equals_the_formulas():
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.01, 0.06, 9))
    keypoints = rng.normal(0, 20, (9, 4, 2)).cumsum(axis=0)
    scores = rng.uniform(0.01, 1, (9, 4))
    for at in (0, 4, 8):
        np.testing.assert_allclose(
            smoothed_joints(times, keypoints, scores, at, 150.0),
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
    """Five frames in which a knee is guessed 60 pixels off, unsurely, of a steady motion."""
    way = np.linspace(0, 120, 41)[:, None, None] * [[[1.0, 0.5]]]
    guessed, scores = way.copy(), np.full((41, 1), 0.95)
    guessed[18:23] += (0, 60)
    scores[18:23] = 0.1
    found = smoothed(guessed, scores)
    assert np.abs(found - way)[18:23].max() < 8
    assert np.abs(found - way)[[*range(2, 18), *range(23, 39)]].max() < 3


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
    np.testing.assert_allclose(fast[40:80:2], slow[20:40], atol=0.2)


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
    assert len(taken) == 1 + math.ceil(REACH * FPS + 1e-9)
    taken.clear()
    monkeypatch.setattr('rpstn.inference.kernel_smoother.BYTES', 900)  # three images
    assert len(list(KernelSmoother()(frames()))) == 30
    taken.clear()
    next(KernelSmoother()(frames()))
    assert len(taken) == 5
