"""Recognizers of exercise form and their parts; importing this registers them."""

from .head import TemporalHead
from .recognizer import TemporalDistanceRecognizer
from .representations import (
    DistanceMatrices,
    JointAngles,
    JointCoordinates,
    JointVelocities,
    StandingDisplacements,
)
from .temporal_resnet import TemporalResNet1D

__all__ = [
    'DistanceMatrices',
    'JointAngles',
    'JointCoordinates',
    'JointVelocities',
    'StandingDisplacements',
    'TemporalDistanceRecognizer',
    'TemporalHead',
    'TemporalResNet1D',
]
