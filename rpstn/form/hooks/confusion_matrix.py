"""Confusion matrices and calibration drawn after a test."""

from __future__ import annotations

from pathlib import Path

from mmaction.registry import HOOKS
from mmengine.dist import master_only
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.runner import Runner

from rpstn.errors import SettingError

from ..evaluation.calibration import plot_reliability
from ..evaluation.confusion import plot_confusion_matrix
from ..evaluation.metrics import FormMetric


@HOOKS.register_module()
class ConfusionMatrixHook(Hook):
    """Draw what :class:`~rpstn.form.FormMetric` found, into the runner's log folder.

    Files: ``<work_dir>/<time>/test_confusion_matrix.png`` and ``test_reliability.png``. The
    prefix of a metric takes part in the name where it is not ``form``.

    Args:
        val: draw after validations, too, as ``val_...png``, each over the one before.
            Defaults to False.
        out_dir: another folder.

    Raises:
        SettingError: the evaluator has no ``FormMetric`` that knows a confusion matrix.
    """

    def __init__(self, val: bool = False, out_dir: str | None = None) -> None:
        self.val = val
        self.out_dir = out_dir

    def before_test(self, runner: Runner) -> None:
        """Find the metrics early: better than after an hour of testing."""
        self._metrics(runner.test_loop.evaluator)

    def before_train(self, runner: Runner) -> None:
        """As :meth:`before_test`, of the validations to come."""
        if self.val and runner.val_loop is not None:
            self._metrics(runner.val_loop.evaluator)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Draw."""
        self._draw(runner, runner.test_loop.evaluator, 'test')

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Draw, if asked to."""
        if self.val:
            self._draw(runner, runner.val_loop.evaluator, 'val')

    @staticmethod
    def _metrics(evaluator: Evaluator) -> list[FormMetric]:
        found = [
            metric
            for metric in evaluator.metrics
            if isinstance(metric, FormMetric) and not metric.multi_class
        ]
        if not found:
            raise SettingError(
                'ConfusionMatrixHook needs a FormMetric without multi_class in the '
                f'evaluator, got {[type(m).__name__ for m in evaluator.metrics]}'
            )
        return found

    @master_only  # which alone computes metrics
    def _draw(self, runner: Runner, evaluator: Evaluator, stage: str) -> None:
        folder = Path(self.out_dir or runner.log_dir)
        folder.mkdir(parents=True, exist_ok=True)
        for metric in self._metrics(evaluator):
            evaluation = metric.evaluation
            if evaluation is None or evaluation.confusion is None:  # nothing evaluated
                continue
            prefix = '' if metric.prefix == FormMetric.default_prefix else f'{metric.prefix}_'
            stem = f'{stage}_{prefix}'.replace('/', '_')
            title = (
                f'{stage}: accuracy {100 * evaluation.overall["accuracy"]:.1f} %, '
                f'balanced {100 * evaluation.overall["balanced_accuracy"]:.1f} %'
            )
            path = folder / f'{stem}confusion_matrix.png'
            plot_confusion_matrix(
                evaluation.confusion, metric.class_names(len(evaluation.confusion)), path, title
            )
            confidence, right, num_bins = evaluation.confidence, evaluation.right, metric.num_bins
            if confidence is not None and right is not None and num_bins is not None:
                diagram = folder / f'{stem}reliability.png'
                plot_reliability(confidence, right, diagram, stage, num_bins)
            runner.logger.info(f'Drawn: {path}')
