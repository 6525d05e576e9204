"""How good lifted joints are: on an optical capture, through random cameras."""

from .joint_centres import joint_centres
from .lifting_errors import knee_flexion, mirrored, n_mpjpe, pa_mpjpe
from .lifting_metric import LiftingMetric
from .random_views import View, random_view

__all__ = [
    'LiftingMetric',
    'View',
    'joint_centres',
    'knee_flexion',
    'mirrored',
    'n_mpjpe',
    'pa_mpjpe',
    'random_view',
]
