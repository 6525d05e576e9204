"""Angles, repetitions, tempo, gaps and outliers: known answers, NumPy's own, real squats."""

import csv
import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rpstn.form.geometry.motion import (
    canonical_starts,
    fill_gaps,
    joint_angle,
    remove_outliers,
    resample,
    standing_angle,
)
from rpstn.pose.datasets import find_data
from rpstn.skeletons import SKELETONS

SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=60, deadline=None)
NAN = math.nan


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def squatting(right, left=None, name: str = 'mediapipe19') -> np.ndarray:
    """(T, V, 3) whose angles shoulder - hip - knee are those given, in degrees."""
    skeleton = SKELETONS[name]
    joints = np.broadcast_to(
        random(skeleton.num_joints, 3), (len(right), skeleton.num_joints, 3)
    ).copy()
    for side, angle in (('right', right), ('left', right if left is None else left)):
        angle = np.radians(np.asarray(angle, float))
        shoulder, hip, knee = (
            skeleton.index(f'{side}_{part}') for part in ('shoulder', 'hip', 'knee')
        )
        joints[:, shoulder] = joints[:, hip] + [0, 0.5, 0]
        joints[:, knee] = joints[:, hip] + 0.4 * np.stack(
            [np.sin(angle), np.cos(angle), 0 * angle], -1
        )
    return joints


def squats(depth: float = 80, times: int = 1, still: int = 10, down: int = 20) -> np.ndarray:
    """Angles of ``times`` squats from 175 degrees to ``depth`` and back, standing between."""
    bend = 175 - (175 - depth) * np.sin(np.linspace(0, math.pi, down)) ** 2
    return np.concatenate([np.full(still, 175.0), *[np.r_[bend, np.full(still, 175.0)]] * times])


@pytest.fixture(scope='module')
def real_squats() -> dict[str, np.ndarray]:
    """Name -> (T, 19, 3) centimetres, of recordings from every day."""
    try:
        folder = find_data('squat_mediapipe19')
    except FileNotFoundError as error:
        pytest.skip(f'needs real data: {error}')
    names = [row['name'] for row in csv.DictReader((folder / 'labels.csv').open())]
    with np.load(folder / 'keypoints3d.npz') as file:
        return {name: file[name] for name in names[::6]}


@pytest.mark.parametrize('dims', [2, 3])
@pytest.mark.parametrize('degrees', [0, 1e-4, 30, 90, 150, 179.9999, 180])
def test_an_angle_is_what_was_built(dims, degrees):
    turn = np.radians(degrees)
    a, b = np.zeros(dims), random(dims)
    c = np.zeros(dims)
    a[0], c[0], c[1] = 2, 3 * np.cos(turn), 3 * np.sin(turn)
    spin = np.linalg.qr(random(dims, dims))[0]
    assert joint_angle(b + a @ spin, b, b + c @ spin) == pytest.approx(degrees, abs=1e-6)


@quick
@given(SEEDS, st.floats(1e-3, 1e3))
def test_an_angle_keeps_under_rigid_motion_and_scale_and_exchange(seed, scale):
    a, b, c = random(3, 5, 3, seed=seed)
    angle = joint_angle(a, b, c)
    u, v = a - b, c - b
    cosine = (u * v).sum(-1) / np.linalg.norm(u, axis=-1) / np.linalg.norm(v, axis=-1)
    np.testing.assert_allclose(angle, np.degrees(np.arccos(cosine)), atol=1e-5)
    spin = np.linalg.qr(random(3, 3, seed=seed))[0] * scale
    moved = (point @ spin + 7 for point in (c, b, a))
    np.testing.assert_allclose(joint_angle(*moved), angle, atol=1e-6)
    # The three angles of a triangle.
    np.testing.assert_allclose(angle + joint_angle(b, c, a) + joint_angle(c, a, b), 180)


def test_gradients_of_angles_match_finite_differences():
    points = [torch.tensor(random(4, 3, seed=seed), requires_grad=True) for seed in range(3)]
    assert torch.autograd.gradcheck(joint_angle, points)


