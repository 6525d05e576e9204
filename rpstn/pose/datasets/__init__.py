"""Data sets of clips; importing this registers them with MMPose."""
from .clip_dataset import ClipDataset
from .jhmdb import JHMDBClipDataset
from .metainfo import JHMDB15, PENN13
from .paths import find_data
from .penn_action import PennActionDataset
from .readers import FrameReader, ImageReader, UnreadableFrameError, VideoReader
from .sequence import BadSequenceError, PackedSequences, PoseSequence

__all__ = [
    'JHMDB15', 'PENN13', 'BadSequenceError', 'ClipDataset', 'FrameReader', 'ImageReader',
    'JHMDBClipDataset', 'PackedSequences', 'PennActionDataset', 'PoseSequence',
    'UnreadableFrameError', 'VideoReader', 'find_data'
]
