"""Distances against loops, their invariances, and joints recovered from them."""

import itertools
import json
import math

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rpstn.form.geometry.distances import (
    from_condensed,
    joints_from_distances,
    pairwise_distances,
    to_condensed,
)
from rpstn.form.geometry.motion import joint_angle
from rpstn.pose.datasets import find_data

COORDINATES = st.floats(-1e3, 1e3).map(lambda x: round(x, 4))
BODIES = st.tuples(st.integers(2, 8), st.integers(2, 3)).flatmap(
    lambda shape: hnp.arrays(np.float64, (2, *shape), elements=COORDINATES)
)
SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=60, deadline=None)


def skeletons(*shape: int, seed: int = 0, scale: float = 1, offset: float = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(offset, scale, shape)


def orthogonal(seed: int, dims: int = 3, reflect: bool = False) -> np.ndarray:
    matrix = np.linalg.qr(skeletons(dims, dims, seed=seed))[0]
    matrix[0] *= np.sign(np.linalg.det(matrix)) * (-1 if reflect else 1)
    return matrix


def loop(joints: np.ndarray) -> np.ndarray:
    """Distances of (N, V, D), one at a time."""
    return np.array(
        [
            [
                math.dist(frame[i], frame[j])
                for i in range(len(frame))
                for j in range(i + 1, len(frame))
            ]
            for frame in joints
        ]
    )


@pytest.mark.parametrize('frames', [1, 3, 511, 512, 513, 1300])
def test_equals_the_loop_to_the_last_digits_of_float32(frames):
    # Far from the origin in centimetres, where squares of sums would cancel.
    joints = skeletons(frames, 19, 3, scale=40, offset=300).astype(np.float32)
    expected = loop(joints.astype(np.float64))
    got = pairwise_distances(joints)
    assert got.dtype == np.float32 and got.shape == (frames, 171)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    np.testing.assert_allclose(pairwise_distances(joints.astype(np.float64)), expected, rtol=1e-14)


@pytest.mark.parametrize('num_joints', [1, 2, 3, 19])
@pytest.mark.parametrize('dims', [1, 2, 3, 5])
def test_pairs_come_in_the_order_of_triu_indices(num_joints, dims):
    joints = skeletons(4, num_joints, dims)
    first, second = np.triu_indices(num_joints, 1)
    expected = np.linalg.norm(joints[:, first] - joints[:, second], axis=-1)
    np.testing.assert_allclose(pairwise_distances(joints), expected, rtol=1e-13)


@pytest.mark.parametrize('leading', [(), (0,), (2,), (2, 3), (2, 1, 3), (5, 0)])
@pytest.mark.parametrize('kind', ['array', 'tensor', 'tensor with gradient'])
def test_leading_dimensions_kind_and_dtype_are_kept(leading, kind):
    joints = skeletons(*leading, 5, 3).astype(np.float32)
    expected = loop(joints.reshape(-1, 5, 3)).reshape(*leading, 10)
    given = joints if kind == 'array' else torch.tensor(joints, requires_grad='gradient' in kind)
    got = pairwise_distances(given)
    assert type(got) is type(given) and got.dtype == given.dtype and got.shape == (*leading, 10)
    np.testing.assert_allclose(
        got if kind == 'array' else got.detach().numpy(), expected, rtol=1e-5
    )


def test_any_memory_layout_is_read_rightly():
    joints = skeletons(6, 5, 3)
    expected = loop(joints)
    readonly = joints.copy()
    readonly.flags.writeable = False
    for same in (
        np.asfortranarray(joints),
        joints[::-1].copy()[::-1],
        readonly,
        joints.astype('>f8'),
        joints.transpose(2, 1, 0).copy().transpose(2, 1, 0),
    ):
        np.testing.assert_allclose(pairwise_distances(same), expected, rtol=1e-13)
    tensor = torch.from_numpy(joints.transpose(2, 0, 1).copy()).permute(1, 2, 0)
    np.testing.assert_allclose(pairwise_distances(tensor).numpy(), expected, rtol=1e-13)


def test_the_fast_way_and_the_differentiable_way_agree():
    joints = torch.tensor(skeletons(1500, 19, 3), dtype=torch.float32)
    joints[7, 3, 1] = float('nan')
    joints[8, 4] = joints[8, 5]
    fast, slow = pairwise_distances(joints), pairwise_distances(joints.clone().requires_grad_())
    torch.testing.assert_close(fast, slow.detach(), rtol=1e-6, atol=0, equal_nan=True)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_neither_overflows_nor_loses_more_than_its_own_rounding(dtype):
    joints = torch.tensor(skeletons(4, 19, 3, scale=60)).to(dtype)
    got = pairwise_distances(joints)
    assert got.dtype == dtype and got.isfinite().all()
    np.testing.assert_allclose(
        got.double().numpy(), loop(joints.double().numpy()), rtol=torch.finfo(dtype).eps
    )


@pytest.mark.parametrize('gradient', [False, True])
def test_a_missing_joint_makes_only_its_own_pairs_nan(gradient):
    joints = torch.tensor(skeletons(3, 6, 3))
    whole = pairwise_distances(joints)
    joints[1, 2, 0] = float('nan')
    got = pairwise_distances(joints.requires_grad_(gradient)).detach()
    lost = torch.tensor([2 in pair for pair in itertools.combinations(range(6), 2)])
    assert torch.equal(got.isnan(), torch.stack([lost & False, lost, lost & False]))
    torch.testing.assert_close(got.nan_to_num(0), whole.masked_fill(got.isnan(), 0))


def test_gradients_match_finite_differences():
    joints = torch.tensor(skeletons(2, 5, 3), requires_grad=True)
    assert torch.autograd.gradcheck(pairwise_distances, joints)
    assert torch.autograd.gradgradcheck(pairwise_distances, joints)


def test_gradients_are_finite_where_joints_coincide_or_are_missing():
    joints = torch.tensor(skeletons(2, 5, 3))
    joints[0, 1] = joints[0, 3]
    joints[1, 2] = float('nan')
    joints.requires_grad_()
    pairwise_distances(joints).nansum().backward()
    assert joints.grad.isfinite().all()
    assert (joints.grad[1, 2] == 0).all() and joints.grad[1, 0].abs().sum() > 0


def test_batches_can_be_traced():
    class Distances(torch.nn.Module):
        def forward(self, joints):
            return pairwise_distances(joints)

    traced = torch.jit.trace(Distances(), torch.randn(2, 5, 3))
    joints = torch.randn(7, 5, 3)
    torch.testing.assert_close(traced(joints), pairwise_distances(joints))


@quick
@given(BODIES, SEEDS, st.booleans(), st.floats(-100, 100))
def test_rotation_translation_and_reflection_change_no_distance(joints, seed, reflect, shift):
    dims = joints.shape[-1]
    moved = joints @ orthogonal(seed, dims, reflect) + shift * skeletons(dims, seed=seed)
    np.testing.assert_allclose(
        pairwise_distances(moved),
        pairwise_distances(joints),
        atol=1e-10 * max(1, np.abs(moved).max()),
    )


@quick
@given(BODIES, st.floats(1e-3, 1e3), st.booleans())
def test_distances_scale_with_the_joints(joints, factor, mirrored):
    scaled = joints * (-factor if mirrored else factor)
    np.testing.assert_allclose(
        pairwise_distances(scaled), factor * pairwise_distances(joints), rtol=1e-10
    )


@quick
@given(BODIES)
def test_distances_are_a_metric_and_survive_the_way_to_a_matrix_and_back(joints):
    distances = pairwise_distances(joints)
    matrix = from_condensed(distances)
    assert (matrix >= 0).all() and (np.diagonal(matrix, axis1=-2, axis2=-1) == 0).all()
    around = matrix[..., :, :, None] + matrix[..., None, :, :]  # i to j to k
    assert (matrix[..., :, None, :] <= around * (1 + 1e-9)).all()
    np.testing.assert_array_equal(to_condensed(matrix), distances)


def test_a_matrix_holds_each_distance_twice():
    joints = skeletons(2, 3, 6, 3)
    matrix = from_condensed(pairwise_distances(joints))
    assert matrix.shape == (2, 3, 6, 6)
    for i, j in itertools.product(range(6), repeat=2):
        np.testing.assert_allclose(
            matrix[..., i, j],
            np.linalg.norm(joints[..., i, :] - joints[..., j, :], axis=-1),
            atol=1e-14,
        )
    assert torch.autograd.gradcheck(
        lambda d: to_condensed(from_condensed(d), check=False) * from_condensed(d)[:, 0, 1:2],
        torch.rand(2, 6, dtype=torch.float64, requires_grad=True),
    )


@pytest.mark.parametrize(
    'entries, message',
    [
        ({(1, 0, 2): 0.5}, r'symmetric, got D\[1, 0, 2\] = 0.5 and D\[1, 2, 0\] = 1'),
        ({(1, 2, 0): math.nan}, r'symmetric, got D\[1, 0, 2\] = 1 and D\[1, 2, 0\] = nan'),
        ({(1, 1, 1): 0.25}, r'from itself must be 0, got D\[1, 1, 1\] = 0.25'),
        ({(0, 0, 1): -1, (0, 1, 0): -1}, r'not be negative, got D\[0, 0, 1\] = -1'),
        ({(0, 2, 1): math.inf, (0, 1, 2): math.inf}, r'finite, got D\[0, 1, 2\] = inf'),
    ],
    ids=['asymmetric', 'NaN on one side', 'diagonal', 'negative', 'infinite'],
)
@pytest.mark.parametrize('kind', [np.array, torch.tensor])
def test_what_is_no_distance_matrix_is_refused_by_its_entry(entries, message, kind):
    matrix = np.ones((2, 3, 3)) - np.eye(3)
    for at, value in entries.items():
        matrix[at] = value
    with pytest.raises(ValueError, match=message):
        to_condensed(kind(matrix))
    np.testing.assert_array_equal(to_condensed(kind(matrix), check=False)[..., 0], matrix[:, 0, 1])


def test_rounding_and_missing_joints_are_allowed_in_a_distance_matrix():
    matrix = from_condensed(pairwise_distances(skeletons(2, 5, 3)).astype(np.float32))
    matrix[0, 1, 2] *= 1 + 1e-6
    matrix[1, 3] = matrix[1, :, 3] = np.nan
    assert np.isnan(to_condensed(matrix)).sum() == 4


@pytest.mark.parametrize('pairs', [2, 4, 170, 172])
def test_a_number_of_pairs_that_no_skeleton_has_is_refused(pairs):
    for function in (from_condensed, joints_from_distances):
        with pytest.raises(ValueError, match=rf'V\(V-1\)/2 .*171 for 19 joints.*got {pairs}'):
            function(np.ones((3, pairs)))


@pytest.mark.parametrize(
    'wrong, error, message',
    [
        (
            np.ones((3, 5), int),
            TypeError,
            'joints must be .* floating-point numbers, got dtype torch',
        ),
        ([[1.0, 2.0]], TypeError, 'got list'),
        (np.ones(3), ValueError, r'shape \(\.\.\., V, D\), got \(3,\)'),
    ],
    ids=['integers', 'list', 'one dimension'],
)
def test_what_are_no_joints_is_refused(wrong, error, message):
    with pytest.raises(error, match=message):
        pairwise_distances(wrong)


@quick
@given(SEEDS, st.integers(4, 19), st.floats(1e-2, 1e3))
def test_scaling_gives_the_joints_back_up_to_rigid_motion(seed, num_joints, scale):
    joints = skeletons(num_joints, 3, seed=seed, scale=scale, offset=scale)
    distances = pairwise_distances(joints)
    back, residual = joints_from_distances(distances, return_residual=True)
    assert residual < 1e-9
    np.testing.assert_allclose(pairwise_distances(back), distances, rtol=1e-6)
    joints, back = joints - joints.mean(0), back - back.mean(0)
    left, _, right = np.linalg.svd(back.T @ joints)
    np.testing.assert_allclose(back @ left @ right, joints, atol=1e-6 * scale)


def test_coinciding_and_flat_and_straight_skeletons_come_back_too():
    points = np.zeros((3, 6, 3))
    points[1, :, :2] = skeletons(6, 2)
    points[2, :, 0] = np.arange(6)
    distances = pairwise_distances(points)
    back, residual = joints_from_distances(distances, return_residual=True)
    np.testing.assert_allclose(pairwise_distances(back), distances, atol=1e-6)
    np.testing.assert_allclose(residual, 0, atol=1e-12)


def test_residual_is_the_share_of_what_the_dimensions_leave_out():
    # A regular simplex of 5 points has 4 equal eigenvalues.
    simplex = np.ones(10)
    for dims, share in ((1, 0.75), (2, 0.5), (3, 0.25), (4, 0)):
        _, residual = joints_from_distances(simplex, dims=dims, return_residual=True)
        assert residual == pytest.approx(share, abs=1e-9)
    # 1, 1, 3 break the triangle inequality: eigenvalues 4.5, 0, and a negative one.
    _, residual = joints_from_distances(np.array([1.0, 3.0, 1.0]), dims=2, return_residual=True)
    values = np.linalg.eigvalsh(
        -0.5
        * (np.eye(3) - 1 / 3)
        @ np.array([[0, 1, 9], [1, 0, 1], [9, 1, 0.0]])
        @ (np.eye(3) - 1 / 3)
    )
    assert values.min() < -0.1
    assert residual == pytest.approx(-values[values < 0].sum() / np.abs(values).sum())


def test_real_waseda_frames_are_distances_of_points_in_space():
    try:
        files = sorted(find_data('waseda_sample').rglob('*.json'))
    except FileNotFoundError as error:
        pytest.skip(f'needs real data: {error}')
    assert files
    for file in files:
        for frame in json.loads(file.read_text()).values():
            distances = np.array(frame['3d_joint'])
            joints, residual = joints_from_distances(distances, return_residual=True)
            assert joints.shape == (19, 3) and residual < 1e-6
            np.testing.assert_allclose(pairwise_distances(joints), distances, atol=1e-6)
            assert joints_from_distances(distances, dims=2, return_residual=True)[1] > 0.01


def turning_body(frames: int = 60) -> np.ndarray:
    """(T, V, 3), a body that moves smoothly, its principal axes changing order all the time."""
    time = np.linspace(0, 3 * math.pi, frames)[:, None, None]
    sizes = 2 + np.sin(time + np.array([0, 2, 4]))
    return (skeletons(9, 3, seed=1) + 0.3 * np.sin(time + skeletons(9, 3, seed=2))) * sizes


@pytest.mark.parametrize('leading', [(), (2,)])
def test_aligned_frames_move_as_the_body_did(leading):
    joints = turning_body()
    joints -= joints.mean(1, keepdims=True)
    step = np.linalg.norm(np.diff(joints, axis=0), axis=-1).max()
    distances = np.broadcast_to(pairwise_distances(joints), (*leading, 60, 36)).copy()
    loose = joints_from_distances(distances)
    aligned = joints_from_distances(distances, align=True)
    assert np.linalg.norm(np.diff(loose, axis=-3), axis=-1).max() > 5 * step
    assert np.linalg.norm(np.diff(aligned, axis=-3), axis=-1).max() < 1.1 * step
    np.testing.assert_allclose(pairwise_distances(aligned), distances, rtol=1e-6)
    # One handedness throughout, and that of frame 0 as it came.
    np.testing.assert_allclose(aligned[..., 0, :, :], loose[..., 0, :, :], atol=1e-12)
    handed = np.sign(np.linalg.det(aligned.swapaxes(-1, -2) @ joints))
    assert (handed == handed[..., :1]).all()


def test_one_frame_can_be_aligned_with_nothing():
    distances = pairwise_distances(skeletons(1, 5, 3))
    np.testing.assert_array_equal(
        joints_from_distances(distances, align=True), joints_from_distances(distances)
    )


@pytest.mark.parametrize('align', [False, True])
def test_gradients_through_scaling_match_finite_differences(align):
    joints = torch.tensor(skeletons(3, 6, 3))
    distances = pairwise_distances(joints).requires_grad_()
    # What does not depend on the choice of axes: distances themselves, and the volume of a
    # tetrahedron, squared.
    assert torch.autograd.gradcheck(
        lambda d: pairwise_distances(joints_from_distances(d, align=align)), distances
    )

    def volume(d):
        place = joints_from_distances(d, align=align)
        return torch.linalg.det(place[..., 1:4, :] - place[..., :1, :]).square()

    assert torch.autograd.gradcheck(volume, distances)


@pytest.mark.parametrize(
    'points',
    [
        torch.cat([torch.eye(3), -torch.eye(3)]),
        torch.eye(4)[:, :3],
        torch.zeros(4, 3),
        torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]),
    ],
    ids=['octahedron', 'corner', 'one point', 'square'],
)
def test_gradients_through_scaling_are_finite_where_axes_are_not_determined(points):
    distances = pairwise_distances(points.double()).requires_grad_()
    back = joints_from_distances(distances)
    (back * torch.rand_like(back)).sum().backward()
    assert distances.grad.isfinite().all()


