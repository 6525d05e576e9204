"""Recognizers of exercise form and their parts; importing this registers them."""

from .discriminant import fit_discriminant, join_experts
from .head import TemporalHead
from .movement import MovementPhases, MovementRange, NoBackbone
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
    'MovementPhases',
    'MovementRange',
    'NoBackbone',
    'StandingDisplacements',
    'TemporalDistanceRecognizer',
    'TemporalHead',
    'TemporalResNet1D',
    'fit_discriminant',
    'join_experts',
]
