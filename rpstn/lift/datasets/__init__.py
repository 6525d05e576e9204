"""What the lifter learns from and is measured on; importing this registers both with MMPose."""

from .captured_views import CapturedViews
from .pose_tracks import PoseTracks, read_tracks

__all__ = ['CapturedViews', 'PoseTracks', 'read_tracks']
