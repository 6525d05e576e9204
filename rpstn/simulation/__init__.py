"""Synthetic athletes: 3D motions, rendered clips with exact labels, bodies drawn over
annotated joints, and what makes real video hard."""

from .athletes.motion import MOTIONS
from .clips.annotated import annotated_scene, render_sequence
from .clips.dataset import SyntheticClipDataset
from .clips.reader import CachedReader, SyntheticReader
from .rendering.limb_occluders import ClipOccluders, SpanOccluders
from .stress import CrossingPerson, LimbOcclusion, MotionBlur

__all__ = [
    'MOTIONS',
    'CachedReader',
    'ClipOccluders',
    'CrossingPerson',
    'LimbOcclusion',
    'MotionBlur',
    'SpanOccluders',
    'SyntheticClipDataset',
    'SyntheticReader',
    'annotated_scene',
    'render_sequence',
]
