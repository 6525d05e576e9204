"""Random changes: what they change and what they must not, how much, and how it is drawn."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmaction.registry import TRANSFORMS
from scipy import stats
from scipy.spatial.transform import Rotation

from rpstn.form.geometry.distances import pairwise_distances
from rpstn.form.transforms import JitterSkeleton, MirrorSkeleton, RotateSkeleton, StretchSkeleton
from rpstn.skeletons import SKELETONS, get_skeleton

quick = settings(max_examples=30, deadline=None)
COORDINATES = st.floats(-500, 500, width=32)
# Three points and their mirror images: the middle is 0, and what becomes of them is the matrix.
AXES = np.concatenate([np.eye(3), -np.eye(3)])[None, None]


@pytest.fixture(autouse=True)
def seeded():
    np.random.seed(0)


def body(frames=20, joints=19, dims=3, persons=1, seed=0, scale=30.0, offset=100.0):
    return (
        np.random.default_rng(seed)
        .normal(offset, scale, (persons, frames, joints, dims))
        .astype(np.float32)
    )


def apply(transform, keypoint, name='rep', **others):
    before = keypoint.copy()
    results = transform(dict(keypoint=keypoint, frame_dir=name, **others))
    np.testing.assert_array_equal(keypoint, before)  # what came in is left alone
    assert results['keypoint'].dtype == keypoint.dtype
    assert results['keypoint'].shape == keypoint.shape
    return results['keypoint']


def matrices(transform, count, name='rep') -> np.ndarray:
    """The matrices of so many draws."""
    return np.stack([apply(transform, AXES, name)[0, 0, :3].T for _ in range(count)])


# --- mirror


@pytest.mark.parametrize('skeleton', SKELETONS)
@pytest.mark.parametrize('dims', [2, 3])
def test_a_mirror_exchanges_left_and_right(skeleton, dims):
    skeleton = get_skeleton(skeleton)
    keypoint = body(joints=skeleton.num_joints, dims=dims, persons=2)
    mirror = MirrorSkeleton(skeleton.name, prob=1)
    got = apply(mirror, keypoint)
    swap = {'left': 'right', 'right': 'left'}
    for number, joint in enumerate(skeleton.joints):
        side, _, part = joint.partition('_')
        source = skeleton.index(f'{swap[side]}_{part}' if side in swap else joint)
        np.testing.assert_array_equal(got[:, :, number, 0], -keypoint[:, :, source, 0])
        np.testing.assert_array_equal(got[:, :, number, 1:], keypoint[:, :, source, 1:])
    np.testing.assert_array_equal(apply(mirror, got), keypoint)


@given(hnp.arrays(np.float32, (1, 3, 13, 2), elements=COORDINATES | st.just(np.nan)))
@quick
def test_two_mirrors_are_none(keypoint):
    mirror = MirrorSkeleton('penn13', prob=1)
    np.testing.assert_array_equal(apply(mirror, apply(mirror, keypoint)), keypoint)


def test_scores_stay_with_their_joints():
    skeleton = get_skeleton('penn13')
    keypoint = body(joints=13, dims=2)
    score = keypoint[..., 1].copy()  # which a mirror does not change
    results = MirrorSkeleton('penn13', prob=1)(dict(keypoint=keypoint, keypoint_score=score))
    np.testing.assert_array_equal(results['keypoint_score'], results['keypoint'][..., 1])
    left, right = skeleton.index('left_knee'), skeleton.index('right_knee')
    np.testing.assert_array_equal(results['keypoint_score'][..., left], score[..., right])


def test_a_mirror_is_as_frequent_as_asked_for():
    keypoint = body(frames=2)
    for prob, low, high in ((0, 0, 0), (1, 400, 400), (0.25, 75, 125)):
        transform = MirrorSkeleton('mediapipe19', prob)
        results = [transform(dict(keypoint=keypoint)) for _ in range(400)]
        assert low <= sum(r['mirrored'] for r in results) <= high
        assert all((r['keypoint'] is keypoint) != r['mirrored'] for r in results)
    for prob in (-0.1, 1.1):
        with pytest.raises(ValueError, match=rf'prob must lie in 0..1, got {prob}'):
            MirrorSkeleton('mediapipe19', prob)


@pytest.mark.parametrize('clips', [None, 3])
def test_mirror_images_follow_as_clips_of_their_own(clips):
    keypoint, score = body(12, persons=2), np.random.rand(2, 12, 19)
    results = dict(
        keypoint=keypoint, keypoint_score=score, **({} if clips is None else dict(num_clips=clips))
    )
    got = TRANSFORMS.build(dict(type='AddMirrored', skeleton='mediapipe19'))(dict(results))
    mirror = MirrorSkeleton('mediapipe19', prob=1)(dict(results))
    for key in ('keypoint', 'keypoint_score'):
        np.testing.assert_array_equal(got[key][:, :12], results[key])
        np.testing.assert_array_equal(got[key][:, 12:], mirror[key])
    assert got['num_clips'] == 2 * (clips or 1)
    shaped = TRANSFORMS.build(dict(type='FormatGCNInput', num_person=2))(got)['keypoint']
    for number in range(clips or 1):
        frames = slice(number * 12 // (clips or 1), (number + 1) * 12 // (clips or 1))
        np.testing.assert_array_equal(shaped[number, ..., :3], keypoint[:, frames])
        np.testing.assert_array_equal(
            shaped[number + (clips or 1), ..., :3], mirror['keypoint'][:, frames]
        )


# --- rotation


@pytest.mark.parametrize(
    'options, dims',
    [
        (dict(), 3),
        (dict(), 2),
        (dict(angles=(10, 180, 40)), 3),
        (dict(angles=45), 2),
        (dict(angles=[45]), 2),
        (dict(seed=0), 3),
        (dict(seed=4), 2),
    ],
)
def test_a_rotation_keeps_distances_and_the_middle(options, dims):
    keypoint = body(persons=2, dims=dims)
    got = apply(RotateSkeleton(**options), keypoint)
    assert np.abs(got - keypoint).max() > 1
    np.testing.assert_allclose(pairwise_distances(got), pairwise_distances(keypoint), rtol=1e-4)
    np.testing.assert_allclose(got.mean((0, 1, 2)), keypoint.mean((0, 1, 2)), rtol=1e-4)
    # All frames and persons alike: distances between frames are kept, too.
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(got, axis=1), axis=-1),
        np.linalg.norm(np.diff(keypoint, axis=1), axis=-1),
        rtol=1e-4,
        atol=1e-4,
    )


@given(hnp.arrays(np.float64, (1, 2, 5, 3), elements=COORDINATES), st.integers(0, 2**32 - 1))
@quick
def test_any_rotation_keeps_distances(keypoint, seed):
    got = apply(RotateSkeleton(seed=seed), keypoint)
    np.testing.assert_allclose(pairwise_distances(got), pairwise_distances(keypoint), atol=1e-9)


def test_any_rotation_is_drawn_uniformly():
    drawn = matrices(RotateSkeleton('any'), 4000)
    np.testing.assert_allclose(np.linalg.det(drawn), 1)
    np.testing.assert_allclose(
        drawn @ drawn.transpose(0, 2, 1), np.tile(np.eye(3), (4000, 1, 1)), atol=1e-12
    )
    # Each entry has mean 0 and variance 1/3; that of the mean is 1/3 / 4000, its deviation .0091.
    assert np.abs(drawn.mean(0)).max() < 0.04
    np.testing.assert_allclose(drawn.var(0), 1 / 3, atol=0.03)
    # Each is uniform in -1..1 (Archimedes), and the angle has the density (1 - cos) / pi.
    for row, column in np.ndindex(3, 3):
        assert stats.kstest(drawn[:, row, column], 'uniform', (-1, 2)).pvalue > 1e-4
    angle = np.arccos(((np.trace(drawn, axis1=1, axis2=2) - 1) / 2).clip(-1, 1))
    assert stats.kstest(angle, lambda x: (x - np.sin(x)) / np.pi).pvalue > 1e-4


def test_angles_keep_to_their_limits_about_x_then_y_then_z():
    limits = np.array([10, 80, 30])
    drawn = matrices(RotateSkeleton(limits.tolist()), 600)
    angles = Rotation.from_matrix(drawn).as_euler('xyz', degrees=True)  # about fixed axes
    for axis, limit in enumerate(limits):
        assert stats.kstest(angles[:, axis], 'uniform', (-limit, 2 * limit)).pvalue > 1e-4
        assert np.abs(angles[:, axis]).max() <= limit
    for axis in range(3):
        single = [0, 0, 0]
        single[axis] = 90
        drawn = matrices(RotateSkeleton(single), 20)
        np.testing.assert_allclose(drawn[:, axis, axis], 1)
        assert (drawn[:, (axis + 1) % 3, axis] == 0).all()
    np.testing.assert_allclose(matrices(RotateSkeleton((0, 0, 0)), 1)[0], np.eye(3))


def test_angles_in_the_plane():
    corners = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])[None, None]
    for angles, limit in ((20, 20), ('any', 180)):
        transform = RotateSkeleton(angles)
        turned = np.stack([apply(transform, corners)[0, 0, 0] for _ in range(500)])
        drawn = np.degrees(np.arctan2(turned[:, 1], turned[:, 0]))
        assert stats.kstest(drawn, 'uniform', (-limit, 2 * limit)).pvalue > 1e-4
        assert np.abs(drawn).max() <= limit


def test_a_seed_turns_each_sequence_in_a_way_of_its_own():
    transform, other = RotateSkeleton(seed=1), RotateSkeleton(seed=2)
    names = [f'rep_{number}' for number in range(40)]
    drawn = [matrices(transform, 1, name)[0] for name in names]
    np.random.seed(77)
    for name, matrix in zip(names[::-1], drawn[::-1]):  # whatever came before
        np.testing.assert_array_equal(matrices(RotateSkeleton(seed=1), 1, name)[0], matrix)
    differences = np.abs(np.array(drawn)[:, None] - drawn).max((2, 3))
    assert (differences[~np.eye(40, dtype=bool)] > 0.01).all()
    assert np.abs(np.mean(drawn, 0)).max() < 0.35
    assert np.abs(matrices(other, 1, 'rep_0')[0] - drawn[0]).max() > 0.01
    # The same in every run and on every machine.
    np.testing.assert_allclose(
        drawn[0],
        [
            [0.802886, -0.303330, 0.513190],
            [0.437967, 0.884164, -0.162599],
            [-0.404423, 0.355309, 0.842732],
        ],
        atol=1e-6,
    )
    np.random.seed(3)
    first = np.random.rand()
    np.random.seed(3)
    apply(transform, AXES, 'rep_0')
    assert np.random.rand() == first  # it leaves the common generator alone
    assert (matrices(RotateSkeleton(seed=0), 2)[0] == matrices(RotateSkeleton(seed=0), 1)).all()
    unseeded = matrices(RotateSkeleton(), 2)
    assert np.abs(unseeded[0] - unseeded[1]).max() > 0.01


def test_missing_joints_stay_missing_and_alone():
    keypoint = body()
    gap = keypoint.copy()
    gap[0, 3, 4], gap[0, 7, 5, 2] = np.nan, np.nan
    for transform in (
        RotateSkeleton(),
        StretchSkeleton(0.1),
        JitterSkeleton(0.1, 0.1),
        RotateSkeleton(seed=1),
    ):
        got = np.isnan(apply(transform, gap)).any(-1)
        assert got[0, 3, 4] and got[0, 7, 5] and got.sum() == 2
    with pytest.warns(RuntimeWarning):
        assert np.isnan(apply(RotateSkeleton(), keypoint * np.nan)).all()


def test_bad_angles_are_refused():
    with pytest.raises(ValueError, match="angles must be 'any' or degrees, got 'all'"):
        RotateSkeleton('all')
    for angles, dims in ((30, 3), ((10, 20), 3), ((10, 20, 30), 2)):
        with pytest.raises(ValueError, match='one number for 2 coordinates, one for each axis'):
            apply(RotateSkeleton(angles), body(dims=dims))


# --- stretching


def test_each_axis_is_stretched_by_its_own_factor():
    keypoint = body()
    factors = []
    for _ in range(800):
        ratio = apply(StretchSkeleton((0.05, 0, 0.3)), keypoint) / keypoint
        np.testing.assert_allclose(ratio, np.broadcast_to(ratio[0, 0, 0], ratio.shape), rtol=1e-5)
        factors.append(ratio[0, 0, 0])
    logarithms = np.log(factors)
    np.testing.assert_allclose(logarithms.std(0), (0.05, 0, 0.3), rtol=0.1, atol=1e-6)
    np.testing.assert_allclose(logarithms.mean(0), 0, atol=0.04)
    assert abs(np.corrcoef(logarithms[:, 0], logarithms[:, 2])[0, 1]) < 0.15
    # One number for all of them still draws one factor for each axis.
    x, y = (apply(StretchSkeleton(0.2), body(dims=2)) / body(dims=2))[0, 0, 0]
    assert x != y
    np.testing.assert_array_equal(apply(StretchSkeleton(0), keypoint), keypoint)
    with pytest.raises(ValueError, match=r'scales must be >= 0, got \(0.1, -0.1\)'):
        StretchSkeleton((0.1, -0.1))


# --- jitter


def size_of(keypoint):
    """The root mean square distance from the middle, frame by frame."""
    return np.sqrt(
        np.mean(
            [
                np.sum((joint - frame.mean(0)) ** 2)
                for person in keypoint
                for frame in person
                for joint in frame
            ]
        )
    )


@pytest.mark.parametrize('scale', [0.3, 400])
@pytest.mark.parametrize('dims', [2, 3])
def test_white_noise_is_a_share_of_the_body(scale, dims):
    keypoint = body(120, dims=dims, scale=scale).astype(np.float64)
    keypoint += scale * np.arange(120)[:, None, None]  # whoever walks does not grow
    noise = apply(JitterSkeleton(white=0.05), keypoint) - keypoint
    assert noise.std() == pytest.approx(0.05 * size_of(keypoint), rel=0.05)
    assert abs(noise.mean()) < 0.1 * noise.std()
    whitened = noise / noise.std()
    assert stats.kstest(whitened.ravel(), 'norm').pvalue > 1e-4
    steps = (whitened[:, 1:] * whitened[:, :-1]).mean()
    joints = (whitened[:, :, 1:] * whitened[:, :, :-1]).mean()
    assert abs(steps) < 0.05 and abs(joints) < 0.05


def test_drift_is_slow_and_as_large_as_told_at_its_knots():
    keypoint = body(71, persons=2).astype(np.float64)
    noise = np.stack(
        [apply(JitterSkeleton(drift=0.1, knots=8), keypoint) - keypoint for _ in range(8)]
    ) / size_of(keypoint)
    assert noise[:, :, ::10].std() == pytest.approx(0.1, rel=0.05)
    # Straight in between: all second differences but those at the knots are 0.
    bends = np.abs(np.diff(noise, 2, axis=2)).max((0, 1, 3, 4))
    assert (bends[9::10] > 0.001).all() and np.delete(bends, range(9, 69, 10)).max() < 1e-12
    flat = noise[:, :, ::10].reshape(16, 8, -1)
    for first, second in (
        (flat[:, :-1], flat[:, 1:]),
        (flat[::2], flat[1::2]),
        (flat[..., :-3], flat[..., 3:]),
    ):  # knots, persons, joints
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.06


def test_noise_adds_up_and_has_factors_for_axes():
    keypoint = body(71).astype(np.float64)
    noise = apply(JitterSkeleton(white=0.03, drift=0.04, axes=(1, 0, 3)), keypoint) - keypoint
    share = noise.std((0, 1, 2)) / size_of(keypoint)
    # Between two knots, the drift's variance is 2/3 of that at them, in the mean.
    expected = np.hypot(0.03, 0.04 * (2 / 3) ** 0.5)
    np.testing.assert_allclose(share, expected * np.array([1, 0, 3]), rtol=0.12)
    np.testing.assert_array_equal(apply(JitterSkeleton(), keypoint), keypoint)
    assert np.isfinite(apply(JitterSkeleton(0.1, 0.1), keypoint[:, :1])).all()
    assert np.isfinite(apply(JitterSkeleton(0.1, 0.1, knots=2), keypoint[:, :3])).all()


def test_missing_joints_do_not_count_into_the_size():
    keypoint = body(60).astype(np.float64)
    keypoint[0, :, 3] = 1e5  # far away, if it counted
    gap = keypoint.copy()
    gap[0, :, 3] = np.nan
    np.random.seed(1)
    noise = (apply(JitterSkeleton(0.1), gap) - gap)[0][:, [j for j in range(19) if j != 3]]
    rest = np.delete(keypoint, 3, axis=2)
    assert noise.std() == pytest.approx(0.1 * size_of(rest), rel=0.05)


def test_bad_noise_is_refused():
    for options in (dict(white=-0.1), dict(drift=-0.1), dict(knots=1)):
        with pytest.raises(ValueError, match='white >= 0, drift >= 0 and knots >= 2, got'):
            JitterSkeleton(**options)


def test_transforms_are_registered_and_tell_what_they_do():
    for config, text in (
        (
            dict(type='MirrorSkeleton', skeleton='penn13'),
            "MirrorSkeleton(skeleton='penn13', prob=0.5)",
        ),
        (dict(type='RotateSkeleton', seed=3), "RotateSkeleton(angles='any', seed=3)"),
        (dict(type='StretchSkeleton', scales=0.1), 'StretchSkeleton(scales=0.1)'),
        (
            dict(type='JitterSkeleton', white=0.01),
            'JitterSkeleton(white=0.01, drift=0.0, knots=8, axes=None)',
        ),
    ):
        assert repr(TRANSFORMS.build(config)) == text
