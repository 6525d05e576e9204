"""What happens beside training and testing; importing this registers the hooks."""

from .relation_swap import RelationSwapHook
from .visualization import ClipVisualizationHook

__all__ = ['ClipVisualizationHook', 'RelationSwapHook']
