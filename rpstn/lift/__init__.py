"""3D joints of people: of BlazePose, from files, from SMPL parameters."""

from .files import JointFile, load_joints, read_track, save_joints
from .fused_source import FusedJoints
from .lifter_source import LifterJoints
from .lifting import lift
from .scale import scaled_to_height
from .smoothing import smoothed
from .smpl import SMPLJoints
from .smpl_model import load_smpl_model
from .smpl_parameters import read_smpl_parameters
from .smpl_source import SMPLSource
from .sources import DEFAULT, SOURCES, Source, build_source
from .structures import Joints3D, LiftError, Track, longest_track, tracks_of
from .vertical import upright

__all__ = [
    'DEFAULT',
    'SOURCES',
    'FusedJoints',
    'JointFile',
    'Joints3D',
    'LiftError',
    'LifterJoints',
    'SMPLJoints',
    'SMPLSource',
    'Source',
    'Track',
    'build_source',
    'lift',
    'load_joints',
    'load_smpl_model',
    'longest_track',
    'read_smpl_parameters',
    'read_track',
    'save_joints',
    'scaled_to_height',
    'smoothed',
    'tracks_of',
    'upright',
]
