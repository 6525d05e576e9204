"""MMEngine's metric of form classification.

Shapes: C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmaction.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import nn

from rpstn.errors import SettingError
from rpstn.tables import format_table

from .confusion import confusion_table
from .scores import FormEvaluation, evaluate_classes, evaluate_labels


@METRICS.register_module()
class FormMetric(BaseMetric):
    """Figures of form classification, from ``pred_score`` (C,) and ``gt_label`` of the samples.

    Works wherever MMAction2's ``AccMetric`` does. The names, with what they are and how classes
    without samples count in
    :func:`~rpstn.form.evaluation.scores.evaluate_classes`: ``form/accuracy``,
    ``form/balanced_accuracy``, ``form/macro_f1``, ``form/top<k>``, ``form/ece``,
    ``form/classwise_ece``, ``form/brier``, ``form/nll`` and ``form/<figure>/<class>`` for
    ``precision``, ``recall``, ``f1`` and ``support``.

    With ``multi_class=True``, :func:`~rpstn.form.evaluation.scores.evaluate_labels`: ``form/mAP``,
    ``form/macro_f1``, ``form/exact_match``, ``form/classwise_ece``, ``form/brier`` and per label
    also ``average_precision``.

    All are fractions but ``nll``, ``brier`` and ``support``; the more the better but for these
    and the errors. For ``save_best='form/macro_f1'`` MMEngine's ``CheckpointHook`` has to be told
    ``rule='greater'``; names with ``acc`` it knows.

    Tables per class and of the confusion matrix are logged; ``ConfusionMatrixHook`` draws them
    from ``evaluation``, the ``FormEvaluation`` of the last evaluation (of the main process).

    Args:
        multi_class: several labels at once, given as vectors of 0 and 1: MMAction2's name
            for it, as of its datasets and heads. Defaults to False.
        num_bins: of the calibration errors. With None these are left out, and
            scores need not be probabilities. Defaults to 15.
        topk: accuracies among the k best, not with ``multi_class``. Defaults to
            none.
        threshold: a label with a score above it is predicted, with ``multi_class``.
            Defaults to 0.5.
        per_class: report every class, too. Defaults to True.
        log_tables: Defaults to True.
        **kwargs: of :class:`mmengine.evaluator.BaseMetric`; ``prefix`` replaces ``form``.

    Raises:
        SettingError: options out of range; in evaluation, a sample whose scores or label do not fit
            the classes of the data set, NaN scores, or no sample at all.
    """

    default_prefix = 'form'

    def __init__(
        self,
        multi_class: bool = False,
        num_bins: int | None = 15,
        topk: Sequence[int] = (),
        threshold: float = 0.5,
        per_class: bool = True,
        log_tables: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_bins is not None and num_bins < 1:
            raise SettingError(f'FormMetric: num_bins must be at least 1 or None, got {num_bins}')
        if any(k < 1 for k in topk) or (topk and multi_class):
            raise SettingError(
                'FormMetric: topk takes numbers from 1 on, and none with '
                f'multi_class=True, got {topk}'
            )
        self.multi_class = multi_class
        self.num_bins = num_bins
        self.topk = tuple(topk)
        self.threshold = threshold
        self.per_class = per_class
        self.log_tables = log_tables
        self.evaluation: FormEvaluation | None = None

    def class_names(self, num_classes: int) -> tuple[str, ...]:
        """Names of the data set's classes, or their numbers where it does not name them.

        Raises:
            SettingError: another number of classes than the data set's, or one name twice.
        """
        names = tuple((self.dataset_meta or {}).get('classes') or map(str, range(num_classes)))
        if len(names) != num_classes:
            raise SettingError(
                f'FormMetric: the data set has {len(names)} classes {names}, '
                f'pred_score has {num_classes} scores: set num_classes of the head'
            )
        if len(set(names)) != len(names):
            raise SettingError(f'FormMetric: class names must differ, got {names}')
        return names

    def expected_figures(self, model: nn.Module) -> list[str] | None:
        """Names of the figures of every evaluation, known before the first, by the model's head.

        Raises:
            SettingError: its scores would be refused.
        """
        head: Any = getattr(model, 'cls_head', None)
        if head is None:
            return None
        if head.multi_class != self.multi_class:
            raise SettingError(
                f'FormMetric: multi_class must be that of the head, {head.multi_class}, got '
                f'{self.multi_class}'
            )
        allowed = ('prob',) if self.num_bins is not None else ('prob', 'score')
        if head.average_clips not in allowed:
            raise SettingError(
                f'FormMetric: average_clips of the head must be {" or ".join(allowed)} '
                f'with num_bins={self.num_bins}, got {head.average_clips!r}'
            )
        every = np.eye(head.num_classes)  # a sample of each class, rightly classified
        labels = every.astype(int) if self.multi_class else np.arange(head.num_classes)
        names = self.class_names(head.num_classes)
        return list(self._named(self._evaluate(every, labels), names))

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Check and keep scores and labels of a batch of samples (as dicts)."""
        for sample in data_samples:
            name = str(sample.get('frame_dir', f'sample {len(self.results)}'))
            scores = self._scores(name, sample['pred_score'])
            expected = self.results[0]['scores'].shape if self.results else scores.shape
            if scores.shape != expected:
                raise SettingError(
                    f'FormMetric: pred_score of {name} has shape {scores.shape}, '
                    f'that of the samples before it {expected}'
                )
            label = torch.as_tensor(sample['gt_label']).cpu().numpy()
            self.results.append(dict(scores=scores, label=self._label(name, label, len(scores))))

    def _scores(self, name: str, scores: Any) -> np.ndarray:
        """Scores of one sample, (C,), after checks."""
        scores = scores.detach().float().cpu().numpy() if hasattr(scores, 'detach') else scores
        if not isinstance(scores, np.ndarray) or scores.ndim != 1:
            raise SettingError(
                f'FormMetric: pred_score of {name} must be a vector of one score per '
                f"class (average_clips='prob' of the head), got "
                f'{getattr(scores, "shape", type(scores).__name__)}'
            )
        self.class_names(len(scores))
        if not np.isfinite(scores).all():
            raise SettingError(f'FormMetric: pred_score of {name} must be finite, got {scores}')
        if self.num_bins is not None:
            within = scores.min() >= 0 and scores.max() <= 1 + 1e-3
            if not within or not (self.multi_class or abs(scores.sum() - 1) <= 1e-2):
                allowed = (
                    'within [0, 1]'
                    if self.multi_class
                    else "that sum to 1 (average_clips='prob' of the head)"
                )
                raise SettingError(
                    f'FormMetric: pred_score of {name} must be probabilities '
                    f'{allowed}, or num_bins=None, got {scores}'
                )
            scores = scores.clip(0, 1)
        return scores

    def _label(self, name: str, label: np.ndarray, num_classes: int) -> np.ndarray | int:
        """Label of one sample, a number or (C,) of 0 and 1, after checks."""
        if self.multi_class:
            if label.shape != (num_classes,) or not np.isin(label, (0, 1)).all():
                raise SettingError(
                    f'FormMetric: with multi_class=True gt_label of {name} must be '
                    f'{num_classes} numbers 0 or 1, got {label}'
                )
            return label.astype(int)
        if label.size != 1:
            raise SettingError(
                f'FormMetric: gt_label of {name} must be one class, got {label}; '
                'several labels need multi_class=True'
            )
        if label.item() not in range(num_classes):
            raise SettingError(
                f'FormMetric: gt_label of {name} must be among the classes 0 to '
                f'{num_classes - 1}, got {label.item()}'
            )
        return int(label.item())

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """All figures of the collected samples."""
        if not results:
            raise SettingError('FormMetric: there is no sample to evaluate')
        scores = np.stack([result['scores'] for result in results])
        labels = np.stack([result['label'] for result in results])
        self.evaluation = evaluation = self._evaluate(scores, labels)
        names = self.class_names(scores.shape[1])
        if self.log_tables:
            self._log(evaluation, names, len(results))
        return self._named(evaluation, names)

    def _evaluate(self, scores: np.ndarray, labels: np.ndarray) -> FormEvaluation:
        if self.multi_class:
            return evaluate_labels(scores, labels, self.num_bins, self.threshold)
        return evaluate_classes(scores, labels, self.num_bins, self.topk)

    def _named(self, evaluation: FormEvaluation, names: Sequence[str]) -> dict[str, float]:
        figures = dict(evaluation.overall)
        if self.per_class:
            figures.update(
                {
                    f'{figure}/{name}': value.item()
                    for figure, values in evaluation.per_class.items()
                    for name, value in zip(names, values)
                }
            )
        return figures

    def _log(self, evaluation: FormEvaluation, names: Sequence[str], num_samples: int) -> None:
        rows = [
            [name, *(values[index] for values in evaluation.per_class.values())]
            for index, name in enumerate(names)
        ]
        text = f'Forms in percent over {num_samples} samples\n' + format_table(
            ['', *evaluation.per_class], rows, scale=100
        )
        if evaluation.confusion is not None:
            text += '\nConfusion matrix\n' + confusion_table(evaluation.confusion, names)
        empty = [name for name, count in zip(names, evaluation.per_class['support']) if not count]
        if empty:
            text += f'\n{len(empty)} classes have no sample here, and no recall: {empty}'
        print_log(text, logger='current')
