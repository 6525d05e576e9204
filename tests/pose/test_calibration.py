"""Scores behind a map of peaks: known answers, order, thresholds to the last bit, and what is not
changed by it."""

import numpy as np
import pytest
from mmpose.codecs import MSRAHeatmap, UDPHeatmap
from mmpose.registry import KEYPOINT_CODECS

from rpstn.errors import SettingError
from rpstn.pose.calibration import CalibratedHeatmap, score_meta
from rpstn.results import peaks_of

SIZES = dict(input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
KNOTS = [(0, 0), (0.2, 0.4), (0.5, 0.9), (0.8, 0.96)]


def codec(knots=KNOTS, **options) -> CalibratedHeatmap:
    return KEYPOINT_CODECS.build(dict(type='CalibratedHeatmap', knots=knots, **SIZES, **options))


def test_known_answers():
    peaks = np.array([0, 0.1, 0.2, 0.35, 0.5, 0.8, 0.95, 1.1, -0.3, np.nan, np.inf])
    expected = [0, 0.2, 0.4, 0.65, 0.9, 0.96, 0.96, 0.96, -0.3, np.nan, np.inf]
    np.testing.assert_allclose(codec().shares(peaks), expected, atol=1e-12)


def test_order_is_kept_and_peaks_are_found_again():
    peaks = np.sort(np.random.default_rng(0).uniform(0, 0.8, 500).astype(np.float32))
    shares = codec().shares(peaks)
    assert (np.diff(shares)[np.diff(peaks) > 0] > 0).all() and shares.max() <= 1
    np.testing.assert_allclose(peaks_of(shares, score_meta(codec())), peaks, atol=1e-12)


def test_targets_are_those_of_mmpose():
    joints = np.random.default_rng(0).uniform(0, 64, (1, 5, 2)).astype(np.float32)
    for unbiased in (False, True):
        ours = codec(unbiased=unbiased).encode(joints)
        theirs = MSRAHeatmap(**SIZES, unbiased=unbiased).encode(joints)
        assert ours.keys() == theirs.keys()
        for name, values in theirs.items():
            np.testing.assert_array_equal(ours[name], values)


@pytest.mark.parametrize('seed', range(20))
def test_a_score_reaches_the_threshold_where_the_peak_does(seed):
    """In single precision, in which networks answer, and among peaks that lie next to each other;
    whether 0.2 is a knot or not."""
    rng = np.random.default_rng(seed)
    knots = np.sort(rng.uniform(0.01, 1, (2, 6)), axis=1)
    knots[0, rng.integers(6)] = 0.2 if seed % 2 else 0.21
    decoder = codec([(0, 0), *np.sort(knots, axis=1).T.tolist()])
    peak = np.float32(0.2)
    near = [peak, np.nextafter(peak, np.float32(0)), np.nextafter(peak, np.float32(1))]
    peaks = np.concatenate([near, rng.random(100, np.float32)]).astype(np.float32)
    threshold = score_meta(decoder)['kpt_thr']
    reached = decoder.shares(peaks) >= threshold
    np.testing.assert_array_equal(reached, peaks >= 0.2)
    assert reached[:3].tolist() == [True, False, True]


def test_other_codecs_are_trusted_from_their_peaks():
    for other in (None, MSRAHeatmap(**SIZES), UDPHeatmap(**SIZES)):
        # Nothing of another codec's map is left, where one takes its place.
        assert {**score_meta(codec()), **score_meta(other)} == dict(kpt_thr=0.2, score_knots=None)
    assert score_meta(codec()) == dict(kpt_thr=0.4, score_knots=[list(pair) for pair in KNOTS])


@pytest.mark.parametrize(
    'knots',
    [
        [],
        [(0, 0)],
        [(0, 0.1), (1, 1)],
        [(0.1, 0), (1, 1)],
        [(0, 0), (0.5, 0.4), (0.5, 0.6)],
        [(0, 0), (0.5, 0.4), (0.6, 0.4)],
        [(0, 0), (1, 1.01)],
        [(0, 0), (1, float('nan'))],
        [(0, 0), (1, 1, 1)],
        [(0, 0, 0), (1, 1, 1)],
        [(0, 0), (1, 'sure')],
        0.5,
        None,
    ],
)
def test_other_knots_are_one_line(knots):
    with pytest.raises(SettingError, match='knots must be pairs') as error:
        codec(knots)
    assert '\n' not in str(error.value)
