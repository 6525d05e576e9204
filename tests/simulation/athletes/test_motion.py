"""Motions in 3D: bones of fixed length, feet that stand, joints that really bend."""

import numpy as np
import pytest

from rpstn.simulation.athletes.motion import MOTIONS
from rpstn.simulation.athletes.skeleton import Proportions, two_bone_ik

TIMES = np.arange(100) / 25
BONES = dict(
    thigh=('hip', 'knee'),
    shank=('knee', 'ankle'),
    upper_arm=('shoulder', 'elbow'),
    forearm=('elbow', 'wrist'),
    hand=('wrist', 'hand'),
)


def perform(name: str, seed: int):
    rng = np.random.default_rng(seed)
    body = Proportions.random(rng)
    return body, MOTIONS[name](rng, body, TIMES)


def angle(a, b, c) -> np.ndarray:
    """Degrees at b."""
    u, v = a - b, c - b
    cos = (u * v).sum(-1) / np.linalg.norm(u, axis=-1) / np.linalg.norm(v, axis=-1)
    return np.degrees(np.arccos(np.clip(cos, -1, 1)))


@pytest.mark.parametrize('name', MOTIONS)
def test_bones_keep_their_length(name):
    for seed in range(8):
        body, skeleton = perform(name, seed)
        for bone, (start, end) in BONES.items():
            for side in ('left', 'right'):
                length = np.linalg.norm(
                    skeleton[f'{side}_{start}'] - skeleton[f'{side}_{end}'], axis=-1
                )
                np.testing.assert_allclose(length, getattr(body, bone), atol=1e-9)


@pytest.mark.parametrize('name', MOTIONS)
def test_movement_is_smooth_and_stays_above_the_floor(name):
    for seed in range(8):
        _, skeleton = perform(name, seed)
        assert skeleton.joints[..., 2].min() > -0.03
        relative = skeleton.joints - skeleton['pelvis'][:, None]
        speed = np.linalg.norm(np.diff(relative, axis=0), axis=-1) * 25
        assert speed.max() < 10  # m/s, a fast arm
        # No joint jumps: acceleration bounded (the hand of a jumping jack comes near 80 m/s^2).
        assert np.abs(np.diff(skeleton.joints, 2, axis=0)).max() * 625 < 160


@pytest.mark.parametrize('name', ['squat', 'push_up'])
def test_standing_feet_and_leaning_hands_stay(name):
    for seed in range(8):
        _, skeleton = perform(name, seed)
        fixed = ['left_ankle', 'right_ankle']
        if name == 'push_up':
            fixed += ['left_wrist', 'right_wrist']
        for joint in fixed:
            assert np.ptp(skeleton[joint], axis=0).max() < 1e-3, (seed, joint)


def test_planted_feet_of_a_walk_do_not_slide():
    for seed in range(8):
        _, skeleton = perform('walking', seed)
        for side in ('left', 'right'):
            ankle = skeleton[f'{side}_ankle']
            flat = ankle[:, 2] < ankle[:, 2].min() + 0.002
            both = flat[1:] & flat[:-1]
            assert both.sum() > 15
            step = np.abs(np.diff(ankle[:, 0]))[both]
            assert np.median(step) < 0.002 and np.quantile(step, 0.8) < 0.02
        assert skeleton['pelvis'][-1, 0] - skeleton['pelvis'][0, 0] > 2  # it gets on


def test_squat_bends_the_knees_down_and_up():
    for seed in range(8):
        _, s = perform('squat', seed)
        knee = angle(s['left_hip'], s['left_knee'], s['left_ankle'])
        assert knee.max() > 160 and knee.min() < 125
        lowest, upright = s['pelvis'][knee.argmin(), 2], s['pelvis'][knee.argmax(), 2]
        assert lowest < upright - 0.12
        turns = np.diff(np.sign(np.diff(s['pelvis'][:, 2])))
        assert (turns != 0).sum() >= 2  # at least down and up in four seconds


def test_push_up_is_near_horizontal_and_bends_the_elbows():
    for seed in range(8):
        _, s = perform('push_up', seed)
        trunk = s['neck'] - s['left_ankle']
        tilt = np.degrees(np.arcsin(trunk[:, 2] / np.linalg.norm(trunk, axis=-1)))
        assert 0 < tilt.min() and tilt.max() < 30
        straight = angle(s['neck'], s['pelvis'], (s['left_ankle'] + s['right_ankle']) / 2)
        assert straight.min() > 160
        elbow = angle(s['left_shoulder'], s['left_elbow'], s['left_wrist'])
        assert elbow.max() > 140 and elbow.min() < 115


def test_jumping_jack_opens_arms_and_legs_together():
    for seed in range(8):
        _, s = perform('jumping_jack', seed)
        stance = s['left_ankle'][:, 1] - s['right_ankle'][:, 1]
        height = s['left_wrist'][:, 2] - s['left_shoulder'][:, 2]
        assert np.corrcoef(stance, height)[0, 1] > 0.9
        assert height.max() > 0.2 and height.min() < -0.2


def test_inverse_kinematics_bends_towards_the_pole_and_reaches():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(200, 3))
    direction = rng.normal(size=(200, 3))
    target = root + direction / np.linalg.norm(direction, axis=1)[:, None] * rng.uniform(
        0.15, 0.85, (200, 1)
    )
    pole = rng.normal(size=(200, 3))
    middle, end = two_bone_ik(root, target, pole, 0.45, 0.42)
    np.testing.assert_allclose(end, target, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(middle - root, axis=1), 0.45, atol=1e-9)
    assert ((middle - (root + end) / 2) * pole).sum(1).min() > -0.1
    away = two_bone_ik(np.zeros(3), np.array([3.0, 0, 0]), np.array([0, 0, 1.0]), 0.45, 0.42)[1]
    np.testing.assert_allclose(np.linalg.norm(away), 0.87, rtol=1e-3)  # as far as it goes
