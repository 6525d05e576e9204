"""Transforms of skeleton sequences; importing this registers them with MMAction2.

They work on MMAction2's own format, ``results['keypoint']`` (M, T, V, C), before its
``FormatGCNInput(num_person=1)`` and ``PackActionInputs``, and beside its other transforms. A
joint that is missing is NaN all along.
"""

from .augmentation import (
    AddMirrored,
    JitterSkeleton,
    MirrorSkeleton,
    RotateSkeleton,
    StretchSkeleton,
)
from .cleaning import CenterSkeleton, CleanSkeleton, FillMissing, ProjectSkeleton
from .sampling import ResampleSkeleton

__all__ = [
    'AddMirrored',
    'CenterSkeleton',
    'CleanSkeleton',
    'FillMissing',
    'JitterSkeleton',
    'MirrorSkeleton',
    'ProjectSkeleton',
    'ResampleSkeleton',
    'RotateSkeleton',
    'StretchSkeleton',
]
