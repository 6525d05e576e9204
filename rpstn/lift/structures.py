"""Joints of one person in space over time: what every source of 3D joints answers.

Shapes: T frames, V joints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rpstn.skeletons import Skeleton


@dataclass(frozen=True)
class Joints3D:
    """One person's joints in space, whoever measured or estimated them.

    Axes are right-handed: x to the camera's right, y up, z towards the camera; where ``upright`` is
    false, y is the image's up, and lean can only be told relative to how the person stood. The
    origin is the middle of the hips of each frame.
    """

    joints: np.ndarray
    """(T, V, 3) metres; NaN where a joint is not known."""
    scores: np.ndarray
    """(T, V) 0 to 1; 0 where a joint is not known."""
    times: np.ndarray
    """(T,) seconds since the video's first frame."""
    frames: np.ndarray
    """(T,) 0-based indices of the frames in the video, rising."""
    skeleton: Skeleton
    source: str
    """Who says so: ``'blazepose'``, ``'lifter'``, ``'smpl'`` or ``'file'``."""
    scale: str
    """What a metre is: ``'metric'``, measured; ``'nominal'``, that of an average body;
    ``'height'``, from a stated body height."""
    upright: bool
    """Whether y is the vertical of the room."""
