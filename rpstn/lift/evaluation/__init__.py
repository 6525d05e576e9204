"""How good lifted joints are: on an optical capture, through random cameras."""

from .lifting_errors import knee_flexion, mirrored, n_mpjpe, pa_mpjpe
from .lifting_metric import LiftingMetric
from .random_views import View, random_view

__all__ = [
    'LiftingMetric',
    'View',
    'knee_flexion',
    'mirrored',
    'n_mpjpe',
    'pa_mpjpe',
    'random_view',
]
