"""The map of joints is fitted on what is known, and what is shipped is what the fit gives."""

import numpy as np
import pytest

from rpstn.joint_maps import FITTED
from rpstn.skeletons import get_skeleton

from fit_joint_map import PARTS, Frames, fit, mean_shares, pck, side_weights

BLAZEPOSE, JHMDB = get_skeleton('blazepose33'), get_skeleton('jhmdb15')


def frames_with(shares: np.ndarray, joint: str, noise: float = 0.0) -> Frames:
    """Landmarks at random, and labels that are these shares of them."""
    rng = np.random.default_rng(0)
    landmarks = rng.uniform(0, 100, (200, 33, 2))
    labels = rng.uniform(0, 100, (200, 15, 2))
    labelled = np.ones((200, 15), bool)
    labelled[::5, JHMDB.index(joint)] = False
    frames = Frames(landmarks, labels, labelled)
    place = sum(
        share / 2 * landmarks[:, BLAZEPOSE.index(f'{side}_{part}')]
        for part, share in zip(PARTS[joint], shares)
        for side in ('left', 'right')
    )
    labels[:, JHMDB.index(joint)] = place + noise * rng.normal(size=(200, 2))
    labels[::5, JHMDB.index(joint)] = -1e4  # unlabelled
    return frames


@pytest.mark.parametrize('joint', PARTS)
def test_shares_that_made_the_labels_are_found_and_a_strong_ridge_keeps_the_means(joint):
    shares = np.array([0.7, 0.3])
    frames = frames_with(shares, joint)
    np.testing.assert_allclose(fit(frames, joint, ridge=0), shares, atol=1e-9)
    found = fit(frames_with(shares, joint, noise=3), joint)
    np.testing.assert_allclose(found, shares, atol=0.05)
    assert found.sum() == pytest.approx(1)
    means = mean_shares(joint, PARTS[joint])
    np.testing.assert_allclose(fit(frames, joint, ridge=1e9), means, atol=1e-6)
    assert pck(frames, joint, shares) == 1 > pck(frames, joint, means)


def test_the_ridge_against_its_definition():
    """The shares are where the loss that is written out here is least."""
    frames, ridge = frames_with(np.array([0.7, 0.3]), 'neck', noise=10), 0.05
    used = frames.labelled[:, JHMDB.index('neck')] & (frames.torso >= 1)
    start = mean_shares('neck', PARTS['neck'])

    def loss(shares: np.ndarray) -> float:
        total = 0.0
        for middles, label, torso in zip(
            frames.middles(PARTS['neck'])[used],
            frames.labels[used, JHMDB.index('neck')],
            frames.torso[used],
        ):
            total += np.sum(((shares @ middles - label) / torso) ** 2)
        return total + ridge * used.sum() * np.sum((shares - start) ** 2)

    best = fit(frames, 'neck', ridge)
    for step in (1e-3, -1e-3):
        assert loss(best) < loss(best + (step, -step))


def test_rounded_weights_sum_to_1():
    for shares in ([1 / 3, 2 / 3], [0.29, 0.71], [1.2345, -0.2345]):
        weights = side_weights(np.array(shares))
        assert 2 * weights.sum() == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(weights, np.array(shares) / 2, atol=6e-4)
        np.testing.assert_array_equal(weights, np.round(weights, 3))


def test_what_is_shipped_is_symmetric_and_of_the_parts_that_are_fitted():
    for weights in (joints for pair in FITTED.values() for joints in pair.values()):
        assert sum(weights.values()) == pytest.approx(1, abs=1e-12)
        for name, weight in weights.items():
            side, _, part = name.partition('_')
            assert weights[f'{dict(left="right", right="left")[side]}_{part}'] == weight
    for joint, weights in FITTED['blazepose33', 'jhmdb15'].items():
        assert {name.partition('_')[2] for name in weights} == set(PARTS[joint])
