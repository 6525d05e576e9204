"""What happens beside training and testing; importing this registers the hooks."""

from .class_weights import BalancedClassWeightHook
from .confusion_matrix import ConfusionMatrixHook
from .discriminant_loop import DiscriminantLoop

__all__ = ['BalancedClassWeightHook', 'ConfusionMatrixHook', 'DiscriminantLoop']
