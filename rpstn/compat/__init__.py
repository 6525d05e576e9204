"""What the OpenMMLab packages need to run on today's PyTorch, and who mends it."""

from .patches import (
    INSTALL_MMACTION,
    INSTALL_MMCV,
    INSTALL_MMDET,
    INSTALL_TORCHVISION,
    apply,
    patches,
)

__all__ = [
    'INSTALL_MMACTION',
    'INSTALL_MMCV',
    'INSTALL_MMDET',
    'INSTALL_TORCHVISION',
    'apply',
    'patches',
]
