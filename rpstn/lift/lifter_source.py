"""The lifters that come with the package, as sources of joints in space.

Shapes: T frames, K joints of the image, V joints of ``lifter15``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from rpstn.checkpoints import SHIPPED
from rpstn.skeletons import SKELETONS, map_joints

from .sources import SOURCES, centred, in_own_axes
from .structures import Joints3D, LiftError, Track

if TYPE_CHECKING:
    from .models import UnsupervisedLifter

_SKELETON = SKELETONS['lifter15']


@SOURCES.register_module('lifter')
class LifterJoints:
    """Joints of any skeleton that has shoulders, elbows, wrists, hips, knees, ankles and a head.

    Learned without any joint in space. Its metres are nominal: those of a body with a trunk of
    average length.

    Args:
        model: the network; the one that comes with the package by default.
    """

    takes = Track
    name = 'lifter'
    """Of the source, and of the weights."""

    def __init__(self, model: UnsupervisedLifter | None = None) -> None:
        from .models.shipped_lifter import lift_video, load_lifter  # MMPose takes seconds

        self._lift = partial(lift_video, model or load_lifter(SHIPPED / f'{self.name}.json'))

    def __call__(self, given: Track) -> Joints3D:
        scores = np.repeat(given.scores[..., None], 2, axis=-1)
        scores = map_joints(scores, given.skeleton, _SKELETON)[..., 0]
        image = map_joints(given.keypoints.astype(np.float64), given.skeleton, _SKELETON)
        known = np.isfinite(image).all(-1)
        if absent := never_seen(given):
            raise LiftError(
                f'source {self.name} needs all of its joints in the image; never seen: '
                f'{", ".join(absent)}'
            )
        joints = self._lift(_filled(image, known, given.times), given.times)
        joints[~known.any(1)] = np.nan  # nobody was seen
        return Joints3D(
            centred(in_own_axes(joints), _SKELETON.joints),
            np.where(known, scores, 0),
            given.times,
            given.frames,
            _SKELETON,
            self.name,
            'nominal',
            upright=False,
        )


@SOURCES.register_module('lifter_simulated')
class SimulatedLifterJoints(LifterJoints):
    """The same network, which has learned from simulated bodies, too, whose depths are known."""

    name = 'lifter_simulated'


def never_seen(track: Track) -> list[str]:
    """Joints that the lifters need, and that are not known in any frame."""
    image = map_joints(track.keypoints.astype(np.float64), track.skeleton, _SKELETON)
    known = np.isfinite(image).all(-1).any(0)
    return [name for name, seen in zip(_SKELETON.joints, known) if not seen]


def _filled(image: np.ndarray, known: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Joints (T, V, 2) with straight lines in time where they are not known."""
    filled = image.copy()
    for joint in range(image.shape[1]):
        seen = known[:, joint]
        for axis in range(2):
            filled[:, joint, axis] = np.interp(times, times[seen], image[seen, joint, axis])
    return filled
