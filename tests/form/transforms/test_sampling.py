"""Clips of a fixed length: against np.interp, exact frames, random cuts, standing starts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmaction.registry import TRANSFORMS

from rpstn.form.geometry.motion import canonical_starts
from rpstn.form.transforms import ResampleSkeleton
from rpstn.skeletons import get_skeleton

SQUAT = get_skeleton('mediapipe19')
quick = settings(max_examples=40, deadline=None)


@pytest.fixture(autouse=True)
def seeded():
    np.random.seed(0)


def sequence(frames, joints=19, dims=3, persons=1, dtype=np.float32, seed=0):
    keypoint = np.random.default_rng(seed).normal(size=(persons, frames, joints, dims))
    return dict(frame_dir='rep', keypoint=keypoint.astype(dtype))


def resample(results, **options):
    return ResampleSkeleton(**options)(dict(results))['keypoint']


def times_of(frames, **options) -> np.ndarray:
    """The times a transform takes its frames at, read off a clock."""
    clock = np.arange(frames, dtype=np.float64).reshape(1, -1, 1, 1)
    return resample(dict(keypoint=clock), **options)[0, :, 0, 0]


def squats(repetitions=3, standing=6, bent=9) -> np.ndarray:
    """(1, T, 19, 3), knees lifted to the hips in each repetition, standing first and last."""
    joints = np.zeros((19, 3))
    for name, height in (('shoulder', 1.5), ('hip', 1), ('knee', 0.5)):
        joints[SQUAT.index(f'right_{name}'), 1] = height
    bend = np.sin(np.linspace(0, np.pi, bent)) * np.pi / 2
    angles = np.concatenate([np.zeros(standing), *[bend, np.zeros(standing)] * repetitions])
    keypoint = np.repeat(joints[None], len(angles), 0)
    hip = joints[SQUAT.index('right_hip')]
    keypoint[:, SQUAT.index('right_knee')] = hip + 0.5 * np.stack(
        [np.zeros_like(angles), -np.cos(angles), np.sin(angles)], 1
    )
    return keypoint[None].astype(np.float32)


@given(st.integers(2, 70), st.integers(2, 90), st.integers(0, 9))
@quick
def test_it_equals_np_interp(frames, num_frames, seed):
    results = sequence(frames, 3, 2, persons=2, dtype=np.float64, seed=seed)
    got = resample(results, num_frames=num_frames)
    assert got.shape == (2, num_frames, 3, 2)
    times = np.linspace(0, frames - 1, num_frames)
    for at in np.ndindex(2, 3, 2):
        channel = results['keypoint'][at[0], :, at[1], at[2]]
        np.testing.assert_allclose(
            got[at[0], :, at[1], at[2]], np.interp(times, range(frames), channel), atol=1e-12
        )
    np.testing.assert_array_equal(got[:, [0, -1]], results['keypoint'][:, [0, -1]])


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_as_many_frames_as_before_are_the_same_frames(dtype):
    """To the bit, and beside missing ones, although linspace often misses whole numbers."""
    for frames in range(2, 130):
        results = sequence(frames, 2, 2, dtype=dtype)
        results['keypoint'][:, ::2, 0] = np.nan
        results['keypoint'][:, 1::2, 1] = np.nan
        got = resample(results, num_frames=frames)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, results['keypoint'])


@given(st.integers(2, 40), st.integers(1, 6), st.integers(0, 99))
@quick
def test_whole_frames_survive_beside_missing_ones(frames, factor, seed):
    results = sequence(frames, 2, 2, seed=seed)
    missing = np.random.default_rng(seed).random((1, frames, 2)) < 0.4
    results['keypoint'][missing] = np.nan
    got = resample(results, num_frames=factor * (frames - 1) + 1)
    np.testing.assert_array_equal(got[:, ::factor], results['keypoint'])
    for offset in range(1, factor):  # between a missing frame and another nothing is known
        lost = missing[:, :-1] | missing[:, 1:]
        np.testing.assert_array_equal(np.isnan(got[:, offset::factor]).all(-1), lost)


def test_the_end_survives_a_missing_frame_before_it():
    results = sequence(10)
    results['keypoint'][:, 8] = np.nan
    for options in ({}, dict(warp=0.9), dict(start='standing', skeleton='mediapipe19')):
        got = resample(results, num_frames=7, **options)
        np.testing.assert_array_equal(got[:, [0, -1]], results['keypoint'][:, [0, 9]])


def test_scores_are_resampled_with_their_joints():
    results = dict(sequence(11, 4, 2, persons=2), keypoint_score=np.random.rand(2, 11, 4))
    results['keypoint'][..., 0] = results['keypoint_score']
    before = {key: np.copy(results[key]) for key in ('keypoint', 'keypoint_score')}
    got = ResampleSkeleton(30, crop=0.3, warp=0.3, num_clips=2)(dict(results))
    assert got['keypoint_score'].shape == (2, 60, 4)
    np.testing.assert_allclose(got['keypoint_score'], got['keypoint'][..., 0], atol=1e-6)
    for key, values in before.items():
        np.testing.assert_array_equal(results[key], values)  # what came in is left alone
    assert 'keypoint_score' not in ResampleSkeleton(30)(sequence(11))


@given(st.floats(0.01, 0.99), st.integers(2, 60), st.integers(0, 2**32 - 1))
@quick
def test_warped_time_never_turns_and_ends_where_it_should(warp, frames, seed):
    np.random.seed(seed)
    times = times_of(frames, num_frames=50, warp=warp)
    assert times[0] == 0 and times[-1] == frames - 1
    tempo = np.diff(times) * 49 / (frames - 1)
    assert (tempo > 0).all()
    assert tempo.min() > 1 - warp - 1e-6 and tempo.max() < 1 + warp + 1e-6


def test_warps_differ_and_use_their_range():
    tempos = np.stack([np.diff(times_of(50, num_frames=50, warp=0.5)) for _ in range(300)])
    assert tempos.std(0).min() > 0.05 and tempos.max() > 1.35 and tempos.min() < 0.65
    np.testing.assert_allclose(tempos.mean(0), 1, atol=0.06)
    np.testing.assert_allclose(np.diff(times_of(50, num_frames=50)), 1)


def test_crops_keep_to_their_limits_at_both_ends():
    cuts = np.stack([times_of(101, num_frames=20, crop=0.3) for _ in range(400)])
    first, last = cuts[:, 0], 100 - cuts[:, -1]
    for cut in (first, last):
        assert 0 <= cut.min() < 2 and 28 < cut.max() <= 30
        assert cut.mean() == pytest.approx(15, abs=1.5)
    assert abs(np.corrcoef(first, last)[0, 1]) < 0.2
    np.testing.assert_allclose(np.diff(cuts, 2), 0, atol=1e-9)
    np.random.seed(5)
    again = times_of(101, num_frames=20, crop=0.3, warp=0.2)
    np.random.seed(5)
    np.testing.assert_array_equal(times_of(101, num_frames=20, crop=0.3, warp=0.2), again)


def test_clips_start_from_standing():
    """The first start where nothing is random, else any of them."""
    keypoint = squats(3)
    starts = canonical_starts(keypoint[0], SQUAT)
    assert len(starts) == 3 and starts[0] > 3
    # The nose tells the time.
    keypoint[0, :, 0, 0] = np.arange(keypoint.shape[1])
    last = keypoint.shape[1] - 1
    options = dict(num_frames=20, start='standing', skeleton='mediapipe19')
    for _ in range(5):
        clock = resample(dict(keypoint=keypoint), **options)[0, :, 0, 0]
        np.testing.assert_allclose(clock, np.linspace(starts[0], last, 20), rtol=1e-6)
    drawn = {
        float(resample(dict(keypoint=keypoint), warp=0.1, **options)[0, 0, 0, 0]) for _ in range(60)
    }
    assert drawn == {float(start) for start in starts}
    # Cropping then counts from there, in shares of what is left.
    clocks = np.stack(
        [resample(dict(keypoint=keypoint), crop=0.4, **options)[0, :, 0, 0] for _ in range(200)]
    )
    assert all(
        any(start <= first <= start + 0.4 * (last - start) + 1e-4 for start in starts)
        for first in clocks[:, 0]
    )


def test_without_a_standing_pose_clips_start_at_their_first_frame():
    keypoint = squats(1)
    options = dict(num_frames=5, start='standing', skeleton='mediapipe19')
    for part in (slice(9, 14), slice(0, 6), slice(0, 1)):  # all bent, all standing, one frame
        cut = keypoint[:, part]
        assert not canonical_starts(cut[0], SQUAT)
        np.testing.assert_array_equal(resample(dict(keypoint=cut), **options)[:, 0], cut[:, 0])
    with pytest.raises(ValueError, match='mediapipe19 takes joints'):
        resample(sequence(9, 17), **options)


def test_several_clips_differ_by_their_cuts_alone():
    results = ResampleSkeleton(8, num_clips=3)(sequence(20))
    assert (results['num_clips'], results['clip_len']) == (3, 8)
    first, second, third = np.split(results['keypoint'], 3, 1)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, third)
    results = ResampleSkeleton(8, num_clips=3, crop=0.3)(sequence(20, persons=2))
    clips = np.split(results['keypoint'], 3, 1)
    assert all(np.abs(a - b).max() > 0.01 for a, b in zip(clips, clips[1:]))
    # As MMAction2 cuts them apart again: clips, persons, frames.
    shaped = TRANSFORMS.build(dict(type='FormatGCNInput', num_person=2))(results)['keypoint']
    np.testing.assert_array_equal(shaped, np.stack(clips))


def test_one_frame_fills_the_clip():
    results = sequence(1)
    for options in ({}, dict(crop=0.4, warp=0.5)):
        got = resample(results, num_frames=6, **options)
        np.testing.assert_array_equal(got, np.repeat(results['keypoint'], 6, 1))


def test_bad_options_are_refused():
    for options, message in (
        (dict(start='bent'), "start must be 'clip' or 'standing', got 'bent'"),
        (dict(start='standing'), "start='standing' needs the skeleton"),
        (dict(start='standing', skeleton='cat'), "unknown skeleton 'cat'"),
        (dict(num_frames=1), 'num_frames >= 2.*got 1, 0.0, 0.0, 1'),
        (dict(crop=0.5), 'crop < 0.5.*0.5'),
        (dict(crop=-0.1), 'crop'),
        (dict(warp=1), 'warp < 1'),
        (dict(num_clips=0), 'num_clips >= 1'),
    ):
        with pytest.raises(ValueError, match=message):
            ResampleSkeleton(**options)
    assert repr(TRANSFORMS.build(dict(type='ResampleSkeleton', num_frames=9))) == (
        'ResampleSkeleton(num_frames=9, skeleton=None, crop=0.0, warp=0.0, num_clips=1)'
    )
