"""Transforms of clips; importing this registers them with MMPose."""

from .bodies import ClipBody
from .formatting import PackClipInputs
from .frames import ClipBBox, ForEachFrame
from .loading import LoadClip
from .skeletons import MapClipJoints
from .stretch import TopdownStretch

__all__ = [
    'ClipBBox',
    'ClipBody',
    'ForEachFrame',
    'LoadClip',
    'MapClipJoints',
    'PackClipInputs',
    'TopdownStretch',
]
