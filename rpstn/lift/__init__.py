"""3D joints of people: from SMPL parameters."""

from .smpl import SMPLJoints
from .smpl_model import load_smpl_model
from .smpl_parameters import read_smpl_parameters

__all__ = ['SMPLJoints', 'load_smpl_model', 'read_smpl_parameters']