def test_scaling_keeps_kind_and_dtype():
    distances = pairwise_distances(skeletons(2, 5, 3)).astype(np.float32)
    joints, residual = joints_from_distances(distances, return_residual=True)
    assert isinstance(joints, np.ndarray) and joints.dtype == residual.dtype == np.float32
    assert joints.shape == (2, 5, 3) and residual.shape == (2,)
    assert joints_from_distances(torch.tensor(distances)).dtype == torch.float32


@pytest.mark.parametrize('value', [-0.5, math.nan, math.inf])
def test_distances_that_are_none_are_refused_by_their_entry(value):
    distances = np.ones((2, 10))
    distances[1, 4] = value
    with pytest.raises(ValueError, match=rf'not negative, got {value:g} at \[1, 4\]; 1 of 20'):
        joints_from_distances(distances)


def test_dimensions_and_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='dims must be from 1 to the number of joints, 3, got 4'):
        joints_from_distances(np.ones(3), dims=4)
    with pytest.raises(ValueError, match=r'align takes .* \(\.\.\., T, P\), got \(3,\)'):
        joints_from_distances(np.ones(3), align=True)
    with pytest.raises(ValueError, match=r'shape \(\.\.\., V, V\), got \(3, 4\)'):
        to_condensed(np.ones((3, 4)))


def test_arrays_and_tensors_do_not_mix():
    with pytest.raises(TypeError, match='either NumPy arrays or tensors, got both'):
        joint_angle(np.ones(3), torch.ones(3), np.ones(3))


def test_the_input_is_not_written_to():
    joints = skeletons(5, 7, 3)
    before = joints.copy()
    joints_from_distances(pairwise_distances(joints), align=True)
    np.testing.assert_array_equal(joints, before)
