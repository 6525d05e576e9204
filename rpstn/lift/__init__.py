"""3D joints of people: of BlazePose, from files, from SMPL parameters."""

from .smpl import SMPLJoints
from .smpl_model import load_smpl_model
from .smpl_parameters import read_smpl_parameters
from .sources import DEFAULT, SOURCES, Source, build_source
from .structures import Joints3D, LiftError, Track, longest_track, tracks_of

__all__ = [
    'DEFAULT',
    'SOURCES',
    'Joints3D',
    'LiftError',
    'SMPLJoints',
    'Source',
    'Track',
    'build_source',
    'load_smpl_model',
    'longest_track',
    'read_smpl_parameters',
    'tracks_of',
]
