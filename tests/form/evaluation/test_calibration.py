"""Calibration errors against loops, scikit-learn and known answers."""

import cv2
import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from rpstn.form.evaluation.calibration import (
    classwise_calibration_error,
    plot_reliability,
    reliability_bins,
    top_label_bins,
)


def predictions(num_classes=4, num_samples=500, seed=0):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(num_classes, 0.5), num_samples)
    return probabilities, rng.integers(0, num_classes, num_samples)


def loop_error(probabilities, right, num_bins):
    """Guo's equation 3, bin after bin."""
    error = 0
    for m in range(num_bins):
        low, high = m / num_bins, (m + 1) / num_bins
        inside = [i for i, p in enumerate(probabilities) if low < p <= high or (m == 0 and p == 0)]
        if inside:
            gap = abs(
                np.mean([right[i] for i in inside]) - np.mean([probabilities[i] for i in inside])
            )
            error += len(inside) / len(probabilities) * gap
    return error


@pytest.mark.parametrize('num_bins', [1, 7, 15])
def test_errors_agree_with_loops(num_bins):
    probabilities, labels = predictions()
    top = [(row.max(), int(row.argmax() == label)) for row, label in zip(probabilities, labels)]
    assert top_label_bins(probabilities, labels, num_bins).calibration_error == pytest.approx(
        loop_error(*zip(*top), num_bins)
    )
    classwise = np.mean(
        [loop_error(probabilities[:, c], (labels == c).astype(int), num_bins) for c in range(4)]
    )
    targets = labels[:, None] == np.arange(4)
    assert classwise_calibration_error(probabilities, targets, num_bins) == pytest.approx(classwise)


def test_bins_agree_with_scikit_learn():
    probabilities, labels = predictions()
    bins = reliability_bins(probabilities[:, 0], labels == 0, 10)
    accuracy, confidence = calibration_curve(labels == 0, probabilities[:, 0], n_bins=10)
    filled = bins.counts > 0
    np.testing.assert_allclose(bins.accuracy[filled], accuracy)
    np.testing.assert_allclose(bins.confidence[filled], confidence)


def test_known_answers():
    # Sure and wrong; sure and right; 0.8 and right in four cases of five.
    assert reliability_bins([1.0, 1], [0, 0]).calibration_error == 1
    assert reliability_bins([1.0, 1, 0], [1, 1, 0]).calibration_error == 0
    assert reliability_bins([0.8] * 5, [1, 1, 1, 1, 0]).calibration_error == pytest.approx(0)
    # The upper edge belongs to a bin, 0 to the first, and an empty bin has neither figure.
    bins = reliability_bins([0, 0.25, 0.5, 0.51, 1], [0, 0, 1, 1, 1], 4)
    assert bins.counts.tolist() == [2, 1, 1, 1]
    bins = reliability_bins([0.1, 0.9], [0, 1], 3)
    assert bins.counts.tolist() == [1, 0, 1]
    assert (
        np.isnan(bins.accuracy).tolist()
        == np.isnan(bins.confidence).tolist()
        == [False, True, False]
    )


def test_honest_probabilities_have_a_small_error():
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(5), 20000)
    labels = (probabilities.cumsum(1) > rng.random((20000, 1))).argmax(1)
    assert top_label_bins(probabilities, labels).calibration_error < 0.015
    # A random one of the five classes instead.
    assert top_label_bins(probabilities, rng.integers(0, 5, 20000)).calibration_error > 0.2


def test_bad_input_names_what_came():
    with pytest.raises(ValueError, match=r'within \[0, 1\], got -0.1 to 0.5'):
        reliability_bins([-0.1, 0.5], [0, 1])
    with pytest.raises(ValueError, match=r'within \[0, 1\], got nan'):
        reliability_bins([np.nan, 0.5], [0, 1])
    with pytest.raises(ValueError, match=r'shapes \(2,\) and \(3,\)'):
        reliability_bins([0.1, 0.5], [0, 1, 1])
    with pytest.raises(ValueError, match=r'N > 0'):
        reliability_bins([], [])


def test_picture_has_bars_up_to_the_accuracy(tmp_path):
    """All samples in the upper bin of two, three quarters right."""
    bins = reliability_bins([0.9] * 4, [1, 1, 1, 0], 2)
    plot_reliability(bins, tmp_path / 'r.png', 'test')
    image = cv2.imread(str(tmp_path / 'r.png'))
    blue = (image == (180, 119, 31)).all(-1)  # matplotlib's first colour
    columns = np.flatnonzero(blue[: image.shape[0] * 3 // 5].sum(0) > 100)
    assert columns.min() > image.shape[1] / 2  # the empty bin has no bar, and left the bars alone