@pytest.mark.parametrize(
    'a, c',
    [
        ((1.0, 0, 0), (2.0, 0, 0)),
        ((1.0, 0, 0), (-1.0, 0, 0)),
        ((1.0, 0, 0), (-1.0, 1e-7, 0)),
        ((0.1, 0.2, 0.3), (0.3, 0.6, 0.9)),
    ],
    ids=['0', '180', 'nearly 180', 'nearly 0'],
)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_gradients_of_straight_and_folded_limbs_are_finite(a, c, dtype):
    a, b, c = (torch.tensor(p, dtype=dtype, requires_grad=True) for p in (a, (0.0, 0, 0), c))
    joint_angle(a, b, c).backward()
    for point in (a, b, c):
        assert point.grad.isfinite().all() and point.grad.norm() < 200


def test_an_angle_without_a_direction_is_nan_and_passes_no_gradient():
    a, b, c = torch.tensor(random(3, 3, 3))
    a[0], c[1, 2] = b[0], NAN
    for point in (a, b, c):
        point.requires_grad_()
    angle = joint_angle(a, b, c)
    assert angle.isnan().tolist() == [True, True, False]
    angle.nansum().backward()
    assert all(point.grad.isfinite().all() for point in (a, b, c))
    assert (b.grad[:2] == 0).all() and b.grad[2].norm() > 0


def test_angles_keep_dtype_and_broadcast():
    a, b, c = random(4, 3), random(3), random(2, 1, 3)
    angle = joint_angle(a.astype(np.float32), b.astype(np.float32), c.astype(np.float32))
    assert angle.shape == (2, 4) and angle.dtype == np.float32
    np.testing.assert_allclose(angle, joint_angle(*map(torch.tensor, (a, b, c))), rtol=1e-4)


@pytest.mark.parametrize('name', SKELETONS)
@pytest.mark.parametrize(
    'side, expected', [('right', [170, 90]), ('left', [100, NAN]), ('both', [135, 90])]
)
def test_the_standing_angle_of_a_side(name, side, expected):
    joints = squatting([170, 90], [100, 80], name)
    joints[1, SKELETONS[name].index('left_knee'), 0] = NAN
    np.testing.assert_allclose(standing_angle(joints, name, side), expected)


@pytest.mark.parametrize('times', [1, 2, 5])
@pytest.mark.parametrize('kind', [np.asarray, torch.tensor])
def test_each_bend_starts_with_the_last_standing_frame(times, kind):
    angle = squats(times=times)
    joints = kind(squatting(angle))
    starts = canonical_starts(joints, 'mediapipe19')
    assert len(starts) == times and all(isinstance(start, int) for start in starts)
    assert all(angle[start] > 150 >= angle[start + 1] for start in starts)


@pytest.mark.parametrize(
    'angle, starts',
    [
        ([175] * 20, []),
        ([90] * 20, []),
        ([145] * 20, []),
        ([NAN] * 20, []),
        ([], []),
        ([90] * 8 + [170] * 8, []),
        ([170] * 8 + [90] * 8, [7]),
        ([90] * 8 + [170] * 8 + [90] * 8, [15]),
        ([90] * 8 + [170] * 8 + [90] * 8 + [170] * 8, [15]),
        ([170] + [90] * 8 + [170], [0]),
        ([145] * 5 + [170] * 5 + [145] * 3 + [90] * 8 + [145] * 3 + [170] * 5, [9]),
        ([170] * 8 + [NAN] * 4 + [90] * 8 + [NAN] * 4 + [170] * 8, [7]),
        ([170] * 8 + [90] * 2 + [170] * 8, []),
        ([170] * 8 + [90] * 5 + [170] * 2 + [90] * 5 + [170] * 8, [7]),
        ([170] * 8 + [90] * 5 + [170] * 3 + [90] * 5 + [170] * 8, [7, 15]),
        ([170] * 8 + [142] * 8 + [170] * 8, []),
        ([170] * 8 + [90] * 2 + [170] + [90] * 5 + [170] * 8, [7]),
    ],
    ids=[
        'never bends',
        'never stands',
        'in between only',
        'unknown',
        'no frames',
        'rises only',
        'bends only',
        'starts and ends bent',
        'starts bent',
        'stands for one frame at the ends',
        'starts in between',
        'unknown on the way',
        'a short dip',
        'a short rise',
        'a long rise',
        'within the hysteresis',
        'the shorter of two short runs goes first',
    ],
)
def test_starts_of_known_motions(angle, starts):
    joints = squatting(angle)
    assert canonical_starts(joints, 'mediapipe19') == starts


