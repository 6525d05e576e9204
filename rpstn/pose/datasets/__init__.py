"""Data sets of clips; importing this registers them with MMPose."""

from rpstn.data.paths import find_data
from rpstn.video.readers import (
    FrameReader,
    ImageReader,
    UnreadableFrameError,
    VideoPart,
    VideoReader,
)

from .blazepose import BlazePoseDataset
from .clip_dataset import ClipDataset
from .hieve import HiEveClipDataset
from .jhmdb import JHMDBClipDataset
from .metainfo import BLAZEPOSE33, HIEVE14, JHMDB15, PENN13, POSETRACK18, make_metainfo
from .penn_action import PennActionDataset
from .posetrack18 import PoseTrack18ClipDataset
from .samplers import RepeatSampler
from .sequence import BadSequenceError, PackedSequences, PoseSequence
from .sub_jhmdb import SubJHMDBClipDataset
from .teacher_labels import TeacherClipDataset
from .tracks import PersonLabel, Track, TrackClipDataset

__all__ = [
    'BLAZEPOSE33',
    'HIEVE14',
    'JHMDB15',
    'PENN13',
    'POSETRACK18',
    'BadSequenceError',
    'BlazePoseDataset',
    'ClipDataset',
    'FrameReader',
    'HiEveClipDataset',
    'ImageReader',
    'JHMDBClipDataset',
    'PackedSequences',
    'PennActionDataset',
    'PersonLabel',
    'PoseSequence',
    'PoseTrack18ClipDataset',
    'RepeatSampler',
    'SubJHMDBClipDataset',
    'TeacherClipDataset',
    'Track',
    'TrackClipDataset',
    'UnreadableFrameError',
    'VideoPart',
    'VideoReader',
    'find_data',
    'make_metainfo',
]
