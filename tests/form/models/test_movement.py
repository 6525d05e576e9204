"""A movement as one row of numbers, against loops; the discriminant, against known answers."""

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS

from rpstn.errors import SettingError
from rpstn.form.models import (
    MovementPhases,
    MovementRange,
    StandingDisplacements,
    fit_discriminant,
    join_experts,
)
from rpstn.skeletons import get_skeleton

SQUAT = get_skeleton('mediapipe19')
PARTS = ('nose', 'hip', 'foot_index')


def squat(frames=40, waits=(6, 10), seed=0) -> torch.Tensor:
    """(1, T, 19, 3): everything but the feet goes down by 40 % and up, slower than down."""
    rng = np.random.default_rng(seed)
    body = rng.normal(0, 0.02, (19, 3))
    for part, height in (('ankle', 0.1), ('knee', 0.5), ('hip', 0.9), ('shoulder', 1.4)):
        for side, x in (('left', 0.15), ('right', -0.15)):
            body[SQUAT.index(f'{side}_{part}')] = x, height, 0
    way = np.sin(np.pi * np.linspace(0, 1, frames - sum(waits)) ** 0.7)
    down = np.concatenate([np.zeros(waits[0]), way, np.zeros(waits[1])])
    moving = body[None].repeat(frames, 0)
    moving[..., 1] *= 1 - 0.4 * down[:, None]
    return torch.tensor(moving[None] + rng.normal(0, 1e-4, (1, frames, 19, 3)))


def displacements(joints, **options):
    """(T, 19, 2) by the representation whose quantiles and phases these are."""
    module = StandingDisplacements('mediapipe19', axes=(0, 1), **options)
    return module(joints)[0].T.reshape(-1, 19, 2)


def test_ranges_are_quantiles_of_the_chosen_joints():
    joints = squat()
    module = MODELS.build(
        dict(type='MovementRange', skeleton='mediapipe19', parts=PARTS, quantiles=(0.1, 0.9))
    )
    kept = [0, 9, 10, 17, 18]
    moved = displacements(joints)[:, kept].flatten(1).numpy()
    expected = np.concatenate([np.quantile(moved, q, axis=0) for q in (0.1, 0.9)])
    got = module(joints)
    assert got.shape == (1, module.out_channels, 1) == (1, 20, 1)
    np.testing.assert_allclose(got[0, :, 0], expected, atol=1e-9)


def test_tempo_and_waiting_do_not_matter():
    joints = squat(frames=64, waits=(8, 8))
    slower = joints.repeat_interleave(2, 1)
    for module in (MovementRange('mediapipe19'), MovementPhases('mediapipe19')):
        torch.testing.assert_close(module(slower), module(joints), atol=0.01, rtol=0)


def test_phases_are_moments_of_the_way_down_and_up():
    joints, shares = squat(), (0.25, 0.5, 1.0)
    module = MovementPhases('mediapipe19', parts=PARTS, shares=shares)
    pair = [SQUAT.index('left_shoulder'), SQUAT.index('right_shoulder')]
    feet = [SQUAT.index('left_ankle'), SQUAT.index('right_ankle')]
    path = joints[0, :, pair, :2].mean(1) - joints[0, :, feet, :2].mean(1)
    height = path.norm(dim=-1)
    low = int(height.argmin())
    top = height.topk(round(0.2 * len(height))).values.mean()
    done = (top - height) / (top - height.min())
    expected = [max(t for t in range(low + 1) if done[t] <= share) for share in shares]
    expected += [min(t for t in range(low, 40) if done[t] <= share) for share in (0.5, 0.25)]
    assert module.phases(joints)[0].tolist() == expected
    assert expected == sorted(expected) and expected[2] == low
    moved = displacements(joints)[expected][:, [0, 9, 10, 17, 18]]
    got = module(joints)
    assert got.shape == (1, module.out_channels, 1) == (1, 50, 1)
    torch.testing.assert_close(got[0, :, 0], moved.flatten())


