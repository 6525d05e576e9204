"""The lifter's trunk and legs, and BlazePose's arms, feet and face, as one body."""

from dataclasses import replace

import numpy as np
import pytest

from rpstn.lift import DEFAULT, Joints3D, Track, build_source, lift
from rpstn.lift.evaluation import knee_flexion
from rpstn.lift.fused_source import limb_ratio, with_legs_of
from rpstn.simulation.squats.squat import squat_joints
from rpstn.simulation.squats.squat_form import SquatForm, SquatStyle, SquatTempo, random_body
from rpstn.skeletons import SKELETONS, map_joints

BLAZEPOSE, LIFTER = SKELETONS['blazepose33'], SKELETONS['lifter15']
FPS = 15


@pytest.fixture(scope='module')
def squat():
    """(T, 33, 3) a deep squat that faces the camera: x right, y up, z towards it, metres."""
    rng = np.random.default_rng(3)
    body = random_body(rng)
    form = SquatForm.random(rng, 'good')
    times, course = SquatTempo(1, 0.8, 1.3, 0.4, 1.1).course(FPS)
    style = SquatStyle.random(rng, body)
    joints = squat_joints(body, form, times, course, style, 0, skeleton='mediapipe33')
    joints = joints @ np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
    hips = [BLAZEPOSE.index(f'{side}_hip') for side in ('left', 'right')]
    joints = joints - joints[:, hips].mean(1, keepdims=True)
    return np.where(np.isnan(joints), 0.3, joints)  # what the simulation has not, such as thumbs


def in_space(joints: np.ndarray, skeleton=BLAZEPOSE) -> Joints3D:
    count = len(joints)
    frames = np.arange(count)
    scores = np.ones(joints.shape[:2])
    return Joints3D(
        joints, scores, frames / FPS, frames, skeleton, 'test', 'nominal', upright=False
    )


def seen(joints: np.ndarray, depth: float = 1.0, distance: float = 4.0) -> Track:
    """By a camera ahead; the network tells of depths a share."""
    image = joints[..., :2] * [1, -1] / (distance - joints[..., 2:]) * 800 + 500
    count = len(joints)
    frames = np.arange(count)
    world = joints * [1, -1, -1] * [1, 1, depth]
    return Track(image, np.ones((count, 33)), frames / FPS, frames, BLAZEPOSE, world=world)


def test_legs_are_the_lifters_and_the_rest_hangs_on_them(squat):
    true = in_space(squat)
    own = map_joints(squat, BLAZEPOSE, LIFTER)
    same = with_legs_of(true, in_space(own, LIFTER))
    np.testing.assert_allclose(same, squat, atol=1e-12)
    bent = own.copy()
    bent[:, LIFTER.index('left_ankle')] += [0.1, 0.2, -0.3]
    bent[:, LIFTER.index('head')] += [0, 0, 0.1]
    bent[:, LIFTER.index('left_wrist')] += [0, 0, 0.1]  # whose arms are not taken
    bent[:, LIFTER.index('right_shoulder')] += [0, 0.1, 0]
    found = with_legs_of(true, in_space(bent, LIFTER)) - squat
    moved = {name for n, name in enumerate(BLAZEPOSE.joints) if np.abs(found[:, n]).max() > 1e-9}
    arm = ('shoulder', 'elbow', 'wrist', 'pinky', 'index', 'thumb')
    leg = ('left_ankle', 'left_heel', 'left_foot_index')
    assert moved == {*leg, *BLAZEPOSE.joints[:11], *(f'right_{part}' for part in arm)}
    np.testing.assert_allclose(
        found[:, BLAZEPOSE.index('left_heel')], [[0.1, 0.2, -0.3]] * len(squat)
    )


def test_what_is_not_known_stays_unknown(squat):
    own = map_joints(squat, BLAZEPOSE, LIFTER)
    own[3, LIFTER.index('right_ankle')] = np.nan
    found = with_legs_of(in_space(squat), in_space(own, LIFTER))
    unknown = np.isnan(found).any(-1)
    assert unknown.sum() == 3 and unknown[3, BLAZEPOSE.index('right_heel')]


def test_one_factor_makes_limbs_as_long(squat):
    true = in_space(squat)
    small = in_space(0.8 * squat)
    assert limb_ratio(true, small) == pytest.approx(1.25)
    assert limb_ratio(true, in_space(np.full_like(squat, np.nan))) == 1


def test_a_squat_from_the_front_bends_as_it_does_though_blazepose_sees_little_depth(squat):
    track = seen(squat, depth=0.2)
    joints = lift(track, tilt=0)
    assert joints.source == DEFAULT == 'fused' and joints.skeleton is BLAZEPOSE
    assert np.isfinite(joints.joints).all()
    true, found = (knee_flexion(j, BLAZEPOSE).mean(1) for j in (squat, joints.joints))
    bottom = true.argmax()
    flat = knee_flexion(build_source('blazepose')(track).joints, BLAZEPOSE).mean(1)
    assert true[bottom] > 100 and flat[bottom] < true[bottom] - 15
    assert abs(found[bottom] - true[bottom]) < 20 and abs(found[0] - true[0]) < 20
    np.testing.assert_allclose(joints.joint('hip'), 0, atol=1e-9)
    # Feet are as long as BlazePose has them.
    foot = [
        j[:, BLAZEPOSE.index('left_foot_index')] - j[:, BLAZEPOSE.index('left_heel')]
        for j in (joints.joints, squat * [1, 1, 0.2])
    ]
    np.testing.assert_allclose(*foot, atol=0.02)


def test_a_mirror_image_is_lifted_to_the_mirror_image(squat):
    source = build_source('fused')
    flip = list(BLAZEPOSE.flip_indices)
    track = seen(squat)
    mirror = replace(
        track,
        keypoints=(track.keypoints * [-1, 1])[:, flip],
        world=(track.world * [-1, 1, 1])[:, flip],
    )
    found, other = source(track).joints, source(mirror).joints
    np.testing.assert_allclose(other, (found * [-1, 1, 1])[:, flip], atol=1e-4)


def test_limbs_that_are_never_seen_leave_blazepose(squat):
    track = seen(squat)
    track.keypoints[:, BLAZEPOSE.index('left_wrist')] = np.nan
    assert lift(track, tilt=0).source == 'blazepose'
