"""How good joints in video are; importing this registers the metrics."""

from .legacy_pck import LegacyPCK
from .pck import FrameEvaluator, VideoPCK

__all__ = ['FrameEvaluator', 'LegacyPCK', 'VideoPCK']
