"""What a user may choose from by name; light, so that the command line needs no torch for it."""

from collections.abc import Mapping
from typing import Any

ENGINES = dict(
    torch=('float32', 'bfloat16'),
    onnx=('float32', 'int8'),
    openvino=('float32', 'bfloat16', 'int8'),
)
"""What computes the recurrence on a CPU -> the precisions that it has."""

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
"""Who starts several processes of one training."""

PRECISIONS = ('float32', 'bfloat16', 'int8')

WEIGHT_BITS = (7, 8)
"""Of weights as integers."""

FINDERS = ('blazepose', 'frame', 'motion', 'mediapipe', 'rtmdet')
"""Who says where people are, see :mod:`rpstn.pose.finders`."""

MODES = ('auto', 'clip', 'stream')
"""How :class:`rpstn.apis.PoseInferencer` looks at a video."""

OUTPUTS = dict(
    video='.mp4', json='.json', csv='.csv', npz='.npz', coco='.coco.json', mmpose='.mmpose.json'
)
"""What `rpstn infer` writes -> what the file's name ends in."""

SAVED = ('video', 'json', 'csv')
"""What it writes unless it is told."""

JOINTS = ('jhmdb15', 'penn13', 'blazepose33', 'coco17', 'halpe26')
"""Skeletons that results can be asked for in."""

LIFTERS = ('fused', 'blazepose', 'lifter', 'lifter_simulated')
"""What brings joints of the image into space, see :data:`rpstn.lift.SOURCES`."""

UNITS = ('m', 'cm', 'mm')
"""Of joints in space in files."""

KPT_THR = 0.2
"""Score from which a joint is drawn and trusted, where scores are heights of heatmaps' peaks."""

LOOK_AHEAD = 32
"""Frames of a file among which the surest is looked for, to begin with it."""


def kpt_thr_of(meta: Mapping[str, Any]) -> float:
    """Score from which a model's joints are drawn and trusted, by its MMPose's data set meta."""
    return float(meta.get('kpt_thr', KPT_THR))
