"""What the OpenMMLab packages need to run on today's PyTorch, and who mends it."""

from .patches import apply, patches

__all__ = ['apply', 'patches']
