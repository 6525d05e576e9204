"""2D human pose from video: RPSTN and its parts, registered for MMPose configs."""

from . import datasets, transforms  # noqa: F401 (registers them)
from .calibration import CalibratedHeatmap
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
    GuidedBlazePose,
    NonLocalRelation,
    NoPropagator,
    PairwiseRelation,
    PriorRelation,
    RelationHead,
    RelationSequence,
    ResidualJRPSP,
    RPSTNBackbone,
    RPSTNHead,
    SharedBackbone,
    TemporalMSELoss,
    TokenRelation,
    TurnedPoseEstimator,
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
    'CalibratedHeatmap',
    'CatPropagator',
    'NoPropagator',
    'JRE',
    'JRPSP',
    'ClipDataPreprocessor',
    'ClipDataSample',
    'ClipVisualizationHook',
    'FrameEvaluator',
    'FrameNetwork',
    'GuidedBlazePose',
    'LegacyPCK',
    'NonLocalRelation',
    'PairwiseRelation',
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
    'TurnedPoseEstimator',
    'UpsampledBackbone',
    'VideoPCK',
    'VideoPoseEstimator',
]
