"""Exercise form from skeletons over time; importing this registers the parts with MMAction2.

Pure functions on NumPy arrays and tensors alike stand beside the registered components.
"""

from rpstn.skeletons import SKELETONS, Skeleton, get_skeleton, joint_mapping, map_joints

from . import datasets, transforms
from .angle_table import ANGLES, Angle, angle_of, error_of, is_measured, margin_of
from .angles import azimuth, measure_angles, view_of
from .evaluation import FormMetric
from .exercises import Exercise, known_exercises, load_exercise
from .findings import Finding, find_faults
from .geometry import (
    canonical_starts,
    fill_gaps,
    from_condensed,
    joint_angle,
    joints_from_distances,
    normalize_limbs,
    pairwise_distances,
    remove_outliers,
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
from .ranges import Ranges, load_ranges
from .repetitions import Counting, Repetition, find_repetitions

__all__ = [
    'ANGLES',
    'Angle',
    'angle_of',
    'error_of',
    'is_measured',
    'margin_of',
    'azimuth',
    'measure_angles',
    'view_of',
    'Exercise',
    'known_exercises',
    'load_exercise',
    'Finding',
    'find_faults',
    'Ranges',
    'load_ranges',
    'Counting',
    'Repetition',
    'find_repetitions',
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
    'resample',
    'to_condensed',
    'transforms',
]
