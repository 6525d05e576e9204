"""Synthetic athletes: 3D motions, rendered clips with exact labels, and bodies drawn over
annotated joints."""
from .annotated import annotated_scene, render_sequence
from .dataset import SyntheticClipDataset
from .motion import MOTIONS
from .reader import CachedReader, SyntheticReader

__all__ = ['MOTIONS', 'CachedReader', 'SyntheticClipDataset', 'SyntheticReader',
           'annotated_scene', 'render_sequence']
