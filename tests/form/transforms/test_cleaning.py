"""Repair: gaps up to their limit, outliers, smoothing; made and real recordings."""

import csv
import warnings

import numpy as np
import pytest
from mmaction.registry import TRANSFORMS

from rpstn.form.geometry.motion import remove_outliers
from rpstn.form.transforms import CenterSkeleton, CleanSkeleton, FillMissing, ProjectSkeleton
from rpstn.pose.datasets import find_data
from rpstn.skeletons import get_skeleton

try:
    REAL = find_data('squat_mediapipe19/labels.csv').parent
except FileNotFoundError:
    REAL = None
real = pytest.mark.skipif(REAL is None, reason='squat_mediapipe19 is not there')


def recording(frames=40, joints=19, persons=1, noise=0.2, seed=0) -> np.ndarray:
    """(M, T, V, 3) in centimetres: a body of some 40 cm that moves slowly."""
    rng = np.random.default_rng(seed)
    body = rng.normal(0, 30, (persons, 1, joints, 3))
    sway = 5 * np.sin(np.linspace(0, 6, frames))[:, None, None] * rng.normal(size=(joints, 3))
    return (body + sway + rng.normal(0, noise, (persons, frames, joints, 3))).astype(np.float32)


def cleaned(keypoint, **options):
    before = keypoint.copy()
    got = CleanSkeleton(**options)(dict(keypoint=keypoint))['keypoint']
    np.testing.assert_array_equal(keypoint, before)  # what came in is left alone
    assert got.dtype == keypoint.dtype and got.shape == keypoint.shape
    return got


def test_a_good_recording_stays_as_it_is():
    keypoint = recording(persons=2)
    np.testing.assert_array_equal(cleaned(keypoint), keypoint)
    np.testing.assert_array_equal(cleaned(keypoint, outliers=False, max_gap=0), keypoint)


@pytest.mark.parametrize('max_gap', [0, 1, 4])
def test_gaps_are_bridged_up_to_their_limit(max_gap):
    keypoint = recording()
    gap = keypoint.copy()
    for joint, length in enumerate((1, 4, 5)):
        gap[0, 10 : 10 + length, joint] = np.nan
    gap[0, :4, 5], gap[0, -5:, 6] = np.nan, np.nan
    got = cleaned(gap, max_gap=max_gap)
    for joint, length, known in (
        (0, 1, slice(10, 11)),
        (1, 4, slice(10, 14)),
        (2, 5, slice(10, 15)),
        (5, 4, slice(0, 4)),
        (6, 5, slice(-5, None)),
    ):
        filled = ~np.isnan(got[0, known, joint])
        assert filled.all() if length <= max_gap else not filled.any()
    if max_gap == 4:
        first, last = keypoint[0, 9, 1], keypoint[0, 14, 1]
        np.testing.assert_allclose(
            got[0, 10:14, 1],
            first + (last - first) * np.arange(1, 5)[:, None] / 5,
            rtol=1e-5,
            atol=1e-5,
        )
        np.testing.assert_array_equal(got[0, :4, 5], np.repeat(keypoint[0, 4:5, 5], 4, 0))
    known = ~np.isnan(gap)
    np.testing.assert_array_equal(got[known], keypoint[known])


def test_outliers_become_gaps_and_gaps_are_bridged():
    keypoint = recording()
    wild = keypoint.copy()
    wild[0, 20, 7], wild[0, 30:33, 8, 2] = 3000, -2500
    got = cleaned(wild)
    np.testing.assert_allclose(got, keypoint, atol=5)  # what was moved during the gap
    changed = np.argwhere((got != keypoint).any(-1))[:, 1:].tolist()
    assert changed == [[20, 7], [30, 8], [31, 8], [32, 8]]
    assert cleaned(wild, outliers=False).max() == 3000
    assert np.isnan(cleaned(wild, max_gap=2)[0, 30:33, 8]).all()


def test_what_is_wrong_throughout_is_found_by_its_reach():
    keypoint = recording()
    keypoint[0, :, 7] = 0
    far = float(reach(keypoint[0]).max()) + 10
    keypoint[0, :, 7, 0] = np.median(keypoint[0, :, :, 0], 1) + far
    np.testing.assert_array_equal(cleaned(keypoint), keypoint)  # steady, and no farther than some
    got = cleaned(keypoint, max_reach=far - 5)
    assert np.isnan(got[0, :, 7]).all() and np.isnan(got).sum() == 40 * 3
    np.testing.assert_array_equal(np.delete(got, 7, axis=2), np.delete(keypoint, 7, axis=2))


