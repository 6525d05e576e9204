"""Data sets of labelled skeleton sequences; importing this registers them with MMAction2."""

from .form_dataset import SkeletonFormDataset
from .penn_skeletons import PennSkeletonDataset
from .sequence import BadSkeletonError, SkeletonSequence
from .skeleton_dataset import SkeletonDataset
from .splits import SPLITS, leave_days_out, leave_group_out, random_split, split_indices
from .ui_prmd import UIPRMDDataset
from .waseda import WasedaSquatDataset

__all__ = [
    'SPLITS',
    'BadSkeletonError',
    'PennSkeletonDataset',
    'SkeletonDataset',
    'SkeletonFormDataset',
    'SkeletonSequence',
    'UIPRMDDataset',
    'WasedaSquatDataset',
    'leave_days_out',
    'leave_group_out',
    'random_split',
    'split_indices',
]
