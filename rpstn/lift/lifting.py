"""The one door: from a person's joints in the image, or a file, to joints in space."""

from __future__ import annotations

import os
from pathlib import Path

from .files import JointFile, read_track
from .lifter_source import never_seen
from .scale import scaled_to_height
from .smoothing import smoothed
from .sources import DEFAULT, FOR_2D, SOURCES, build_source
from .structures import Joints3D, LiftError, Track, check_joints
from .vertical import upright

CUTOFF = 4.0
"""Hz: the error of knee flexion is least at about 2, and repetitions are slower than that, but a
fast ascent is not (docs/lift.md)."""


def lift(
    given: Track | str | os.PathLike,
    source: str | dict | None = None,
    tilt: float | None = None,
    height: float | None = None,
    cutoff: float | None = CUTOFF,
) -> Joints3D:
    """One person's joints in space, without jitter, upright and to scale as far as that is known.

        track = longest_track(tracks_of(PoseInferencer(world=True)('squat.mp4')))
        joints = lift(track, height=1.80)
        joints = lift('joints.npz')
        joints = lift('vicon.trc', dict(type='file', axes='x,z,-y', unit='mm', upright=True))

    Args:
        given: a person's joints in the image; or a file of joints, in the image or in space.
        source: of :data:`rpstn.lift.SOURCES`, by name or config. Defaults to ``'file'`` for joints
            in space, to ``'fused'`` where the network told world joints (``'blazepose'`` where
            limbs are never seen), else to ``'lifter_simulated'``.
        tilt: degrees by which the camera looks down; by default the vertical is found from how the
            person stands, see :func:`rpstn.lift.vertical.found_vertical`.
        height: of the body, metres, for joints that are not measured in metres.
        cutoff: Hz above which movements are taken for jitter; None leaves joints as they are.

    Raises:
        LiftError: there is nothing to lift. SettingError: an option that cannot be.
        BadSkeletonError: the file cannot be read.
    """
    joints = check_joints(_joints(given if isinstance(given, Track) else Path(given), source))
    if not (joints.scores > 0).any():
        raise LiftError('no joint is known in any frame')
    if cutoff is not None:
        joints = smoothed(joints, cutoff)
    joints = upright(joints, tilt)
    return joints if height is None else scaled_to_height(joints, height)


def _joints(given: Track | Path, source: str | dict | None) -> Joints3D:
    """As the source answers them."""
    found: Joints3D | Track | Path = given
    if source is None:
        if isinstance(given, Path):
            found = JointFile().read(given)
        if isinstance(found, Joints3D):
            return found
        source = _default(found)
    chosen = build_source(source)
    if isinstance(found, Path) and chosen.takes is Track:
        found = read_track(found)
    if not isinstance(found, chosen.takes):
        raise LiftError(
            f'source {source!r} starts from {chosen.takes.__name__}, got {type(found).__name__}'
        )
    return chosen(found)


def _default(track: Track | Path) -> str:
    if isinstance(track, Track) and track.world is not None:
        return 'blazepose' if never_seen(track) else DEFAULT
    if FOR_2D not in SOURCES.module_dict:
        raise LiftError(
            f'joints in the image need a source that lifts them ({FOR_2D}), and none is there; '
            'videos have world joints: PoseInferencer(world=True)'
        )
    return FOR_2D
