"""2D human pose from video: RPSTN and its parts, registered for MMPose configs."""
from . import datasets, transforms  # noqa: F401 (registers them)
from .backbone import FrameNetwork, RPSTNBackbone
from .crops import Crop, Cropper
from .data_preprocessor import ClipDataPreprocessor
from .efficientnet_lite import EfficientNetLite
from .estimator import VideoPoseEstimator
from .head import RPSTNHead
from .hooks import ClipVisualizationHook
from .legacy_pck import LegacyPCK
from .metrics import FrameEvaluator, VideoPCK
from .non_local import NonLocalRelation
from .propagation import JRPSP
from .propagation_ablations import CatPropagator, NoPropagator
from .relation import JRE, PriorRelation
from .relation_head import RelationHead
from .relation_sequence import RelationSequence
from .relation_swap import RelationSwapHook
from .residual_propagation import ResidualJRPSP
from .shared_backbone import SharedBackbone
from .streaming import PersonPose, Stepper, StreamingRPSTN, StreamPoses, TorchStepper
from .structures import ClipDataSample
from .temporal_loss import TemporalMSELoss
from .upsampling import UpsampledBackbone

__all__ = [
    'Crop', 'Cropper', 'PersonPose', 'Stepper', 'StreamPoses', 'StreamingRPSTN', 'TorchStepper',
    'CatPropagator', 'NoPropagator',
    'JRE', 'JRPSP', 'ClipDataPreprocessor', 'ClipDataSample', 'ClipVisualizationHook',
    'EfficientNetLite', 'FrameEvaluator', 'FrameNetwork', 'LegacyPCK', 'NonLocalRelation',
    'PriorRelation', 'RPSTNBackbone',
    'RPSTNHead', 'RelationHead', 'RelationSequence', 'RelationSwapHook', 'ResidualJRPSP',
    'SharedBackbone',
    'TemporalMSELoss', 'UpsampledBackbone', 'VideoPCK', 'VideoPoseEstimator'
]
