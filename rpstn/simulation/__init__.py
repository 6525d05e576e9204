"""Synthetic athletes: 3D motions, rendered clips with exact labels, and bodies drawn over
annotated joints."""
from .annotated import annotated_scene, render_sequence
from .dataset import SyntheticClipDataset
from .limb_occluders import ClipOccluders, SpanOccluders
from .motion import MOTIONS
from .reader import CachedReader, SyntheticReader

__all__ = ['MOTIONS', 'CachedReader', 'ClipOccluders', 'SpanOccluders', 'SyntheticClipDataset',
           'SyntheticReader', 'annotated_scene', 'render_sequence']
