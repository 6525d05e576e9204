"""Limb normalization against the tree walked limb by limb, and its invariances."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rpstn.form.geometry.distances import pairwise_distances
from rpstn.form.geometry.limbs import LIMB_KINDS, ancestor_matrix, normalize_limbs
from rpstn.skeletons import SKELETONS, get_skeleton

NAMES = st.sampled_from(sorted(SKELETONS))
KINDS = st.sampled_from(LIMB_KINDS)
SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=40, deadline=None)


def body(name: str, *leading: int, seed: int = 0, dims: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(*leading, SKELETONS[name].num_joints, dims))


def limbs(joints: np.ndarray, name: str) -> np.ndarray:
    """(..., L, D)."""
    parents, children = np.array(SKELETONS[name].limb_indices).T
    return joints[..., children, :] - joints[..., parents, :]


def lengths(joints: np.ndarray, name: str) -> np.ndarray:
    return np.linalg.norm(limbs(joints, name), axis=-1)


def directions(joints: np.ndarray, name: str) -> np.ndarray:
    return limbs(joints, name) / lengths(joints, name)[..., None]


def chosen(name: str, kind: str) -> list[int]:
    skeleton = SKELETONS[name]
    return {
        'none': [],
        'head': list(skeleton.head_limbs),
        'body': list(skeleton.body_limbs),
        'full': list(range(len(skeleton.limbs))),
    }[kind]


def walk(joints: np.ndarray, name: str, kind: str) -> np.ndarray:
    """One skeleton (V, D), one limb after the other from the root."""
    moved = joints.copy()
    for number, (parent, child) in enumerate(SKELETONS[name].limb_indices):
        limb = joints[child] - joints[parent]
        if number in chosen(name, kind):
            limb = limb / np.sqrt((limb**2).sum())
        moved[child] = moved[parent] + limb
    return moved


@pytest.mark.parametrize('name', SKELETONS)
@pytest.mark.parametrize('kind', LIMB_KINDS)
@pytest.mark.parametrize('dims', [2, 3])
def test_equals_the_walk_along_the_tree(name, kind, dims):
    joints = body(name, 2, 3, dims=dims)
    got = normalize_limbs(joints, name, kind)
    for at in np.ndindex(2, 3):
        np.testing.assert_allclose(got[at], walk(joints[at], name, kind), atol=1e-12)


@quick
@given(NAMES, KINDS, SEEDS)
def test_chosen_limbs_have_length_one_the_others_theirs_and_all_their_direction(name, kind, seed):
    joints = body(name, 3, seed=seed)
    got = normalize_limbs(joints, name, kind)
    expected = lengths(joints, name)
    expected[:, chosen(name, kind)] = 1
    np.testing.assert_allclose(lengths(got, name), expected, atol=1e-12)
    np.testing.assert_allclose(directions(got, name), directions(joints, name), atol=1e-9)
    root = SKELETONS[name].root
    np.testing.assert_array_equal(got[:, root], joints[:, root])


@quick
@given(NAMES, KINDS, SEEDS)
def test_doing_it_twice_changes_nothing(name, kind, seed):
    once = normalize_limbs(body(name, 3, seed=seed), name, kind)
    np.testing.assert_allclose(normalize_limbs(once, name, kind), once, atol=1e-12)


@quick
@given(NAMES, SEEDS, SEEDS)
def test_two_bodies_in_one_pose_become_equal(name, pose, proportions):
    joints, rng = body(name, 3, seed=pose), np.random.default_rng(proportions)
    parents = np.array(SKELETONS[name].parents)
    other = joints.copy()
    for number, (parent, child) in enumerate(SKELETONS[name].limb_indices):
        other[:, child] = other[:, parent] + limbs(joints, name)[:, number] * rng.uniform(0.3, 3)
    assert (parents == -1).sum() == 1 and not np.allclose(other, joints)
    np.testing.assert_allclose(
        normalize_limbs(other, name, 'full'), normalize_limbs(joints, name, 'full'), atol=1e-9
    )
    # 'head' and 'body' take away what they name, and no more.
    for kind in ('head', 'body'):
        rest = [n for n in range(len(parents) - 1) if n not in chosen(name, kind)]
        assert not np.allclose(
            lengths(normalize_limbs(other, name, kind), name)[:, rest],
            lengths(normalize_limbs(joints, name, kind), name)[:, rest],
        )


@quick
@given(NAMES, KINDS, SEEDS, st.booleans())
def test_turning_moving_and_mirroring_may_come_before_or_after(name, kind, seed, reflect):
    joints, rng = body(name, 3, seed=seed), np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn[0] *= np.linalg.det(turn) * (-1 if reflect else 1)
    shift = rng.normal(size=3)
    np.testing.assert_allclose(
        normalize_limbs(joints @ turn + shift, name, kind),
        normalize_limbs(joints, name, kind) @ turn + shift,
        atol=1e-9,
    )


@quick
@given(st.sampled_from(['cocoplus19', 'smpl24', 'jhmdb15', 'h36m17']), KINDS, SEEDS)
def test_exchanging_left_and_right_may_come_before_or_after_on_a_symmetric_tree(name, kind, seed):
    flip = list(SKELETONS[name].flip_indices)
    joints = body(name, 3, seed=seed)
    np.testing.assert_allclose(
        normalize_limbs(joints[:, flip], name, kind),
        normalize_limbs(joints, name, kind)[:, flip],
        atol=1e-12,
    )


@pytest.mark.parametrize('name', ['coco17', 'mediapipe33', 'mediapipe19', 'penn13'])
@pytest.mark.parametrize('kind', LIMB_KINDS)
def test_elsewhere_it_changes_where_the_body_lies_but_for_the_head(name, kind):
    skeleton = SKELETONS[name]
    flip, joints = list(skeleton.flip_indices), body(name, 3)
    below = [
        j
        for j, joint in enumerate(skeleton.joints)
        if joint.split('_')[-1] not in ('head', 'nose', 'eye', 'inner', 'outer', 'ear', 'mouth')
    ]
    before = normalize_limbs(joints[:, flip], name, kind)[:, below]
    after = normalize_limbs(joints, name, kind)[:, flip][:, below]
    np.testing.assert_allclose(pairwise_distances(before), pairwise_distances(after), atol=1e-9)


def test_the_unit_does_not_matter_where_all_limbs_are_rescaled():
    joints = body('mediapipe19', 4)
    metres = pairwise_distances(normalize_limbs(joints, 'mediapipe19', 'full'))
    centimetres = pairwise_distances(normalize_limbs(100 * joints, 'mediapipe19', 'full'))
    np.testing.assert_allclose(metres, centimetres, rtol=1e-9)


@pytest.mark.parametrize('kind', ['body', 'full'])
def test_a_limb_without_length_stays_one_and_has_a_finite_gradient(kind):
    joints = torch.tensor(body('coco17', 2))
    elbow, wrist = (get_skeleton('coco17').index(f'left_{part}') for part in ('elbow', 'wrist'))
    joints[1, wrist] = joints[1, elbow]
    joints.requires_grad_()
    got = normalize_limbs(joints, 'coco17', kind)
    assert torch.equal(got[1, wrist], got[1, elbow])
    got.square().sum().backward()
    assert joints.grad.isfinite().all()


def test_gradients_match_finite_differences():
    joints = torch.tensor(body('penn13', 2, dims=2), requires_grad=True)
    for kind in LIMB_KINDS[1:]:
        assert torch.autograd.gradcheck(
            lambda x, kind=kind: normalize_limbs(x, 'penn13', kind), joints
        )


@pytest.mark.parametrize('kind', LIMB_KINDS[1:])
def test_a_missing_joint_loses_itself_and_what_hangs_on_it(kind):
    skeleton, joints = SKELETONS['coco17'], torch.tensor(body('coco17', 2))
    whole = normalize_limbs(joints, 'coco17', kind)
    joints[1, skeleton.index('left_shoulder'), 0] = float('nan')
    joints.requires_grad_()
    got = normalize_limbs(joints, 'coco17', kind)
    lost = {skeleton.joints[j] for j in got[1].isnan().any(-1).nonzero().flatten()}
    assert lost == {'left_shoulder', 'left_elbow', 'left_wrist'}
    assert not got[0].isnan().any()
    kept = ~got.isnan()
    torch.testing.assert_close(got[kept], whole[kept])
    got.nansum().backward()
    assert joints.grad.isfinite().all()


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_kind_and_dtype_are_kept(dtype):
    joints = body('smpl24', 2, 1).astype(dtype)
    array = normalize_limbs(joints, SKELETONS['smpl24'], 'body')
    tensor = normalize_limbs(torch.from_numpy(joints), 'smpl24', 'body')
    assert isinstance(array, np.ndarray) and array.dtype == dtype
    np.testing.assert_array_equal(tensor.numpy(), array)
    assert tensor.dtype == torch.from_numpy(joints).dtype


def test_mixed_precision_around_it_rounds_nothing():
    joints = torch.tensor(body('coco17', 50), dtype=torch.float32)
    expected = normalize_limbs(joints, 'coco17', 'full')
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = normalize_limbs(joints, 'coco17', 'full')
    assert torch.equal(got, expected)


def test_training_works_after_a_first_use_in_inference_mode():
    ancestor_matrix.cache_clear()
    with torch.inference_mode():
        normalize_limbs(torch.randn(2, 17, 3), 'coco17')
    joints = torch.randn(2, 17, 3, requires_grad=True)
    normalize_limbs(joints, 'coco17').sum().backward()
    assert joints.grad.isfinite().all()


@pytest.mark.parametrize(
    'arguments, error, message',
    [
        ((np.zeros((2, 17, 3)), 'coco17', 'legs'), ValueError, "kind must be one of .* got 'legs'"),
        ((np.zeros((2, 18, 3)), 'coco17'), ValueError, r'coco17 takes joints .* got \(2, 18, 3\)'),
        ((np.zeros((2, 17, 3)), 'coco18'), ValueError, "unknown skeleton 'coco18'; known are"),
        ((np.zeros((2, 17, 3), int), 'coco17'), TypeError, 'floating-point numbers'),
    ],
    ids=['kind', 'joints', 'skeleton', 'integers'],
)
def test_what_does_not_fit_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        normalize_limbs(*arguments)
