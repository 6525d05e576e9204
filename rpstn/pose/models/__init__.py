"""RPSTN and its parts; importing this registers them."""

from .backbone import FrameNetwork, RPSTNBackbone
from .blazepose import BlazePose
from .blazepose_detector import BlazePoseDetector
from .blazepose_head import BlazePoseHead
from .data_preprocessor import ClipDataPreprocessor
from .estimator import TurnedPoseEstimator, VideoPoseEstimator
from .guided_blazepose import GuidedBlazePose
from .head import RPSTNHead
from .non_local import NonLocalRelation
from .pairwise_relation import PairwiseRelation
from .propagation import JRPSP
from .propagation_ablations import CatPropagator, NoPropagator
from .relation import JRE, PriorRelation
from .relation_head import RelationHead
from .relation_sequence import RelationSequence
from .residual_propagation import ResidualJRPSP
from .shared_backbone import SharedBackbone
from .temporal_loss import TemporalMSELoss
from .token_relation import TokenRelation
from .upsampling import UpsampledBackbone

__all__ = [
    'BlazePose',
    'BlazePoseDetector',
    'BlazePoseHead',
    'CatPropagator',
    'ClipDataPreprocessor',
    'FrameNetwork',
    'GuidedBlazePose',
    'JRE',
    'JRPSP',
    'NoPropagator',
    'NonLocalRelation',
    'PairwiseRelation',
    'PriorRelation',
    'RPSTNBackbone',
    'RPSTNHead',
    'RelationHead',
    'RelationSequence',
    'ResidualJRPSP',
    'SharedBackbone',
    'TemporalMSELoss',
    'TokenRelation',
    'TurnedPoseEstimator',
    'UpsampledBackbone',
    'VideoPoseEstimator',
]
