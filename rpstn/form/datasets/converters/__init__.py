"""Skeletons of other layouts into the files of ``SkeletonFormDataset``; see docs/form_data.md."""

from rpstn.data.joints.joint_files import read_joints
from rpstn.data.joints.to_skeleton import ToSkeleton

from .fitness_aqa import Windows, convert_fitness_aqa
from .joints_folder import UNREADABLE, convert_joints_folder
from .skeleton_files import Conversion, SkeletonFiles

__all__ = [
    'UNREADABLE',
    'Conversion',
    'SkeletonFiles',
    'ToSkeleton',
    'Windows',
    'convert_fitness_aqa',
    'convert_joints_folder',
    'read_joints',
]
