"""How good a recognizer is; importing this registers the metric."""

from .metrics import FormMetric
from .scores import FormEvaluation, evaluate_classes, evaluate_labels

__all__ = ['FormEvaluation', 'FormMetric', 'evaluate_classes', 'evaluate_labels']