@quick
@given(SEEDS, st.integers(1, 4), st.floats(0, 4), st.floats(40, 120))
def test_noise_divides_no_bend(seed, times, noise, depth):
    angle = squats(depth, times, still=20, down=40)
    noisy = angle + np.random.default_rng(seed).uniform(-noise, noise, len(angle))
    assert len(canonical_starts(squatting(noisy), 'mediapipe19')) == times


@quick
@given(SEEDS, st.integers(1, 4))
def test_a_clip_cut_at_a_start_has_one_at_its_first_frame(seed, times):
    rng = np.random.default_rng(seed)
    angle = squats(times=times) + rng.normal(0, 5, len(squats(times=times)))
    joints = squatting(np.clip(angle, 5, 179))
    starts = canonical_starts(joints, 'mediapipe19')
    for start in starts:
        cut = canonical_starts(joints[start:], 'mediapipe19')
        assert cut == [other - start for other in starts if other >= start]


def test_the_side_decides_which_leg_counts():
    right, left = squats(), squats(depth=140)
    joints = squatting(right, left)
    assert len(canonical_starts(joints, 'mediapipe19', side='right')) == 1
    assert canonical_starts(joints, 'mediapipe19', side='left') == []
    both = canonical_starts(joints, 'mediapipe19', side='both')
    assert len(both) == 1 and both[0] >= canonical_starts(joints, 'mediapipe19')[0]


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(side='front'), r"side must be one of \('right', 'left', 'both'\), got 'front'"),
        (dict(skeleton='coco17'), r'coco17 takes joints .* got \(40, 19, 3\)'),
        (dict(hysteresis=-1), 'hysteresis must be at least 0 .* got -1'),
        (dict(min_frames=0), 'min_frames at least 1, got 10 and 0'),
        (dict(joints=np.zeros((2, 40, 19, 3))), r'shape \(T, V, D\), got \(2, 40, 19, 3\)'),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else '',
)
def test_what_cannot_be_searched_for_starts_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        canonical_starts(**{'joints': squatting(squats()), 'skeleton': 'mediapipe19', **arguments})


@quick
@given(SEEDS, st.integers(1, 20), st.integers(1, 40), st.floats(0, 1), st.floats(0, 1))
def test_resampling_is_numpys_interpolation_of_each_channel(seed, frames, wanted, low, high):
    x = random(frames, 2, 3, seed=seed)
    start, end = sorted((low * (frames - 1), high * (frames - 1)))
    got = resample(x, wanted, start, end)
    at = np.linspace(start, end, wanted)
    assert got.shape == (wanted, 2, 3)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_allclose(
            got[:, i, j], np.interp(at, np.arange(frames), x[:, i, j]), atol=1e-9
        )


@pytest.mark.parametrize('kind', [np.asarray, torch.tensor])
def test_resampling_to_as_many_frames_changes_nothing_not_even_nan(kind):
    x = random(31, 4, 2).astype(np.float32)
    x[7, 2], x[0, 1], x[30, 0] = NAN, NAN, NAN
    got = resample(kind(x), 31)
    assert got.dtype == kind(x).dtype
    np.testing.assert_array_equal(np.asarray(got), x)
    # Between a number and NaN there is NaN, nowhere else.
    twice = np.asarray(resample(kind(x), 61))
    np.testing.assert_array_equal(twice[::2], x)
    np.testing.assert_array_equal(np.isnan(twice[:, 2, 0]).nonzero()[0], [13, 14, 15])


