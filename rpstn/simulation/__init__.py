"""Synthetic athletes: 3D motions, rendered clips with exact labels, and bodies drawn over
annotated joints."""

from .athletes.motion import MOTIONS
from .clips.annotated import annotated_scene, render_sequence
from .clips.dataset import SyntheticClipDataset
from .clips.reader import CachedReader, SyntheticReader
from .rendering.limb_occluders import ClipOccluders, SpanOccluders

__all__ = [
    'MOTIONS',
    'CachedReader',
    'ClipOccluders',
    'SpanOccluders',
    'SyntheticClipDataset',
    'SyntheticReader',
    'annotated_scene',
    'render_sequence',
]