def test_persons_are_cleaned_by_themselves():
    keypoint = recording(persons=2)
    keypoint[1] *= 30  # a giant beside a dwarf is no outlier
    keypoint[1, 5, 3] = np.nan
    got = cleaned(keypoint)
    np.testing.assert_array_equal(got[0], keypoint[0])
    for person in range(2):
        np.testing.assert_array_equal(got[person], cleaned(keypoint[person : person + 1])[0])


@pytest.mark.parametrize('sigma', [0.7, 1, 2.5])
def test_smoothing_takes_as_much_noise_as_a_gaussian_does(sigma):
    rng = np.random.default_rng(0)
    still = rng.normal(0, 30, (1, 1, 19, 3)).repeat(400, 1)
    noise = rng.normal(0, 0.5, still.shape)
    got = cleaned((still + noise).astype(np.float32), sigma=sigma) - still
    kernel = np.exp(-(np.arange(-20, 21) ** 2) / (2 * sigma**2))
    kernel /= kernel.sum()
    for joint, axis in np.ndindex(19, 3):
        np.testing.assert_allclose(
            got[0, 25:-25, joint, axis],
            np.convolve(noise[0, :, joint, axis], kernel, 'same')[25:-25],
            atol=2e-3,
        )
    assert got.std() / noise.std() == pytest.approx((kernel**2).sum() ** 0.5, rel=0.03)
    # The ends are held: a straight line keeps its middle, a constant all.
    np.testing.assert_allclose(cleaned(still, sigma=sigma), still, atol=1e-9)


def test_joints_with_gaps_left_are_not_smoothed_and_spoil_no_others():
    keypoint = recording(noise=0.5)
    keypoint[0, 5:20, 3] = np.nan
    got = cleaned(keypoint, sigma=1, max_gap=3)
    np.testing.assert_array_equal(got[0, :, 3], keypoint[0, :, 3])
    others = [joint for joint in range(19) if joint != 3]
    assert (np.abs(got - keypoint)[0, :, others].max((1, 2)) > 0.1).all()
    np.testing.assert_array_equal(
        got[0, :, others], cleaned(recording(noise=0.5), sigma=1)[0, :, others]
    )


def test_what_is_never_known_stays_unknown():
    keypoint = recording()
    keypoint[0, :, 4] = np.nan
    got = cleaned(keypoint, sigma=1, max_gap=1000)
    assert np.isnan(got[0, :, 4]).all() and np.isnan(got).sum() == 40 * 3
    assert np.isnan(cleaned(np.full_like(keypoint, np.nan), sigma=1)).all()
    assert cleaned(keypoint[:, :1]).shape == (1, 1, 19, 3)


def test_bad_limits_are_refused():
    for options in (dict(max_gap=-1), dict(sigma=-0.5)):
        with pytest.raises(ValueError, match='max_gap and sigma must be >= 0, got'):
            CleanSkeleton(**options)
    assert repr(TRANSFORMS.build(dict(type='CleanSkeleton', sigma=1.0))) == (
        'CleanSkeleton(max_gap=10, outliers=True, max_reach=None, sigma=1.0)'
    )


@real
def test_real_recordings_with_wild_joints_come_back_to_body_size():
    with (REAL / 'labels.csv').open(newline='') as file:
        names = [row['name'] for row in csv.DictReader(file)]
    archive = np.load(REAL / 'keypoints3d.npz')
    arrays = {name: archive[name] for name in names}
    wild = [name for name in names if np.nanmax(np.abs(arrays[name])) > 2000]
    tame = [name for name in names if reach(arrays[name]).max() < 80][::30]
    assert len(wild) == 3 and len(tame) > 5
    for name in wild:
        got = cleaned(arrays[name][None], max_reach=200.0)[0]
        assert np.nanmax(reach(arrays[name])) > 5000 and np.nanmax(reach(got)) <= 400, name
        # Nothing but what was taken out, or was missing, is different.
        kept = ~np.isnan(remove_outliers(arrays[name], max_reach=200.0))
        np.testing.assert_array_equal(got[kept], arrays[name][kept])
    for name in tame:
        got = cleaned(arrays[name][None], max_reach=200.0)[0]
        assert (got != arrays[name]).any(-1).mean() < 0.03, name