def test_gradients_of_resampling_match_finite_differences():
    x = torch.tensor(random(6, 2), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: resample(x, 9, 0.3, 4.7), x)
    x = torch.tensor([1.0, NAN, 3.0, 4.0], requires_grad=True)
    resample(x, 7).nansum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    'frames, arguments',
    [(0, (5,)), (5, (0,)), (5, (3, -1)), (5, (3, 0, 4.5)), (5, (3, 3, 2))],
    ids=['no frames', 'to none', 'before the start', 'behind the end', 'backwards'],
)
def test_what_cannot_be_resampled_is_refused(frames, arguments):
    with pytest.raises(ValueError, match=r'needs num_frames >= 1 and 0 <= start <= end <= T - 1'):
        resample(np.zeros((frames, 2)), *arguments)


def fill_one_by_one(joints: np.ndarray, max_gap: int) -> np.ndarray:
    filled = joints.copy()
    for v in range(joints.shape[1]):
        known = np.flatnonzero(~np.isnan(joints[:, v]).any(-1))
        for t in range(len(joints)):
            if not len(known) or t in known:
                continue
            before, after = known[known < t], known[known > t]
            first = before[-1] if len(before) else -1
            last = after[0] if len(after) else len(joints)
            if last - first - 1 <= max_gap:
                for d in range(joints.shape[2]):
                    filled[t, v, d] = np.interp(t, known, joints[known, v, d])
    return filled


@quick
@given(SEEDS, st.integers(1, 25), st.integers(0, 6), st.floats(0, 1))
def test_gaps_are_filled_as_one_by_one(seed, frames, max_gap, share):
    rng = np.random.default_rng(seed)
    joints = rng.normal(size=(frames, 3, 2))
    joints[rng.random((frames, 3)) < share] = NAN
    np.testing.assert_allclose(
        fill_gaps(joints, max_gap), fill_one_by_one(joints, max_gap), atol=1e-12
    )


def test_gaps_of_known_length():
    x = np.array([NAN, NAN, 1, NAN, 3, NAN, NAN, NAN, 7, NAN])[:, None, None]
    for max_gap, expected in (
        (0, x[:, 0, 0]),
        (1, [NAN, NAN, 1, 2, 3, NAN, NAN, NAN, 7, 7]),
        (2, [1, 1, 1, 2, 3, NAN, NAN, NAN, 7, 7]),
        (3, [1, 1, 1, 2, 3, 4, 5, 6, 7, 7]),
    ):
        np.testing.assert_allclose(fill_gaps(x, max_gap)[:, 0, 0], expected)
    empty = np.full((4, 2, 3), NAN)
    np.testing.assert_array_equal(fill_gaps(empty, 10), empty)


def test_a_joint_with_one_unknown_coordinate_is_filled_whole_and_leading_dimensions_work():
    joints = torch.tensor(random(2, 5, 3, 2))
    joints[1, 2, 0, 1] = NAN
    got = fill_gaps(joints, 1)
    torch.testing.assert_close(got[1, 2, 0], (joints[1, 1, 0] + joints[1, 3, 0]) / 2)
    others = torch.ones(2, 5, 3, dtype=torch.bool)
    others[1, 2, 0] = False
    assert torch.equal(got[others], joints[others])


def test_gradients_of_filled_gaps_are_shared_among_their_ends():
    joints = torch.tensor(random(5, 2, 2))
    joints[1:3, 0] = NAN
    joints[:, 1] = NAN
    joints.requires_grad_()
    fill_gaps(joints, 3)[:, 0].sum().backward()
    torch.testing.assert_close(joints.grad[:, 0, 0], torch.tensor([2.0, 0, 0, 2, 1]).double())
    assert (joints.grad[:, 1] == 0).all()


@pytest.mark.parametrize('joints, max_gap', [(np.zeros((5, 3)), 1), (np.zeros((5, 3, 3)), -1)])
def test_gaps_of_what_is_no_sequence_are_refused(joints, max_gap):
    with pytest.raises(ValueError, match=r'joints \(\.\.\., T, V, D\) and max_gap >= 0, got'):
        fill_gaps(joints, max_gap)


def walking(frames: int = 60) -> np.ndarray:
    """(T, 19, 3): a body of 1.7 m that sways and goes 3 m."""
    body = random(19, 3, seed=3) * [0.2, 0.45, 0.15]
    time = np.linspace(0, 1, frames)[:, None, None]
    return body + 0.1 * np.sin(12 * time + np.arange(19)[:, None]) + time * [3.0, 0, 0]


