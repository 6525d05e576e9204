"""3D joints of people: from SMPL parameters."""
from rpstn.lift.smpl import SMPLJoints
from rpstn.lift.smpl_model import load_smpl_model
from rpstn.lift.smpl_parameters import read_smpl_parameters

__all__ = ['SMPLJoints', 'load_smpl_model', 'read_smpl_parameters']
