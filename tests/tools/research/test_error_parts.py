"""Parts of the error, of answers whose errors are known."""

import numpy as np
import pytest
from error_parts import KINDS, measure, with_sides_of, without_offsets

PAIRS = [(0, 1), (2, 3)]


@pytest.fixture
def truth() -> np.ndarray:
    """Six frames of two pairs, which are 40 pixels apart."""
    rng = np.random.default_rng(0)
    way = rng.normal(0, 30, (6, 1, 2)).cumsum(axis=0)
    return way + [(0, 0), (40, 0), (0, 90), (40, 90)]


def test_sides_are_told_for_each_pair_and_frame(truth):
    answered = truth + np.random.default_rng(1).normal(0, 2, truth.shape)
    swapped = answered.copy()
    swapped[2, [0, 1]] = answered[2, [1, 0]]
    swapped[4] = answered[4, [1, 0, 3, 2]]
    np.testing.assert_array_equal(with_sides_of(swapped, truth, PAIRS), answered)
    np.testing.assert_array_equal(with_sides_of(answered, truth, PAIRS), answered)
    swapped[5] = np.nan  # nobody
    assert np.isnan(with_sides_of(swapped, truth, PAIRS)[5]).all()


def test_an_offset_is_what_stays_all_through_a_clip(truth):
    labelled = np.ones(truth.shape[:2], bool)
    labelled[:, 3] = False
    off = truth + [(5, -7), (0, 0), (60, 0), (9, 9)]
    found = without_offsets(off, truth, labelled)
    np.testing.assert_allclose(found[:, :3], truth[:, :3])
    np.testing.assert_array_equal(found[:, 3], off[:, 3])
    off[0, 0] += 100  # once
    off[1] = np.nan
    found = without_offsets(off, truth, labelled)
    np.testing.assert_allclose(found[0, 0], truth[0, 0] + 100)
    np.testing.assert_allclose(found[2:, :3], truth[2:, :3])


def test_parts_of_real_clips_add_up():
    try:
        found = measure('val', every=14)
    except FileNotFoundError as error:
        pytest.skip(f'needs real data: {error}')
    assert list(found) == list(KINDS)
    answered, sided, bare = (np.array(found[kind]) for kind in KINDS)
    assert (60 < answered).all() and (answered < sided + 0.5).all()
    assert (bare[:2] > sided[:2] + 2).all()