def test_clean_motion_loses_nothing_and_wild_joints_nothing_but_themselves():
    joints = walking()
    np.testing.assert_array_equal(remove_outliers(joints), joints)
    dirty = joints.copy()
    dirty[10, 3] *= 2000  # a wrong depth
    dirty[20, 5] += [0, 0.6, 0]  # a jump within the reach of a body
    dirty[0, 7] += [5.0, 0, 0]  # at the ends, too
    dirty[59, 18, 1] -= 5
    dirty[30:33, 2] = NAN  # missing before
    dirty[40:44, 4] += [0, 0, 9.0]  # longer than the window tells, but out of reach
    expected = dirty.copy()
    for frame, joint in ((10, 3), (20, 5), (0, 7), (59, 18), (slice(40, 44), 4)):
        expected[frame, joint] = NAN
    np.testing.assert_array_equal(remove_outliers(dirty), expected)
    tensor = torch.tensor(dirty, requires_grad=True)
    got = remove_outliers(tensor)
    np.testing.assert_array_equal(got.detach().numpy(), expected)
    got.nansum().backward()
    assert tensor.grad.isfinite().all()


@quick
@example(155531610, 1.0)  # at the end of the sequence, where windows hold an even number of frames
@given(SEEDS, st.floats(1e-2, 1e3))
def test_outliers_are_the_same_wherever_and_however_large_the_body_is(seed, scale):
    rng = np.random.default_rng(seed)
    joints = walking()
    joints[rng.integers(60, size=5), rng.integers(19, size=5)] += rng.normal(size=(5, 3)) * 4
    spin = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turned = joints.copy()
    turned[..., [0, 2]] = turned[..., [2, 0]]
    turned = turned * [1, -1, 1] * scale + 5 * scale * spin[0].round(3)
    np.testing.assert_array_equal(
        np.isnan(remove_outliers(turned)), np.isnan(remove_outliers(joints))[..., [2, 1, 0]]
    )


def test_a_sequence_that_is_wrong_altogether_shows_only_against_a_known_reach():
    joints = walking()
    joints[:, ::2] += random(10, 3) * 50
    assert np.isnan(remove_outliers(joints)[..., 0]).mean() < 0.1
    kept = remove_outliers(joints, max_reach=2.5)
    spread = kept - np.nanmedian(kept, axis=1, keepdims=True)
    assert np.nanmax(np.linalg.norm(spread, axis=-1)) < 5


def test_all_missing_and_empty_sequences_stay_as_they_are():
    for joints in (np.full((4, 19, 3), NAN), np.zeros((0, 19, 3)), np.full((1, 19, 3), 2.0)):
        np.testing.assert_array_equal(remove_outliers(joints), joints)


def test_real_outliers_go_and_real_motion_stays(real_squats):
    try:
        with np.load(find_data('squat_mediapipe19') / 'keypoints3d.npz') as file:
            wild = file['recording_18042023_123637']
    except FileNotFoundError as error:
        pytest.skip(f'needs real data: {error}')
    assert np.nanmax(np.abs(wild)) > 2000
    clean = remove_outliers(wild)
    assert np.nanmax(np.abs(clean)) < 500 and np.isnan(clean[..., 0]).mean() < 0.03
    removed = [
        np.isnan(remove_outliers(joints)[..., 0]).sum() - np.isnan(joints[..., 0]).sum()
        for joints in real_squats.values()
    ]
    assert np.mean(removed) < 0.01 * 19 * 100  # of some 100 frames


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(window=4), 'odd window, got .*window=4'),
        (dict(threshold=0), 'threshold=0'),
        (dict(max_jump=-1), 'max_jump=-1'),
        (dict(max_reach=0), 'max_reach=0'),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else '',
)
def test_limits_that_are_none_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        remove_outliers(walking(), **arguments)
    with pytest.raises(ValueError, match=r'shape \(T, V, D\), got \(1, 60, 19, 3\)'):
        remove_outliers(walking()[None])
