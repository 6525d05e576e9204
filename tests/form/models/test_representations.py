"""Representations of skeletons: against loops, invariances, known movements, gradients, NaN."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmaction.registry import MODELS
from torch.autograd import gradcheck

from rpstn.form.geometry.limbs import normalize_limbs
from rpstn.form.models.representations import (
    DistanceMatrices,
    JointAngles,
    JointCoordinates,
    JointVelocities,
    StandingDisplacements,
    divide,
)
from rpstn.skeletons import SKELETONS, get_skeleton

NAN = float('nan')
SQUAT = get_skeleton('mediapipe19')
KNEE = ('right_hip', 'right_knee', 'right_ankle')
ALL = [
    dict(type='DistanceMatrices'),
    dict(type='DistanceMatrices', limbs='full'),
    dict(type='DistanceMatrices', scale='clip'),
    dict(type='JointCoordinates'),
    dict(type='JointCoordinates', center='frame', scale='clip'),
    dict(type='StandingDisplacements'),
    dict(type='StandingDisplacements', origin='feet'),
    dict(type='JointVelocities'),
    dict(type='JointVelocities', step=3),
    dict(type='JointAngles', triplets=[KNEE, ('left_hip', 'left_knee', 'left_ankle')]),
]
SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=30, deadline=None)


def names(config):
    return '-'.join(str(value) for key, value in config.items() if key != 'triplets')


each = pytest.mark.parametrize('config', ALL, ids=names)


def noise(*shape, seed=0, scale=1.0):
    return torch.tensor(np.random.default_rng(seed).normal(0, scale, shape))


def person(depths=(0,), sway=0.0) -> torch.Tensor:
    """Somebody who sinks by each of the depths, (1, T, 19, 3), y up.

    The middles of shoulders, hips, knees and ankles stand at 1.5, 1, .5 and .1 above each other,
    so the size is 1.4. Sinking bends the knees forward and takes all above them down.
    """
    heights = dict(
        nose=1.7,
        mouth=1.65,
        shoulder=1.5,
        elbow=1.2,
        wrist=1,
        hip=1,
        knee=0.5,
        ankle=0.1,
        heel=0.02,
        foot_index=0,
    )
    stand = torch.zeros(19, 3, dtype=torch.float64)
    for number, name in enumerate(SQUAT.joints):
        side, part = name.split('_', 1) if '_' in name else ('', name)
        stand[number] = torch.tensor(
            [
                0.2 * (side == 'left') - 0.2 * (side == 'right'),
                heights[part],
                0.2 * (part == 'foot_index'),
            ]
        )
    frames = stand.repeat(len(depths), 1, 1)
    for frame, depth in zip(frames, depths):
        for number, name in enumerate(SQUAT.joints):
            if not name.endswith(('knee', 'ankle', 'heel', 'foot_index')):
                frame[number, 1] -= depth
            elif name.endswith('knee'):
                frame[number, 2] += depth
    return frames[None] + sway * noise(1, len(depths), 19, 3, seed=1)


def orthogonal(seed: int, dims: int = 3, reflect: bool = False) -> torch.Tensor:
    matrix, _ = torch.linalg.qr(noise(dims, dims, seed=seed))
    matrix[0] *= torch.sign(torch.linalg.det(matrix)) * (-1 if reflect else 1)
    return matrix


def moved(joints: torch.Tensor, seed: int, reflect: bool = False) -> torch.Tensor:
    dims = joints.shape[-1]
    return joints @ orthogonal(seed, dims, reflect).mT + noise(dims, seed=seed + 1, scale=10)


# --- all of them


@each
@pytest.mark.parametrize('skeleton', SKELETONS)
def test_the_channels_are_as_many_as_announced(config, skeleton):
    module = MODELS.build(dict(config, skeleton=skeleton))
    joints = noise(3, 5, SKELETONS[skeleton].num_joints, 3).float()
    got = module(joints)
    assert got.shape == (3, module.out_channels, 5) and got.dtype == torch.float32
    flat = MODELS.build(dict(config, skeleton=skeleton, axes=(0, 1)))
    assert flat(joints).shape == flat(joints[..., :2]).shape == (3, flat.out_channels, 5)
    torch.testing.assert_close(flat(joints), flat(joints[..., :2]))
    # Nothing to train or to store, so that checkpoints do not depend on it.
    assert not list(module.parameters()) and not module.state_dict()


@each
def test_joints_of_another_skeleton_are_refused(config):
    module = MODELS.build(dict(config, skeleton='mediapipe19'))
    message = (
        r'{} takes 19 joints \(mediapipe19\) with at least 3 coordinates, got shape '
        r'\(2, 6, {}, {}\)'
    )
    for num_joints, dims in ((17, 3), (33, 3), (19, 2)):
        with pytest.raises(ValueError, match=message.format(config['type'], num_joints, dims)):
            module(noise(2, 6, num_joints, dims))
    module(noise(2, 6, 19, 4))  # a score behind the coordinates does no harm
    with pytest.raises(ValueError, match='unknown skeleton .*mediapipe19'):
        MODELS.build(dict(config, skeleton='mediapipe20'))


@each
def test_clips_do_not_see_each_other(config):
    module = MODELS.build(dict(config, skeleton='mediapipe19'))
    joints = person((0, 0.1, 0.3, 0.4, 0.2, 0), sway=0.05).repeat(3, 1, 1, 1) + noise(3, 6, 19, 3)
    joints[1, 2, 5] = NAN
    together = module(joints)
    for number, clip in enumerate(joints):
        torch.testing.assert_close(
            together[number : number + 1], module(clip[None]), equal_nan=True
        )


@each
def test_gradients_are_exact(config):
    module = MODELS.build(dict(config, skeleton='penn13', axes=(0, 1)))
    joints = noise(2, 5, 13, 2).requires_grad_()
    assert gradcheck(module, joints, fast_mode=True)


@each
def test_missing_joints_do_not_spoil_the_gradient_of_the_others(config):
    module = MODELS.build(dict(config, skeleton='mediapipe19'))
    joints = person((0, 0.1, 0.3, 0.4, 0.2, 0), sway=0.05).repeat(2, 1, 1, 1)
    joints[0, 3, 3], joints[0, 2, SQUAT.index('left_wrist')] = NAN, NAN
    joints[1] = NAN  # nor do clips of which nothing is known
    joints.requires_grad_()
    features = module(joints)
    known = ~features.isnan()
    assert not known.all() and known.any() and not known[1].any()
    features[known].square().sum().backward()
    assert not joints.grad[~joints.isnan()].isnan().any()
    assert joints.grad.nan_to_num().abs().sum() > 0
    torch.testing.assert_close(
        torch.where(known, features, 0.0).square().sum(), features[known].square().sum()
    )


@each
def test_nothing_is_infinite(config):
    """What divides by a size of 0 is missing; infinity would spoil a batch, and its statistics."""
    module = MODELS.build(dict(config, skeleton='mediapipe19'))
    everything_in_one_place = noise(1, 6, 1, 3).expand(1, 6, 19, 3)
    one_joint = torch.full((1, 6, 19, 3), NAN)
    one_joint[:, :, 4] = noise(1, 6, 3).float()
    for joints in (everything_in_one_place, one_joint, torch.zeros(1, 6, 19, 3)):
        assert not module(joints).isinf().any()


def test_only_what_takes_a_missing_joint_is_missing():
    wrist, frame, frames = SQUAT.index('left_wrist'), 4, 9
    joints = person(np.linspace(0, 0.5, frames), sway=0.02)
    gap = joints.clone()
    gap[:, frame, wrist, 1] = NAN  # a single coordinate will do

    def lost(module):
        return module(gap).isnan()[0], module(joints).isnan()[0]

    pairs = list(combinations(range(19), 2))
    got, before = lost(DistanceMatrices('mediapipe19'))
    assert got.sum() == 18 and not before.any()
    assert got[[wrist in pair for pair in pairs], frame].all()
    # Limbs are laid end to end: an elbow takes the wrist with it, not the other way round.
    got, _ = lost(DistanceMatrices('mediapipe19', limbs='full'))
    assert got.sum() == 18 and got[[wrist in pair for pair in pairs], frame].all()
    for module in (
        JointCoordinates('mediapipe19', scale='clip'),
        JointCoordinates('mediapipe19', center='frame'),
        StandingDisplacements('mediapipe19'),
    ):
        got, _ = lost(module)
        # The other coordinates of the joint may stay.
        assert got.sum() <= 3 and got[3 * wrist + 1, frame]
        assert got[3 * wrist : 3 * wrist + 3, frame].sum() == got.sum()
    got, _ = lost(JointVelocities('mediapipe19', step=2))
    assert got.sum() == 2 and got[3 * wrist + 1, [frame - 2, frame + 2]].all()
    got, _ = lost(JointAngles('mediapipe19', [KNEE, ('left_shoulder', 'left_elbow', 'left_wrist')]))
    assert got.nonzero().tolist() == [[1, frame]]


def test_divide():
    values = torch.tensor([[6.0, NAN, 0.0], [1, 2, 0], [1, 2, NAN]], requires_grad=True)
    size = torch.tensor([[2.0], [0], [NAN]], requires_grad=True)
    torch.testing.assert_close(
        divide(values, size), torch.tensor([[3, NAN, 0], [NAN] * 3, [NAN] * 3]), equal_nan=True
    )
    torch.where(divide(values, size).isnan(), 0, divide(values, size)).sum().backward()
    torch.testing.assert_close(values.grad, torch.tensor([[0.5, 0, 0.5], [0] * 3, [0] * 3]))
    torch.testing.assert_close(size.grad, torch.tensor([[-1.5], [0], [0]]))


# --- distances


def test_distances_equal_the_loop():
    joints = noise(2, 4, 19, 3, scale=40)
    got = DistanceMatrices('mediapipe19')(joints)
    for n, t in np.ndindex(2, 4):
        for channel, (i, j) in enumerate(combinations(range(19), 2)):
            assert got[n, channel, t].item() == pytest.approx(
                math.dist(joints[n, t, i], joints[n, t, j])
            )


@given(
    SEEDS,
    st.booleans(),
    st.sampled_from([2, 3]),
    st.sampled_from(['none', 'head', 'body', 'full']),
    st.sampled_from([None, 'clip']),
    st.floats(0.01, 100),
)
@quick
def test_distances_do_not_see_rotation_translation_and_mirrors(
    seed, reflect, dims, limbs, scale, factor
):
    module = DistanceMatrices('penn13', axes=range(dims), limbs=limbs, scale=scale)
    joints = noise(1, 3, 13, dims, seed=seed)
    features = module(joints)
    torch.testing.assert_close(module(moved(joints, seed, reflect)), features)
    if scale == 'clip':
        assert features.square().mean().item() == pytest.approx(1)
    if limbs == 'none':
        torch.testing.assert_close(
            module(factor * joints), features * (factor if scale is None else 1)
        )
    if limbs == 'full':
        torch.testing.assert_close(module(factor * joints), features)


def test_distances_do_see_depth_only_where_they_shall():
    joints = noise(2, 4, 19, 3)
    deeper = joints * torch.tensor([1.0, 1, 3])
    torch.testing.assert_close(
        DistanceMatrices('mediapipe19', axes=(0, 1))(deeper),
        DistanceMatrices('mediapipe19', axes=(0, 1))(joints),
    )
    assert (
        DistanceMatrices('mediapipe19')(deeper) - DistanceMatrices('mediapipe19')(joints)
    ).abs().max() > 1


@pytest.mark.parametrize('kind', ['none', 'head', 'body', 'full'])
def test_limbs_are_normalized_before_distances_are_taken(kind):
    joints = noise(2, 4, 19, 3)
    got = DistanceMatrices('mediapipe19', limbs=kind)(joints)
    expected = DistanceMatrices('mediapipe19')(normalize_limbs(joints, SQUAT, kind))
    torch.testing.assert_close(got, expected)
    pairs = list(combinations(range(19), 2))
    chosen = {'none': (), 'head': SQUAT.head_limbs, 'body': SQUAT.body_limbs, 'full': range(18)}[
        kind
    ]
    for limb, ends in enumerate(SQUAT.limb_indices):
        length = got[:, pairs.index(tuple(sorted(ends)))]
        assert torch.allclose(length, torch.ones_like(length)) == (limb in chosen)


def test_the_scale_is_of_the_whole_clip_and_of_what_is_known():
    joints = noise(1, 6, 19, 3)
    joints[:, 3:] *= 2
    got = DistanceMatrices('mediapipe19', scale='clip')(joints)
    # Growing within the clip is movement, and stays.
    assert (got[..., 3:].mean() / got[..., :3].mean()).item() == pytest.approx(2, rel=0.1)
    joints[:, 2] = NAN
    got = DistanceMatrices('mediapipe19', scale='clip')(joints)
    assert got[~got.isnan()].square().mean().item() == pytest.approx(1)
    assert got.isnan().sum() == 171


# --- coordinates


@pytest.mark.parametrize('center', ['clip', 'frame'])
@pytest.mark.parametrize('scale', [None, 'clip'])
@pytest.mark.parametrize('axes', [(0, 1, 2), (0, 2), (1,)])
def test_coordinates_equal_numpys(center, scale, axes):
    joints = noise(2, 4, 19, 3, scale=30) + 100
    joints[0, 1, 4] = NAN
    got = JointCoordinates('mediapipe19', axes, center, scale)(joints)
    for n, clip in enumerate(joints.numpy()[..., list(axes)]):
        clip = clip - np.nanmean(clip, axis=(0, 1) if center == 'clip' else 1, keepdims=True)
        if scale:
            clip = clip / np.sqrt(np.nanmean(clip**2))
        for v in range(19):
            for d in range(len(axes)):
                np.testing.assert_allclose(got[n, v * len(axes) + d], clip[:, v, d])


@given(SEEDS, st.sampled_from(['clip', 'frame']), st.floats(0.01, 100))
@quick
def test_coordinates_do_not_see_position_and_scaled_ones_not_size(seed, center, factor):
    joints, away = noise(2, 4, 13, 3, seed=seed), noise(3, seed=seed, scale=10)
    module = JointCoordinates('penn13', center=center)
    torch.testing.assert_close(module(joints + away), module(joints))
    module = JointCoordinates('penn13', center=center, scale='clip')
    torch.testing.assert_close(module(factor * joints + away), module(joints))
    # They do see a rotation, which is what sets them apart from distances.
    assert (module(joints @ orthogonal(seed).mT) - module(joints)).abs().max() > 0.01


def test_walking_stays_in_coordinates_about_the_clip_alone():
    walk = person([0] * 5) + torch.arange(5.0)[:, None, None]
    assert JointCoordinates('mediapipe19', center='frame')(walk).std(2).max() < 1e-12
    torch.testing.assert_close(
        JointCoordinates('mediapipe19')(walk).diff(dim=2), torch.ones(1, 57, 4).double()
    )


# --- displacements from standing


def test_a_still_person_is_not_displaced():
    assert StandingDisplacements('mediapipe19')(person([0] * 10)).abs().max() < 1e-12
    assert StandingDisplacements('mediapipe19')(person([0.3])).abs().max() < 1e-12  # one frame


def test_a_known_movement_gives_the_known_number():
    """In sizes of the body, 1.4 here, from where the joint was on standing."""
    depths = [0, 0.05, 0.2, 0.5, 0.7, 0.5, 0.2, 0.1, 0.05, 0]
    got = StandingDisplacements('mediapipe19', share=0.2)(person(depths)).unflatten(1, (19, 3))[0]
    down, still = -torch.tensor(depths) / 1.4, torch.zeros(10)
    for name, expected in (
        ('nose', (still, down, still)),
        ('left_hip', (still, down, still)),
        ('left_knee', (still, still, -down)),
        ('right_heel', (still, still, still)),
    ):
        for axis in range(3):
            torch.testing.assert_close(
                got[SQUAT.index(name), axis], expected[axis].double(), atol=1e-7, rtol=0
            )


def test_from_the_feet_the_stance_remains():
    """Ankles at .1 above the floor and .2 to either side, in sizes of 1.4."""
    depths = [0, 0.05, 0.2, 0.5, 0.7, 0.5, 0.2, 0.1, 0.05, 0]
    of_feet = StandingDisplacements('mediapipe19', share=0.2, origin='feet')
    got = of_feet(person(depths)).unflatten(1, (19, 3))[0]
    ankle, nose = SQUAT.index('left_ankle'), SQUAT.index('nose')
    torch.testing.assert_close(got[ankle, 0], torch.full((10,), 0.2 / 1.4).double())
    torch.testing.assert_close(got[ankle, 1], torch.zeros(10).double())
    torch.testing.assert_close(got[nose, 1], (1.6 - torch.tensor(depths).double()) / 1.4)
    with pytest.raises(ValueError, match='origin'):
        StandingDisplacements('mediapipe19', origin='floor')


def test_standing_is_the_mean_of_the_tallest_frames():
    depths = [0.3, 0.02, 0.3, 0.04, 0.5, 0.6, 0.5, 0.1, 0.3, 0.2]
    for share, tallest in (
        (0.2, [0.02, 0.04]),
        (0.3, [0.02, 0.04, 0.1]),
        (0.01, [0.02]),
        (1, depths),
    ):
        got = StandingDisplacements('mediapipe19', share=share)(person(depths))
        nose = got.unflatten(1, (19, 3))[0, 0, 1]
        # The trunk keeps its length, the thigh is shorter by the depth of the standing frames.
        size = 1.4 - np.mean(tallest)
        np.testing.assert_allclose(nose, (np.mean(tallest) - np.array(depths)) / size, atol=1e-12)


@given(SEEDS, st.floats(0.05, 50))
@quick
def test_displacements_do_not_see_position_and_size(seed, factor):
    joints = person([0, 0.1, 0.3, 0.5, 0.2, 0.05], sway=0.02)
    features = StandingDisplacements('mediapipe19')(joints)
    away = noise(3, seed=seed, scale=10)
    torch.testing.assert_close(
        StandingDisplacements('mediapipe19')(factor * joints + away), features
    )


@given(SEEDS)
@quick
def test_displacements_do_not_see_what_is_constant(seed):
    """Wrong depth of any joint, and wrong places of those that do not measure the body."""
    joints = person([0, 0.1, 0.3, 0.5, 0.2, 0.05], sway=0.02)
    features = StandingDisplacements('mediapipe19')(joints)
    wrong = noise(19, 3, seed=seed)
    measured = [
        n
        for n, name in enumerate(SQUAT.joints)
        if name.endswith(('shoulder', 'hip', 'knee', 'ankle'))
    ]
    wrong[measured, :2] = 0
    torch.testing.assert_close(StandingDisplacements('mediapipe19')(joints + wrong), features)
    # In all three coordinates it is the body in front of the camera that is measured.
    solid = StandingDisplacements('mediapipe19', size_axes=(0, 1, 2))
    assert (solid(joints + wrong) - solid(joints)).abs().max() > 1e-4


def test_axes_and_weights_of_displacements():
    joints = person([0, 0.1, 0.3, 0.5, 0.2, 0.05], sway=0.02)
    whole = StandingDisplacements('mediapipe19')(joints).unflatten(1, (19, 3))
    got = StandingDisplacements('mediapipe19', axes=(2, 1), weights=(0.3, 2))(joints)
    torch.testing.assert_close(
        got.unflatten(1, (19, 2)), whole[:, :, [2, 1]] * torch.tensor([[0.3], [2]])
    )
    for options, message in (
        (dict(share=0), r'share must lie in \(0, 1\], got 0'),
        (dict(share=1.1), 'share must lie'),
        (dict(weights=(1, 2)), r'weights must be 3.*got \(1, 2\)'),
    ):
        with pytest.raises(ValueError, match=message):
            StandingDisplacements('mediapipe19', **options)


def test_frames_with_a_missing_shoulder_are_not_standing():
    joints = person([0, 0, 0.3, 0.4, 0.5, 0.5, 0.4, 0.3, 0.2, 0.1])
    nose = StandingDisplacements('mediapipe19', share=0.1)
    joints[:, :2, SQUAT.index('left_shoulder')] = NAN
    got = nose(joints).unflatten(1, (19, 3))[0]
    # The tallest frame that is known is the last, .1 lower; its size is 1.3.
    np.testing.assert_allclose(got[0, 1, :3], np.array([0.1, 0.1, -0.2]) / 1.3, atol=1e-12)
    assert got.isnan().sum() == 6
    # Nor do they count where fewer frames are known than the share.
    few = StandingDisplacements('mediapipe19', share=0.5)
    joints[:, :7, SQUAT.index('left_shoulder')] = NAN
    got = few(joints).unflatten(1, (19, 3))[0]
    np.testing.assert_allclose(got[0, 1, :3], np.array([0.2, 0.2, -0.1]) / 1.2, atol=1e-12)
    # Where the body cannot be measured at all, nothing is known.
    joints[:, :, SQUAT.index('left_shoulder')] = NAN
    assert nose(joints).isnan().all()


def test_a_joint_that_is_missing_from_standing_is_measured_from_the_rest_of_it():
    joints = person([0, 0.1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
    joints[:, 0, SQUAT.index('nose')] = NAN
    got = StandingDisplacements('mediapipe19', share=0.2)(joints).unflatten(1, (19, 3))[0]
    assert got.isnan().nonzero().tolist() == [[0, axis, 0] for axis in range(3)]
    np.testing.assert_allclose(got[0, 1, 1:3], np.array([0, -0.4]) / 1.35, atol=1e-12)
    np.testing.assert_allclose(got[1, 1, 1:3], np.array([-0.05, -0.45]) / 1.35, atol=1e-12)


# --- velocities


@pytest.mark.parametrize('step', [1, 2, 5, 20])
@pytest.mark.parametrize('frames', [2, 3, 9])
def test_velocities_equal_the_loop_up_to_the_ends(step, frames):
    joints = noise(2, frames, 19, 3, scale=30) + 100
    joints[0, 1, 4] = NAN
    got = JointVelocities('mediapipe19', step=step)(joints).unflatten(1, (19, 3)).numpy()
    for n, clip in enumerate(joints.numpy()):
        size = np.sqrt(np.nanmean((clip - np.nanmean(clip, axis=1, keepdims=True)) ** 2))
        for t in range(frames):
            after, before = min(t + step, frames - 1), max(t - step, 0)
            expected = (clip[after] - clip[before]) / (after - before) * frames / size
            np.testing.assert_allclose(got[n, ..., t], expected)


def test_steady_motion_has_one_velocity_whatever_the_frame_rate():
    slow, fast = (person([0] * n) + torch.linspace(0, 2, n)[:, None, None] for n in (201, 101))
    first, second = (JointVelocities('mediapipe19', step=3)(walk) for walk in (slow, fast))
    assert first.std() < 1e-5 and (first.mean() / second.mean()).item() == pytest.approx(
        1, rel=0.01
    )
    np.testing.assert_allclose(
        first.mean() * person().std(2, correction=0).square().mean().sqrt(),
        2 * 201 / 200,
        rtol=1e-5,
    )


@given(SEEDS, st.floats(0.05, 50))
@quick
def test_velocities_do_not_see_position_and_size(seed, factor):
    joints, away = noise(2, 6, 13, 3, seed=seed), noise(3, seed=seed, scale=10)
    module = JointVelocities('penn13')
    torch.testing.assert_close(module(factor * joints + away), module(joints))
    torch.testing.assert_close(module(joints.flip(1)), -module(joints).flip(2))


def test_velocity_needs_two_frames_and_a_step():
    assert JointVelocities('mediapipe19')(noise(2, 1, 19, 3)).isnan().all()
    with pytest.raises(ValueError, match='step must be at least 1, got 0'):
        JointVelocities('mediapipe19', step=0)


# --- angles


@pytest.mark.parametrize(
    'hip, ankle, expected',
    [
        ((0, 3, 0), (4, 0, 0), math.pi / 2),
        ((0, 3, 4), (0, 3, 0), math.atan2(4, 3)),
        ((1, 0, 0), (0.5, 3**0.5 / 2, 0), math.pi / 3),
        ((0, 1, 0), (0, -5, 0), math.pi),
        ((1, 1, 0), (2, 2, 0), 0),
        ((1, 0, 0), (-1, 1, 0), 3 * math.pi / 4),
    ],
)
def test_angles_of_known_triangles(hip, ankle, expected):
    joints = noise(1, 2, 19, 3)
    knee = joints[:, 1, SQUAT.index('right_knee')]
    joints[:, 1, SQUAT.index('right_hip')] = knee + torch.tensor(hip)
    joints[:, 1, SQUAT.index('right_ankle')] = knee + torch.tensor(ankle)
    got = JointAngles('mediapipe19', [('nose', 'left_hip', 'left_heel'), KNEE, KNEE[::-1]])(joints)
    assert got[0, 1, 1].item() == pytest.approx(expected, abs=1e-7)
    torch.testing.assert_close(got[:, 1], got[:, 2])


@given(SEEDS, st.booleans(), st.floats(0.01, 100))
@quick
def test_angles_do_not_see_place_size_rotation_and_mirrors(seed, reflect, factor):
    joints = noise(2, 4, 19, 3, seed=seed)
    module = JointAngles('mediapipe19', [KNEE, ('left_wrist', 'nose', 'right_heel')])
    torch.testing.assert_close(module(factor * moved(joints, seed, reflect)), module(joints))


def test_unknown_joints_and_options_are_refused():
    with pytest.raises(ValueError, match=r"mediapipe19 has no joint 'neck'; its joints are nose"):
        JointAngles('mediapipe19', [('nose', 'neck', 'left_hip')])
    for module, options, message in (
        (DistanceMatrices, dict(limbs='arms'), "'none', 'head', 'body' or 'full', got 'arms'"),
        (DistanceMatrices, dict(scale='frame'), "scale must be None or 'clip', got 'frame'"),
        (JointCoordinates, dict(center='root'), "center must be 'clip' or 'frame', got 'root'"),
        (JointCoordinates, dict(scale=1), "scale must be None or 'clip', got 1"),
    ):
        with pytest.raises(ValueError, match=message):
            module('mediapipe19', **options)
