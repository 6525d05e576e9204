"""Calibration: whether a class predicted with 80 % is right in 80 % of the cases.

Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
https://arxiv.org/abs/1706.04599

Shapes: N samples, C classes, M bins.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.calibration import CalibrationDisplay, calibration_curve

from rpstn.drawing import write_figure


def calibration_error(probabilities: np.ndarray, right: np.ndarray, num_bins: int = 15) -> float:
    """Mean of |accuracy - confidence| over bins of probabilities, weighted by their counts.

    The bins are ((m-1)/M, m/M]; 0 goes to the first. Of the predicted (most probable) classes it is
    Guo's expected calibration error, equation 3.

    Args:
        probabilities: (N,), within [0, 1].
        right: (N,), whether what was predicted so is the case.
        num_bins: M.

    Raises:
        ValueError: no prediction at all, another number of answers, or a probability outside
            [0, 1].
    """
    probabilities = np.asarray(probabilities, float)
    if not (len(probabilities) and ((probabilities >= 0) & (probabilities <= 1)).all()):
        # NaN, too, which scikit-learn lets pass.
        raise ValueError(f'probabilities must be there and within [0, 1], got {probabilities}')
    accuracy, confidence = calibration_curve(right, probabilities, n_bins=num_bins)
    inner_edges = np.linspace(0, 1, num_bins + 1)[1:-1]
    counts = np.bincount(np.searchsorted(inner_edges, probabilities))
    return float(np.average(np.abs(accuracy - confidence), weights=counts[counts > 0]))


def classwise_calibration_error(
    probabilities: np.ndarray, targets: np.ndarray, num_bins: int = 15
) -> float:
    """Calibration error of every class's probability by itself, mean over the classes.

    Unlike the error of the predicted classes it sees the probabilities of the others.
    Kull et al., "Beyond temperature scaling", NeurIPS 2019, equation 3.
    https://arxiv.org/abs/1910.12656

    Args:
        probabilities: (N, C).
        targets: (N, C), 1 where a class is true, one-hot or of several labels.
        num_bins: M.
    """
    columns = zip(probabilities.T, targets.T, strict=True)
    return float(np.mean([calibration_error(*column, num_bins) for column in columns]))


def plot_reliability(
    probabilities: np.ndarray,
    right: np.ndarray,
    out: str | Path,
    title: str = '',
    num_bins: int = 15,
) -> None:
    """A reliability diagram: accuracy over confidence, and how many samples lie where.

    Args:
        probabilities: (N,), e.g. of the predicted classes.
        right: (N,), whether they are right.
        out: PNG file.
        title: above the diagram.
        num_bins: M.
    """
    figure = Figure(figsize=(5, 6), layout='constrained')
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    CalibrationDisplay.from_predictions(
        right, probabilities, n_bins=num_bins, ax=axes, name='at the mean confidence'
    )
    error = 100 * calibration_error(probabilities, right, num_bins)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel='', ylabel='accuracy')
    axes.set_title(f'{title}\nexpected calibration error {error:.1f} %'.strip())
    below.hist(probabilities, num_bins, (0, 1), color='grey', edgecolor='white')
    below.set(xlabel='confidence', ylabel='samples')
    write_figure(out, figure)
