"""Joints of people over time, as files of many tools have them."""

from .joint_files import read_joints
from .joint_sequence import JointSequence
from .to_skeleton import ToSkeleton

__all__ = ['JointSequence', 'ToSkeleton', 'read_joints']
