"""Geometry of skeletons: pure functions on arrays and tensors alike."""

from .distances import from_condensed, joints_from_distances, pairwise_distances, to_condensed
from .limbs import normalize_limbs
from .motion import (
    canonical_starts,
    fill_gaps,
    joint_angle,
    remove_outliers,
    resample,
    standing_angle,
)

__all__ = [
    'canonical_starts',
    'fill_gaps',
    'from_condensed',
    'joint_angle',
    'joints_from_distances',
    'normalize_limbs',
    'pairwise_distances',
    'remove_outliers',
    'resample',
    'standing_angle',
    'to_condensed',
]
