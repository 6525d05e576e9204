"""2D human pose from video: RPSTN and its parts, registered for MMPose configs."""
from . import datasets, transforms  # noqa: F401 (registers them)
from .backbone import FrameNetwork, RPSTNBackbone
from .data_preprocessor import ClipDataPreprocessor
from .estimator import VideoPoseEstimator
from .head import RPSTNHead
from .hooks import ClipVisualizationHook
from .metrics import FrameEvaluator, VideoPCK
from .propagation import JRPSP
from .relation import JRE
from .structures import ClipDataSample

__all__ = [
    'JRE', 'JRPSP', 'ClipDataPreprocessor', 'ClipDataSample', 'ClipVisualizationHook',
    'FrameEvaluator', 'FrameNetwork', 'RPSTNBackbone', 'RPSTNHead', 'VideoPCK',
    'VideoPoseEstimator'
]
