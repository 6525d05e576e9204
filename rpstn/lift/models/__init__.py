"""The unsupervised lifter: network, density of poses, anatomy."""

from .lifting_network import DepthHead, JointAttention, JointFeatures
from .pose_flow import PoseFlow
from .unsupervised_lifter import UnsupervisedLifter

__all__ = ['DepthHead', 'JointAttention', 'JointFeatures', 'PoseFlow', 'UnsupervisedLifter']
