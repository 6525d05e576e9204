"""Linear discriminants that know of sessions, in closed form.

N samples, C classes, F features.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rpstn.errors import SettingError


def fit_discriminant(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    num_classes: int,
    between: float = 0.5,
    shrinkage: float = 0.4,
) -> tuple[np.ndarray, np.ndarray]:
    """Fisher's discriminant, that leans less on what differs between sessions of one class.

    The covariance within classes has two parts: W within a session, and B of the sessions' means
    about their class's. They are weighed W + ``between`` B, as a session is of use only as one
    example of how sessions differ (within-class covariance normalization, Hatch et al.,
    Interspeech 2006); then shrunk towards a multiple of the identity. A class's mean is that of
    its sessions', each weighed by the root of its number of samples. All classes are taken to be
    equally frequent.

    Args:
        features: (N, F), each of about unit variance.
        labels: (N,) 0 .. C - 1, each of which must occur.
        groups: (N,) the session of each sample.
        num_classes: C.
        between: see above.
        shrinkage: share of the identity, in (0, 1].

    Returns:
        (C, F) weights and (C,) biases of the logarithm of the probabilities of the classes.

    Raises:
        SettingError: a class without samples, options out of range.
    """
    if between < 0 or not 0 < shrinkage <= 1:
        raise SettingError(
            'a discriminant needs between >= 0 and 0 < shrinkage <= 1, got '
            f'{between} and {shrinkage}'
        )
    width = features.shape[1]
    within, across, means = np.zeros((width, width)), np.zeros((width, width)), []
    for label in range(num_classes):
        mine = labels == label
        if not mine.any():
            raise SettingError(f'class {label} of {num_classes} has no training sample')
        parts = [features[mine & (groups == name)] for name in np.unique(groups[mine])]
        centres = np.stack([part.mean(0) for part in parts])
        counts = np.array([len(part) for part in parts])
        mean = np.average(centres, axis=0, weights=np.sqrt(counts))
        for part, centre in zip(parts, centres):
            within += (part - centre).T @ (part - centre)
        across += ((centres - mean) * counts[:, None]).T @ (centres - mean)
        means.append(mean)
    covariance = (within + between * across) / len(features)
    covariance *= 1 - shrinkage
    trace = np.trace(covariance) / (1 - shrinkage) if shrinkage < 1 else float(width)
    covariance[np.diag_indices(width)] += shrinkage * trace / width
    centres = np.stack(means)
    weights = np.linalg.solve(covariance, centres.T).T
    return weights, -0.5 * (weights * centres).sum(1)


def join_experts(experts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """One linear classifier of the features of several: the geometric mean of what they say.

    Args:
        experts: of each the (C, F) weights and (C,) biases, as :func:`fit_discriminant` gives them.

    Returns:
        The (C, sum of F) weights and (C,) biases.
    """
    weights = np.concatenate([weight for weight, _ in experts], 1)
    return weights / len(experts), np.mean([bias for _, bias in experts], 0)
