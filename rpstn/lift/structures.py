"""One person's joints over time: in the image, from which sources of 3D joints start, and in space,
which is what every source answers.

Shapes: T frames, K joints of the image, V joints.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rpstn.choices import KPT_THR, kpt_thr_of
from rpstn.errors import RPSTNError, SettingError
from rpstn.results import FrameResult, PersonResult, peaks_of
from rpstn.skeletons import Skeleton, skeleton_of

_FAINT = 0.5  # of the usual height


class LiftError(RPSTNError, ValueError):
    """Joints in space that cannot be had from what was given; one line."""


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
    """Who says so: of :data:`rpstn.lift.SOURCES`."""
    scale: str
    """What a metre is: ``'metric'``, measured; ``'nominal'``, that of an average body;
    ``'height'``, from a stated body height."""
    upright: bool
    """Whether y is the vertical of the room."""

    def joint(self, name: str) -> np.ndarray:
        """(T, 3) of the joint of that name, or of the middle of both sides where it has none
        (``'hip'``)."""
        if name in self.skeleton.joints:
            return self.joints[:, self.skeleton.index(name)]
        left, right = (self.skeleton.index(f'{side}_{name}') for side in ('left', 'right'))
        return (self.joints[:, left] + self.joints[:, right]) / 2


@dataclass(frozen=True)
class Track:
    """One person's joints in the image: what sources that look at a video start from."""

    keypoints: np.ndarray
    """(T, K, 2) pixels, x right, y down; NaN where a joint is not known."""
    scores: np.ndarray
    """(T, K) 0 to 1; 0 where a joint is not known."""
    times: np.ndarray
    """(T,) seconds since the video's first frame."""
    frames: np.ndarray
    """(T,) 0-based indices of the frames in the video, rising."""
    skeleton: Skeleton
    image_size: tuple[int, int] | None = None
    """Width and height, pixels."""
    world: np.ndarray | None = None
    """(T, K, 3) as :attr:`rpstn.results.PersonResult.world`, NaN where there is none; None where
    the network was not asked for it."""
    kpt_thr: float = KPT_THR
    """Score from which a joint is trusted."""


def tracks_of(results: Iterable[FrameResult]) -> dict[int, Track]:
    """Everybody's joints through a video, by their number; images are not kept.

    In frames in which a person is lost their joints are not known.

    Args:
        results: as :class:`rpstn.inference.inferencer.PoseInferencer` gives them.

    Raises:
        LiftError: frames have no clock, or joints are of no skeleton that is known.
    """
    seen: dict[int, list[tuple[int, float, PersonResult]]] = defaultdict(list)
    size: tuple[int, int] | None = None
    joints: tuple[str, ...] = ()
    meta: Mapping[str, Any] = {}
    for result in results:
        if result.image is not None:
            size = (result.image.shape[1], result.image.shape[0])
        names = result.meta.get('keypoint_id2name', {})
        joints = joints or tuple(names[k] for k in range(len(names)))
        meta = result.meta
        for person in result.people:
            seen[person.id].append((result.index, result.time, person))
    if not seen:
        return {}
    skeleton = skeleton_of(joints)
    if skeleton is None:
        raise LiftError(
            f'joints must be those of a skeleton of rpstn.skeletons, got {", ".join(joints)}'
        )
    return {number: _track(rows, skeleton, size, meta) for number, rows in sorted(seen.items())}


def longest_track(tracks: dict[int, Track]) -> Track:
    """That of who is seen in the most frames, the first of several.

    Raises:
        LiftError: there is nobody.
    """
    if not tracks:
        raise LiftError('nobody was found in any frame')
    return max(tracks.values(), key=lambda track: int((track.scores > 0).any(1).sum()))


def is_faint(peaks: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Whether a person is seen so much worse than usual that nobody is there.

    Whoever has left the picture is imagined for some frames, until they are lost. Where somebody
    is in it this is one of 2,184 frames of filmed squats and push-ups.

    Args:
        peaks: (..., K) heights of the heatmaps' peaks, see :func:`rpstn.results.peaks_of`.
        usual: (T, K) of the same person at other moments.

    Returns:
        (...) bool.
    """
    return peaks.mean(-1) < _FAINT * float(np.median(usual.mean(-1)))


def _track(
    rows: list[tuple[int, float, PersonResult]],
    skeleton: Skeleton,
    image_size: tuple[int, int] | None,
    meta: Mapping[str, Any],
) -> Track:
    frames, times, people = zip(*rows)
    if not np.isfinite(times).all():
        raise LiftError('frames have no clock: give the frame rate')
    lost = np.array([person.lost for person in people])
    # Heatmaps' peaks may be a little above 1, and below 0 where there is none.
    scores = np.clip(np.stack([person.scores for person in people]), 0, 1)
    if not lost.all():
        peaks = peaks_of(scores, meta)
        lost |= is_faint(peaks, peaks[~lost])
    scores[lost] = 0
    keypoints = np.stack([person.keypoints for person in people])
    keypoints = np.where(scores[..., None] > 0, keypoints, np.nan)
    given = [person.world for person in people]
    unknown = np.full((skeleton.num_joints, 3), np.nan)
    world = np.stack([unknown if found is None else found for found in given])
    world[lost] = np.nan
    return Track(
        keypoints,
        scores,
        np.array(times),
        np.array(frames),
        skeleton,
        image_size,
        None if all(found is None for found in given) else world,
        kpt_thr_of(meta),
    )


def check_joints(joints: Joints3D) -> Joints3D:
    """The same, once its arrays fit each other.

    Raises:
        SettingError: they do not, frames do not rise, or scale is unknown.
    """
    count = len(joints.frames)
    wanted = (count, joints.skeleton.num_joints)
    if joints.joints.shape != (*wanted, 3) or joints.scores.shape != wanted:
        raise SettingError(
            f'joints in space must be {(*wanted, 3)} with scores {wanted}, got '
            f'{joints.joints.shape} and {joints.scores.shape}'
        )
    if joints.times.shape != (count,) or not np.isfinite(joints.times).all():
        raise SettingError(f'each of {count} frames must have a time')
    if (np.diff(joints.frames) <= 0).any() or (np.diff(joints.times) < 0).any():
        raise SettingError('frames must rise, and their times not fall')
    if joints.scale not in SCALES:
        raise SettingError(f'scale must be one of {", ".join(SCALES)}, got {joints.scale!r}')
    return joints


SCALES = ('metric', 'nominal', 'height')