def reach(joints):
    """How far from the median joint each joint lies."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # frames of which nothing is known
        return np.linalg.norm(joints - np.nanmedian(joints, 1, keepdims=True), axis=-1)


# --- before networks that know no missing joints


def test_missing_joints_are_filled():
    keypoint = recording()
    keypoint[0, 3, 4] = np.nan
    for value in (0.0, -1.0):
        got = FillMissing(value)(dict(keypoint=keypoint))['keypoint']
        assert (got[0, 3, 4] == value).all() and got.dtype == np.float32
        known = ~np.isnan(keypoint)
        np.testing.assert_array_equal(got[known], keypoint[known])
    assert np.isnan(keypoint[0, 3, 4]).all()
    assert repr(TRANSFORMS.build(dict(type='FillMissing'))) == 'FillMissing(value=0.0)'


@pytest.mark.parametrize('unit', [1, 100.0, 'body'])
@pytest.mark.parametrize('dims', [2, 3])
def test_the_middle_comes_to_0_and_units_become_1(unit, dims):
    keypoint = recording(persons=2)[..., :dims] + 500
    keypoint[0, 3, 4] = np.nan
    before = keypoint.copy()
    transform = TRANSFORMS.build(dict(type='CenterSkeleton', unit=unit))
    assert isinstance(transform, CenterSkeleton)
    got = transform(dict(keypoint=keypoint))['keypoint']
    np.testing.assert_array_equal(keypoint, before)
    assert got.dtype == np.float32 and np.isnan(got).sum() == dims
    # One shift and one scale for all, so that movement stays.
    centred = before - np.nanmean(before, axis=(0, 1, 2))
    size = np.sqrt(np.nanmean(centred**2)) if unit == 'body' else unit
    np.testing.assert_allclose(got, centred / size, atol=1e-4)
    assert (np.nanmean(got**2) == pytest.approx(1, rel=1e-4)) == (unit == 'body')


def test_about_the_feet_joints_of_the_room_and_about_the_hips_are_the_same_movement():
    keypoint = recording().astype(np.float32)
    skeleton = get_skeleton('mediapipe19')
    hips, ankles = (
        keypoint[:, :, [skeleton.index(f'{side}_{part}') for side in ('left', 'right')]]
        for part in ('hip', 'ankle')
    )
    transform = CenterSkeleton(100.0, feet='mediapipe19')
    got = transform(dict(keypoint=keypoint))['keypoint']
    np.testing.assert_allclose(got, (keypoint - ankles.mean(2, keepdims=True)) / 100, atol=1e-5)
    np.testing.assert_allclose(
        transform(dict(keypoint=keypoint - hips.mean(2, keepdims=True)))['keypoint'], got, atol=1e-5
    )
    keypoint[0, 3, skeleton.index('left_ankle')] = np.nan  # where the feet are is not known
    assert np.isnan(transform(dict(keypoint=keypoint))['keypoint'][0, 3]).all()


def test_the_first_parts_of_the_feet_that_are_known_stand_for_them():
    keypoint, skeleton = recording().astype(np.float32), get_skeleton('mediapipe19')
    transform = CenterSkeleton(feet='mediapipe19', footing=('foot_index', 'ankle'))
    for part in ('foot_index', 'ankle'):
        pair = [skeleton.index(f'{side}_{part}') for side in ('left', 'right')]
        got = transform(dict(keypoint=keypoint))['keypoint']
        np.testing.assert_allclose(got[:, :, pair].mean(2), 0, atol=1e-4)
        keypoint[:, :, pair[0]] = np.nan  # one foot alone tells nothing


def test_projected_joints_are_free_of_errors_of_depth():
    rng = np.random.default_rng(0)
    image = rng.normal(0, 0.2, (1, 30, 19, 2))
    depth = 300 * (1 + 0.02 * rng.normal(size=(1, 30, 19, 1)))
    keypoint = np.concatenate([image * depth, depth], -1).astype(np.float32)
    transform = TRANSFORMS.build(dict(type='ProjectSkeleton'))
    for sign in (1, -1):  # z away from the camera, or towards it
        got = transform(dict(keypoint=keypoint * np.float32([1, 1, sign])))['keypoint']
        assert got.dtype == np.float32
        np.testing.assert_allclose(got[..., :2], image * np.median(depth), rtol=1e-4, atol=1e-3)
        np.testing.assert_array_equal(got[..., 2], sign * keypoint[..., 2])


def test_what_is_behind_or_missing_is_not_projected():
    keypoint = recording().astype(np.float32)  # about 0, as joints about the hips are
    got = ProjectSkeleton()(dict(keypoint=keypoint))['keypoint']
    np.testing.assert_array_equal(got, keypoint)
    keypoint[..., 2] += 300
    keypoint[0, 3, 4, 2], keypoint[0, 5, 6] = -20, np.nan
    got = ProjectSkeleton()(dict(keypoint=keypoint))['keypoint']
    assert np.isnan(got[0, 3, 4, :2]).all() and np.isnan(got[0, 5, 6]).all()
    assert np.isnan(got).sum() == 2 + 3


def test_units_that_are_none_are_refused():
    for unit in (0, -1, 'm', '100'):
        with pytest.raises(ValueError, match=f"unit must be 'body' or a number > 0, got {unit!r}"):
            CenterSkeleton(unit)