@pytest.mark.parametrize('kind', [MovementRange, MovementPhases])
def test_what_is_missing_stays_missing_and_alone(kind):
    joints = squat().repeat(2, 1, 1, 1)
    joints[1, :, 0] = float('nan')  # the nose, never seen
    got = kind('mediapipe19', parts=PARTS)(joints).reshape(2, -1, 5, 2)
    assert got[1, :, 0].isnan().all() and not got[0].isnan().any()
    torch.testing.assert_close(got[1, :, 1:], got[0, :, 1:])


def test_options_that_are_none_are_refused():
    for parts in (('tail',), ()):
        with pytest.raises(SettingError, match='parts must be among the joints of mediapipe19'):
            MovementRange('mediapipe19', parts=parts)
    for quantiles in ((), (0.5, 1.1)):
        with pytest.raises(SettingError, match='quantiles must lie in 0..1'):
            MovementRange('mediapipe19', quantiles=quantiles)
    for shares in ((), (0.0, 1.0), (0.5, 0.5), (1.0, 0.5), (0.5, 1.1)):
        with pytest.raises(SettingError, match='shares must rise'):
            MovementPhases('mediapipe19', shares=shares)


# --- the discriminant


def sessions(per=20, width=4, seed=0):
    """Two classes along the first axis, six sessions far apart along the second."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1] * 3, per)
    groups = np.repeat(np.arange(6), per)
    features = rng.normal(0, 0.3, (len(labels), width))
    features[:, 0] += labels
    features[:, 1] += 3 * rng.normal(size=6)[groups]
    return features, labels, groups


def test_without_shrinking_it_is_fishers_discriminant():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    features, labels, groups = sessions()
    weights, bias = fit_discriminant(features, labels, groups, 2, between=1.0, shrinkage=1e-9)
    plain = LinearDiscriminantAnalysis(priors=[0.5, 0.5]).fit(features, labels)
    # Sessions are equally large, so both means are the same, and W + B is all within classes.
    direction = weights[1] - weights[0]
    np.testing.assert_allclose(
        direction * (len(labels) - 2) / len(labels), plain.coef_[0], rtol=1e-5, atol=1e-6
    )
    threshold = (bias[1] - bias[0]) * (len(labels) - 2) / len(labels)
    assert threshold == pytest.approx(plain.intercept_[0], rel=1e-5)


def test_it_leans_less_on_what_differs_between_sessions():
    features, labels, groups = sessions()
    shares = []
    for between in (0.0, 0.5, 5.0):
        weights, _ = fit_discriminant(features, labels, groups, 2, between, 0.01)
        direction = np.abs(weights[1] - weights[0])
        shares.append(direction[1] / direction[0])
    assert shares[0] > 2 * shares[1] > 4 * shares[2]


def test_shrunk_to_the_end_it_is_the_nearest_mean():
    features, labels, groups = sessions()
    weights, bias = fit_discriminant(features, labels, groups, 2, 0.0, 1.0)
    means = np.stack([features[labels == k].mean(0) for k in (0, 1)])
    scores = features @ weights.T + bias
    nearest = np.square(features[:, None] - means).sum(-1).argmin(1)
    np.testing.assert_array_equal(scores.argmax(1), nearest)


def test_experts_together_say_the_geometric_mean():
    rng = np.random.default_rng(0)
    experts = [(rng.normal(size=(3, width)), rng.normal(size=3)) for width in (2, 5)]
    features = rng.normal(size=(10, 7))
    weights, bias = join_experts(experts)

    def likely(scores):
        powers = np.exp(scores - scores.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    parts = [likely(part @ w.T + b) for part, (w, b) in zip(np.split(features, [2], 1), experts)]
    both = np.sqrt(parts[0] * parts[1])
    np.testing.assert_allclose(
        likely(features @ weights.T + bias), both / both.sum(1, keepdims=True), atol=1e-9
    )


def test_a_discriminant_needs_every_class_and_allowed_options():
    features, labels, groups = sessions()
    with pytest.raises(SettingError, match='class 2 of 3 has no training sample'):
        fit_discriminant(features, labels, groups, 3)
    for options in (dict(between=-1.0), dict(shrinkage=0.0), dict(shrinkage=1.1)):
        with pytest.raises(SettingError, match='between >= 0 and 0 < shrinkage <= 1'):
            fit_discriminant(features, labels, groups, 2, **options)
