"""2D human pose from video: RPSTN and its parts, registered for MMPose configs."""

from . import datasets, transforms  # noqa: F401 (registers them)
from .crops import Crop, Cropper
from .evaluation.legacy_pck import LegacyPCK
from .evaluation.pck import FrameEvaluator, VideoPCK
from .hooks.relation_swap import RelationSwapHook
from .hooks.visualization import ClipVisualizationHook
from .models.backbone import FrameNetwork, RPSTNBackbone
from .models.blazepose import BlazePose
from .models.blazepose_detector import BlazePoseDetector
from .models.blazepose_head import BlazePoseHead
from .models.data_preprocessor import ClipDataPreprocessor
from .models.efficientnet_lite import EfficientNetLite
from .models.estimator import VideoPoseEstimator
from .models.head import RPSTNHead
from .models.non_local import NonLocalRelation
from .models.propagation import JRPSP
from .models.propagation_ablations import CatPropagator, NoPropagator
from .models.relation import JRE, PriorRelation
from .models.relation_head import RelationHead
from .models.relation_sequence import RelationSequence
from .models.residual_propagation import ResidualJRPSP
from .models.shared_backbone import SharedBackbone
from .models.temporal_loss import TemporalMSELoss
from .models.upsampling import UpsampledBackbone
from .streaming.streaming import PersonPose, Stepper, StreamingRPSTN, StreamPoses, TorchStepper
from .structures import ClipDataSample

__all__ = [
    'Crop',
    'Cropper',
    'PersonPose',
    'Stepper',
    'StreamPoses',
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
    'EfficientNetLite',
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
    'UpsampledBackbone',
    'VideoPCK',
    'VideoPoseEstimator',
]
