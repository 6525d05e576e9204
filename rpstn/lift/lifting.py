"""The one door: from a person's joints in the image, or a file, to joints in space."""

from __future__ import annotations

from .scale import scaled_to_height
from .smoothing import smoothed
from .sources import DEFAULT, build_source
from .structures import Joints3D, LiftError, Track, check_joints
from .vertical import upright

CUTOFF = 4.0
"""Hz: the error of knee flexion is least at about 2, and repetitions are slower than that, but a
fast ascent is not (docs/lift.md)."""


def lift(
    given: Track,
    source: str | dict = DEFAULT,
    tilt: float | None = None,
    height: float | None = None,
    cutoff: float | None = CUTOFF,
) -> Joints3D:
    """One person's joints in space, without jitter, upright and to scale as far as that is known.

        track = longest_track(tracks_of(PoseInferencer(world=True)('squat.mp4')))
        joints = lift(track, height=1.80)

    Args:
        given: what the source starts from.
        source: of :data:`rpstn.lift.SOURCES`, by name or config.
        tilt: degrees by which the camera looks down; by default the vertical is found from how the
            person stands, see :func:`rpstn.lift.vertical.found_vertical`.
        height: of the body, metres, for joints that are not measured in metres.
        cutoff: Hz above which movements are taken for jitter; None leaves joints as they are.

    Raises:
        LiftError: there is nothing to lift. SettingError: an option that cannot be.
    """
    chosen = build_source(source)
    if not isinstance(given, chosen.takes):
        raise LiftError(
            f'source {source!r} starts from {chosen.takes.__name__}, got {type(given).__name__}'
        )
    joints = check_joints(chosen(given))
    if not (joints.scores > 0).any():
        raise LiftError('no joint is known in any frame')
    if cutoff is not None:
        joints = smoothed(joints, cutoff)
    joints = upright(joints, tilt)
    return joints if height is None else scaled_to_height(joints, height)
