"""Figures of form classification, as functions of scores and labels.

Shapes: N samples, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mmaction.evaluation import top_k_accuracy
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
)

from .calibration import calibration_error, classwise_calibration_error


@dataclass(frozen=True)
class FormEvaluation:
    """Figures of one evaluation.

    Attributes:
        overall: name -> figure.
        per_class: name -> (C,) figures, NaN where undefined.
        confusion: (C, C) counts, ``confusion[true, predicted]``; of
            single-label classification only.
        right: (N,) whether the predicted class is the true one; likewise.
        confidence: (N,) its probability, where scores are probabilities; likewise.
    """

    overall: dict[str, float]
    per_class: dict[str, np.ndarray]
    confusion: np.ndarray | None = None
    right: np.ndarray | None = None
    confidence: np.ndarray | None = None


def _mean_of_defined(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float('nan')


def evaluate_classes(
    scores: np.ndarray, labels: np.ndarray, num_bins: int | None = 15, topk: Sequence[int] = ()
) -> FormEvaluation:
    """Figures of single-label classification; the highest score is what is predicted.

    A figure of a class that divides zero by zero is NaN and left out of means: recall of a class
    without samples, precision of one never predicted, F1 of one that is neither there nor
    predicted. A class without samples that is predicted has precision and F1 0, and its F1 counts
    in the mean. So ``balanced_accuracy`` and ``macro_f1`` equal scikit-learn's
    ``balanced_accuracy_score`` and ``f1_score(average='macro')`` with their defaults.

    Args:
        scores: (N, C).
        labels: (N,) true classes.
        num_bins: of the calibration errors, for which rows of scores must be
            probabilities; they are scaled to sum to 1 exactly. None: without ``ece``,
            ``classwise_ece``, ``brier`` (summed over classes, 0 to 2) and ``nll`` (with natural
            logarithm; a probability of 0 counts as 2e-16).
        topk: adds ``top<k>`` accuracies.

    Returns:
        ``accuracy``, ``balanced_accuracy``, ``macro_f1`` and the above; of each
        class ``precision``, ``recall``, ``f1`` and ``support`` (samples).
    """
    classes = np.arange(scores.shape[1])
    predicted = scores.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=classes, zero_division=np.nan
    )
    overall = dict(
        accuracy=float(accuracy_score(labels, predicted)),
        balanced_accuracy=_mean_of_defined(recall),
        macro_f1=_mean_of_defined(f1),
    )
    accuracies = top_k_accuracy(scores, labels, tuple(topk)) if topk else []
    overall.update({f'top{k}': float(value) for k, value in zip(topk, accuracies)})
    right, confidence = predicted == labels, None
    if num_bins is not None:
        probabilities = scores.astype(float) / scores.sum(axis=1, keepdims=True, dtype=float)
        targets = labels[:, None] == classes
        confidence = probabilities.max(axis=1)
        overall.update(
            ece=calibration_error(confidence, right, num_bins),
            classwise_ece=classwise_calibration_error(probabilities, targets, num_bins),
            brier=float(((probabilities - targets) ** 2).sum(axis=1).mean()),
            nll=float(log_loss(labels, probabilities, labels=classes)),
        )
    return FormEvaluation(
        overall,
        dict(precision=precision, recall=recall, f1=f1, support=support),
        confusion_matrix(labels, predicted, labels=classes),
        right,
        confidence,
    )


def evaluate_labels(
    scores: np.ndarray, targets: np.ndarray, num_bins: int | None = 15, threshold: float = 0.5
) -> FormEvaluation:
    """Figures of multi-label classification; a score above the threshold predicts its label.

    Precision, recall and F1 are undefined (NaN, left out of the mean) as in
    :func:`evaluate_classes`, and so is the average precision of a label that no sample bears,
    which scikit-learn calls 0.

    Args:
        scores: (N, C).
        targets: (N, C), 1 where a label is true, else 0.
        num_bins: of the calibration error, for which scores must be
            probabilities. None: without ``classwise_ece`` and ``brier`` (mean over labels).
        threshold: of the scores.

    Returns:
        ``mAP``, ``macro_f1``, ``exact_match`` (all labels of a sample are right)
        and the above; of each label ``precision``, ``recall``, ``f1``, ``average_precision`` and
        ``support`` (samples that bear it).
    """
    predicted = scores > threshold
    # Label by label: where every sample has or lacks a label, scikit-learn needs to be told that
    # it is the 1 that counts, and a single label it would take for two classes.
    columns = list(zip(targets.T.astype(int), predicted.T.astype(int), scores.T))
    precision, recall, f1, support = (
        np.concatenate(figures)
        for figures in zip(
            *(
                precision_recall_fscore_support(target, guess, labels=[1], zero_division=np.nan)
                for target, guess, _ in columns
            )
        )
    )
    average_precision = np.array(
        [
            average_precision_score(target, score) if target.any() else np.nan
            for target, _, score in columns
        ]
    )
    overall = dict(
        mAP=_mean_of_defined(average_precision),
        macro_f1=_mean_of_defined(f1),
        exact_match=float((predicted == targets).all(axis=1).mean()),
    )
    if num_bins is not None:
        overall.update(
            classwise_ece=classwise_calibration_error(scores, targets, num_bins),
            brier=float(((scores - targets) ** 2).mean(dtype=float)),
        )
    return FormEvaluation(
        overall,
        dict(
            precision=precision,
            recall=recall,
            f1=f1,
            average_precision=average_precision,
            support=support,
        ),
    )
