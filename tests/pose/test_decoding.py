"""Decoding all joints at once gives what MMPose's codec does."""

import numpy as np
import pytest
from mmpose.codecs import MSRAHeatmap, UDPHeatmap

from rpstn.pose.calibration import CalibratedHeatmap
from rpstn.pose.decoding import decode_heatmaps

SIZE = 24, 32  # rows, columns


def bells(centers: np.ndarray, noise: float = 0.0) -> np.ndarray:
    """Maps (K, h, w) with a peak at each centre x, y, and noise."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    maps = np.exp(
        -((x - centers[:, 0, None, None]) ** 2 + (y - centers[:, 1, None, None]) ** 2) / 8
    )
    return (maps + np.random.default_rng(0).normal(0, noise, maps.shape)).astype(np.float32)


def codec(unbiased: bool, kind: type = MSRAHeatmap) -> MSRAHeatmap:
    options = dict(unbiased=unbiased) if issubclass(kind, MSRAHeatmap) else {}
    if kind is CalibratedHeatmap:
        options['knots'] = [(0, 0), (0.2, 0.4), (1, 0.9)]
    return kind((4 * SIZE[1], 4 * SIZE[0]), SIZE[::-1], sigma=2, **options)


def flat() -> np.ndarray:
    """No positive value; zeros; one value everywhere; a lone cell; a plateau."""
    maps = np.zeros((5, *SIZE), np.float32)
    maps[0] = -1
    maps[2] = 0.5
    maps[3, 7, 9] = 1
    maps[4, 8:12, 8:12] = 1
    return maps


EDGES = np.array([(x, y) for x in (0, 1, 2, 15, 29, 30, 31) for y in (0, 1, 2, 12, 21, 22, 23)])
MAPS = dict(
    sharp=bells(np.random.default_rng(1).uniform((3, 3), (28, 20), (33, 2))),
    noisy=bells(np.random.default_rng(2).uniform((0, 0), (31, 23), (200, 2)), noise=0.02),
    edges=bells(EDGES + 0.2),
    corners=bells(EDGES + 0.0, noise=1e-4),
    negative=bells(EDGES + 0.3) - 0.4,
    flat=flat(),
    one=bells(np.array([[9.3, 11.8]])),
    outside=bells(np.full((3, 2), -1.0)),
)


@pytest.mark.parametrize('kind', [MSRAHeatmap, CalibratedHeatmap])
@pytest.mark.parametrize('unbiased', [False, True])
@pytest.mark.parametrize('name', MAPS)
def test_it_is_what_mmpose_answers(name, unbiased, kind):
    maps = MAPS[name]
    before, decoder = maps.copy(), codec(unbiased, kind)
    joints, scores = decoder.decode(maps)
    ours, our_scores = decode_heatmaps(decoder, maps)
    assert ours.shape == joints.shape and ours.dtype == joints.dtype
    np.testing.assert_array_equal(our_scores, scores)
    assert our_scores.dtype == scores.dtype
    np.testing.assert_array_equal(maps, before)
    if unbiased:  # sums in another order
        np.testing.assert_allclose(ours, joints, atol=2e-3)
    else:
        np.testing.assert_array_equal(ours, joints)


def test_dark_finds_the_middle_of_a_bell():
    centers = np.array([[9.3, 11.8], [20.5, 7.1]])
    joints, _ = decode_heatmaps(codec(True), bells(centers))
    np.testing.assert_allclose(joints[0] / 4, centers, atol=0.02)


def test_other_codecs_decode_themselves():
    decoder = codec(False, UDPHeatmap)
    for ours, theirs in zip(decode_heatmaps(decoder, MAPS['sharp']), decoder.decode(MAPS['sharp'])):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize('unbiased', [False, True])
def test_what_is_no_number_stays_none(unbiased):
    maps = MAPS['sharp'][:3].copy()
    maps[1] = np.nan
    joints, scores = decode_heatmaps(codec(unbiased), maps)
    assert np.isnan(scores[0]).tolist() == [False, True, False]
    assert np.isfinite(joints[0, [0, 2]]).all()
