"""The low-pass over time: what it lets through, gaps, and joints that are not known."""

import numpy as np
import pytest

from rpstn.errors import SettingError
from rpstn.lift import smoothed

from squat_bodies import joints_of


def swinging(hz: float, fps: float = 100.0, seconds: float = 6.0) -> np.ndarray:
    times = np.arange(int(fps * seconds)) / fps
    return np.sin(2 * np.pi * hz * times)[:, None, None] * np.ones((33, 3))


@pytest.mark.parametrize(('hz', 'kept'), [(0.5, 0.995), (4.0, 2**-0.5), (12.0, 0.045)])
def test_a_swing_keeps_what_a_gaussian_keeps_and_does_not_lag(hz, kept):
    before = swinging(hz)
    after = smoothed(joints_of(before, fps=100), 4.0).joints
    inside = slice(100, -100)
    assert np.abs(after[inside]).max() == pytest.approx(kept, abs=0.01)
    np.testing.assert_allclose(after[inside], before[inside] * kept, atol=0.02)


def test_it_is_what_a_loop_over_times_says():
    rng = np.random.default_rng(0)
    poses = rng.normal(size=(30, 33, 3))
    poses[7, 4] = np.nan
    times = np.cumsum(rng.uniform(0.01, 0.08, 30))
    found = smoothed(joints_of(poses, times=times), 3.0).joints
    deviation = np.sqrt(np.log(2)) / (2 * np.pi * 3)
    for t in range(30):
        apart = times - times[t]
        weights = np.exp(-0.5 * (apart / deviation) ** 2) * (np.abs(apart) <= 3 * deviation)
        for joint in (3, 4):
            known = np.isfinite(poses[:, joint, 0])
            expected = (weights[known, None] * poses[known, joint]).sum(0) / weights[known].sum()
            if t == 7 and joint == 4:
                assert np.isnan(found[t, joint]).all()
            else:
                np.testing.assert_allclose(found[t, joint], expected)


@pytest.mark.parametrize('count', [1, 2])
def test_few_frames(count):
    poses = np.ones((count, 33, 3))
    np.testing.assert_allclose(smoothed(joints_of(poses), 4.0).joints, poses)


@pytest.mark.parametrize('cutoff', [0, -1, float('nan')])
def test_a_cutoff_that_cannot_be(cutoff):
    with pytest.raises(SettingError, match='cutoff must be above 0 Hz'):
        smoothed(joints_of(np.ones((2, 33, 3))), cutoff)
