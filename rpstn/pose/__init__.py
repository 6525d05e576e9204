"""2D human pose from video: RPSTN and its parts, registered for MMPose configs."""
from . import datasets, transforms  # noqa: F401 (registers them)
from .backbone import FrameNetwork, RPSTNBackbone
from .data_preprocessor import ClipDataPreprocessor
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
from .structures import ClipDataSample

__all__ = [
    'CatPropagator', 'NoPropagator',
    'JRE', 'JRPSP', 'ClipDataPreprocessor', 'ClipDataSample', 'ClipVisualizationHook',
    'FrameEvaluator', 'FrameNetwork', 'LegacyPCK', 'NonLocalRelation', 'PriorRelation',
    'RPSTNBackbone',
    'RPSTNHead', 'RelationHead', 'RelationSequence', 'RelationSwapHook', 'VideoPCK',
    'VideoPoseEstimator'
]
