"""2D human pose from video: RPSTN and its parts, registered for MMPose configs."""

from . import datasets, transforms  # noqa: F401 (registers them)
from .crops import Crop, Cropper
from .evaluation import FrameEvaluator, LegacyPCK, VideoPCK
from .hooks import ClipVisualizationHook, RelationSwapHook
from .models import (
    JRE,
    JRPSP,
    BlazePose,
    BlazePoseDetector,
    BlazePoseHead,
    CatPropagator,
    ClipDataPreprocessor,
    FrameNetwork,
    NonLocalRelation,
    NoPropagator,
    PriorRelation,
    RelationHead,
    RelationSequence,
    ResidualJRPSP,
    RPSTNBackbone,
    RPSTNHead,
    SharedBackbone,
    TemporalMSELoss,
    TokenRelation,
    UpsampledBackbone,
    VideoPoseEstimator,
)
from .streaming import Stepper, StreamingRPSTN, TorchStepper
from .structures import ClipDataSample

__all__ = [
    'Crop',
    'Cropper',
    'Stepper',
    'StreamingRPSTN',
    'TorchStepper',
    'BlazePose',
    'BlazePoseDetector',
    'BlazePoseHead',
    'CatPropagator',
    'NoPropagator',
    'JRE',
    'JRPSP',
    'ClipDataPreprocessor',
    'ClipDataSample',
    'ClipVisualizationHook',
    'FrameEvaluator',
    'FrameNetwork',
    'LegacyPCK',
    'NonLocalRelation',
    'PriorRelation',
    'RPSTNBackbone',
    'RPSTNHead',
    'RelationHead',
    'RelationSequence',
    'RelationSwapHook',
    'ResidualJRPSP',
    'SharedBackbone',
    'TemporalMSELoss',
    'TokenRelation',
    'UpsampledBackbone',
    'VideoPCK',
    'VideoPoseEstimator',
]
