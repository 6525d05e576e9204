"""Calibration: whether a class predicted with 80 % is right in 80 % of the cases.

Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
https://arxiv.org/abs/1706.04599

Shapes: N samples, C classes, M bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


@dataclass(frozen=True)
class ReliabilityBins:
    """What was predicted and what was right in M bins of equal width over [0, 1].

    Attributes:
        counts: (M,) samples in each bin.
        confidence: (M,) mean predicted probability, NaN in an empty bin.
        accuracy: (M,) share that was right, NaN in an empty bin.
    """

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def calibration_error(self) -> float:
        """Mean of |accuracy - confidence| over the bins, weighted by their counts."""
        filled = self.counts > 0
        gaps = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float(np.average(gaps, weights=self.counts[filled]))


def reliability_bins(
    probabilities: np.ndarray, right: np.ndarray, num_bins: int = 15
) -> ReliabilityBins:
    """Sort predictions by their probability into the bins ((m-1)/M, m/M]; 0 goes to the first.

    Args:
        probabilities: (N,), within [0, 1].
        right: (N,), whether what was predicted so is the case.
        num_bins: M.

    Raises:
        ValueError: no prediction at all, another number of answers, or a probability outside
            [0, 1].
    """
    probabilities, right = np.asarray(probabilities, float), np.asarray(right, float)
    if probabilities.ndim != 1 or right.shape != probabilities.shape or not len(right):
        raise ValueError(
            'reliability_bins: takes N > 0 probabilities and as many answers, got '
            f'shapes {probabilities.shape} and {right.shape}'
        )
    if not ((probabilities >= 0) & (probabilities <= 1)).all():  # NaN fails here, too
        raise ValueError(
            'reliability_bins: probabilities must be within [0, 1], got '
            f'{probabilities.min()} to {probabilities.max()}'
        )
    edges = np.linspace(0, 1, num_bins + 1)
    index = np.maximum(np.searchsorted(edges, probabilities, side='left') - 1, 0)
    counts = np.bincount(index, minlength=num_bins)
    divisor = np.where(counts, counts, np.nan)
    return ReliabilityBins(
        counts,
        np.bincount(index, probabilities, num_bins) / divisor,
        np.bincount(index, right, num_bins) / divisor,
    )


def top_label_bins(
    probabilities: np.ndarray, labels: np.ndarray, num_bins: int = 15
) -> ReliabilityBins:
    """Bins of the predicted (most probable) classes alone; Guo's expected calibration error.

    Args:
        probabilities: (N, C), rows sum to 1.
        labels: (N,) true classes.
        num_bins: M.
    """
    return reliability_bins(
        probabilities.max(axis=1), probabilities.argmax(axis=1) == labels, num_bins
    )


def classwise_calibration_error(
    probabilities: np.ndarray, targets: np.ndarray, num_bins: int = 15
) -> float:
    """Calibration error of every class's probability by itself, mean over the classes.

    Unlike the top-label error it sees the probabilities of classes that are not predicted.
    Kull et al., "Beyond temperature scaling", NeurIPS 2019, equation 3.
    https://arxiv.org/abs/1910.12656

    Args:
        probabilities: (N, C).
        targets: (N, C), 1 where a class is true, one-hot or of several labels.
        num_bins: M.
    """
    return float(
        np.mean(
            [
                reliability_bins(column, target, num_bins).calibration_error
                for column, target in zip(probabilities.T, targets.T, strict=True)
            ]
        )
    )


def plot_reliability(bins: ReliabilityBins, out: str | Path, title: str = '') -> None:
    """A reliability diagram: accuracy over confidence, and how many samples lie where.

    Args:
        bins: e.g. of :func:`top_label_bins`.
        out: PNG file.
        title: above the diagram.
    """
    num_bins = len(bins.counts)
    width = 1 / num_bins
    centres = (np.arange(num_bins) + 0.5) * width
    figure = Figure(figsize=(5, 6), layout='constrained')
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    axes.bar(centres, np.nan_to_num(bins.accuracy), width, edgecolor='white', label='accuracy')
    axes.plot(bins.confidence, bins.accuracy, 'k.', label='at the mean confidence')
    axes.plot([0, 1], [0, 1], '--', color='grey', label='perfect calibration')
    axes.set(
        xlim=(0, 1),
        ylim=(0, 1),
        ylabel='accuracy',
        title='\n'.join(
            filter(
                None, [title, f'expected calibration error {100 * bins.calibration_error:.1f} %']
            )
        ),
    )
    axes.legend(loc='upper left')
    below.bar(centres, bins.counts, width, color='grey', edgecolor='white')
    below.set(xlabel='confidence', ylabel='samples')
    figure.savefig(out, dpi=120)
