"""Exercise form from skeletons over time; importing this registers the parts with MMAction2.

Pure functions on NumPy arrays and tensors alike stand beside the registered components.
"""

from rpstn.skeletons import SKELETONS, Skeleton, get_skeleton, joint_mapping, map_joints

from . import datasets, transforms
from .evaluation import FormMetric
from .geometry import (
    canonical_starts,
    fill_gaps,
    from_condensed,
    joint_angle,
    joints_from_distances,
    normalize_limbs,
    pairwise_distances,
    remove_outliers,
    repetitions,
    resample,
    to_condensed,
)
from .hooks import BalancedClassWeightHook, ConfusionMatrixHook
from .models import (
    DistanceMatrices,
    JointAngles,
    JointCoordinates,
    JointVelocities,
    StandingDisplacements,
    TemporalDistanceRecognizer,
    TemporalHead,
    TemporalResNet1D,
)

__all__ = [
    'SKELETONS',
    'BalancedClassWeightHook',
    'ConfusionMatrixHook',
    'DistanceMatrices',
    'FormMetric',
    'JointAngles',
    'JointCoordinates',
    'JointVelocities',
    'Skeleton',
    'StandingDisplacements',
    'TemporalDistanceRecognizer',
    'TemporalHead',
    'TemporalResNet1D',
    'canonical_starts',
    'datasets',
    'fill_gaps',
    'from_condensed',
    'get_skeleton',
    'joint_angle',
    'joint_mapping',
    'joints_from_distances',
    'map_joints',
    'normalize_limbs',
    'pairwise_distances',
    'remove_outliers',
    'repetitions',
    'resample',
    'to_condensed',
    'transforms',
]
