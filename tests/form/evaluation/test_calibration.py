"""Calibration errors against loops and known answers, and their picture."""

import cv2
import numpy as np
import pytest

from rpstn.form.evaluation.calibration import (
    calibration_error,
    classwise_calibration_error,
    plot_reliability,
)


def predictions(num_classes=4, num_samples=500, seed=0):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(num_classes, 0.5), num_samples)
    return probabilities, rng.integers(0, num_classes, num_samples)


def predicted(probabilities, labels):
    """Of the most probable classes, how probable, and whether right."""
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels


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
    top, right = predicted(probabilities, labels)
    assert calibration_error(top, right, num_bins) == pytest.approx(
        loop_error(top, right, num_bins)
    )
    classwise = np.mean(
        [loop_error(probabilities[:, c], (labels == c).astype(int), num_bins) for c in range(4)]
    )
    targets = labels[:, None] == np.arange(4)
    assert classwise_calibration_error(probabilities, targets, num_bins) == pytest.approx(classwise)


@pytest.mark.parametrize(
    'probabilities, right, num_bins, error',
    [
        ([1.0, 1], [0, 0], 15, 1),  # sure and wrong
        ([1.0, 1, 0], [1, 1, 0], 15, 0),
        ([0.8] * 5, [1, 1, 1, 1, 0], 15, 0),
        # 0 and the upper edge belong to the first bin, the rest to the second and third.
        ([0, 0.25, 0.5, 0.51], [0, 0, 1, 1], 4, (2 * 0.125 + 0.5 + 0.49) / 4),
        ([0.1, 0.9], [0, 1], 3, 0.1),  # the bin between them is empty
    ],
)
def test_known_answers(probabilities, right, num_bins, error):
    assert calibration_error(probabilities, right, num_bins) == pytest.approx(error)


def test_honest_probabilities_have_a_small_error():
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(5), 20000)
    labels = (probabilities.cumsum(1) > rng.random((20000, 1))).argmax(1)
    assert calibration_error(*predicted(probabilities, labels)) < 0.015
    # A random one of the five classes instead.
    assert calibration_error(*predicted(probabilities, rng.integers(0, 5, 20000))) > 0.2


@pytest.mark.parametrize(
    'probabilities, right, message',
    [
        ([-0.1, 0.5], [0, 1], r'within \[0, 1\], got \[-0.1'),
        ([np.nan, 0.5], [0, 1], r'within \[0, 1\], got \[nan'),
        ([0.1, 0.5], [0, 1, 1], r'inconsistent numbers of samples: \[3, 2\]'),
        ([], [], 'must be there'),
    ],
)
def test_bad_input_names_what_came(probabilities, right, message):
    with pytest.raises(ValueError, match=message):
        calibration_error(probabilities, right)


def test_picture_has_a_mark_at_confidence_and_accuracy(tmp_path):
    """All samples in the upper bin of two, three quarters right; then all of them."""
    for right in ([1, 1, 1, 0], [1] * 4):
        plot_reliability([0.8] * 4, right, tmp_path / 'r.png', 'test', 2)
        image = cv2.imread(str(tmp_path / 'r.png'))
        blue = (image == (180, 119, 31)).all(-1)  # matplotlib's first colour
        rows, columns = np.nonzero(blue[: image.shape[0] // 2])  # above the legend
        assert len(rows) and np.ptp(columns) < 12
        # The axes span most of the picture, to which the mark's place is but nearly proportional.
        assert columns.mean() / image.shape[1] == pytest.approx(0.8, abs=0.05)
        assert rows.mean() / image.shape[0] == pytest.approx(0.21 if 0 in right else 0.07, abs=0.03)
