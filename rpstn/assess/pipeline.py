"""From a video to an assessment: one person's joints, in space, their angles, what they tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from rpstn.errors import SettingError
from rpstn.form.angles import azimuth, measure_angles, view_of
from rpstn.form.exercises import count, load_exercise
from rpstn.form.findings import find_faults
from rpstn.inference.inferencer import PoseInferencer
from rpstn.lift.lifting import lift
from rpstn.lift.scale import HEIGHTS
from rpstn.lift.structures import longest_track, tracks_of
from rpstn.lift.vertical import MOST_TILT
from rpstn.pose.finders import build_finder
from rpstn.results import FrameResult
from rpstn.video.frames import FrameSource
from rpstn.video.inputs import open_input

from . import remarks
from .structures import Assessment, Note

_LOOK_EVERY = 1.0  # seconds between frames in which people are counted


class Assessor:
    """RPSTN-Lite and what follows it, ready for one video after the other.

    Args:
        exercise: name of one that comes with the package, or a file of one's own.
        height: of the person, metres; scales what is told in cm.
        tilt: degrees by which the camera looks down; by default the vertical is found from how
            the person stands.
        box: where the person is at first, see :func:`rpstn.pose.boxes.parse_box`.
        device: as torch names it.

    Raises:
        SettingError: an option cannot be.
    """

    def __init__(
        self,
        exercise: str | Path = 'squat',
        height: float | None = None,
        tilt: float | None = None,
        box: str = 'follow',
        device: str = 'cpu',
    ) -> None:
        if height is not None and not HEIGHTS[0] <= height <= HEIGHTS[1]:
            raise SettingError(
                f'height must be {HEIGHTS[0]:g} to {HEIGHTS[1]:g} metres, got {height:g}'
            )
        if tilt is not None and not abs(tilt) <= MOST_TILT:
            raise SettingError(f'tilt must be -{MOST_TILT:g} to {MOST_TILT:g} degrees, got {tilt}')
        self.exercise = load_exercise(exercise)
        self.height, self.tilt = height, tilt
        self._inferencer = PoseInferencer(device=device, box=box, world=True)
        self._finder = build_finder('blazepose', device=device)

    def __call__(
        self, source: FrameSource, progress: Callable[[float], None] = lambda seconds: None
    ) -> Assessment:
        """Look at one video.

        Args:
            progress: takes seconds of the video after each frame that was looked at.

        Raises:
            UnreadableFrameError: it cannot be read.
        """
        self._counts: list[int] = []
        self._frames, self._seconds = 0, 0.0
        tracks = tracks_of(self._watch(source, progress))
        about = Assessment(
            source.path.name, self.exercise, source.fps, source.size, self._seconds, notes=()
        )
        tracks = {number: one for number, one in tracks.items() if (one.scores > 0).any()}
        if not tracks:
            return replace(about, notes=(remarks.nobody(self._frames),))
        track = longest_track(tracks)
        joints = lift(track, tilt=self.tilt, height=self.height)
        angles = measure_angles(joints.joints, joints.skeleton, joints.upright)
        view = view_of(azimuth(joints.joints, joints.skeleton))
        repetitions = count(angles, joints.times, self.exercise)
        notes: list[Note] = [
            *remarks.on_picture(track, source.fps),
            *remarks.on_movement(angles, repetitions, self.exercise, view, joints),
            *remarks.on_people(self._counts, track, list(tracks.values())),
        ]
        return replace(
            about,
            notes=tuple(sorted(notes, key=lambda note: not note.stops)),
            track=track,
            meta=self._inferencer.dataset_meta,
            joints=joints,
            angles=angles,
            view=view,
            repetitions=tuple(repetitions),
            findings=tuple(find_faults(angles, repetitions, self.exercise, view, joints.upright)),
        )

    def _watch(
        self, source: FrameSource, progress: Callable[[float], None]
    ) -> Iterator[FrameResult]:
        """The frames' results; people are counted on the way."""
        look_at = 0.0
        for result in self._inferencer(source):
            self._frames += 1
            self._seconds = result.time + 1 / source.fps
            if result.time >= look_at and result.people and result.image is not None:
                self._counts.append(len(self._finder.find(result.image, 0)))
                look_at = result.time + _LOOK_EVERY
            progress(self._seconds)
            yield result


def assess(
    video: str | Path,
    exercise: str | Path = 'squat',
    height: float | None = None,
    tilt: float | None = None,
    box: str = 'follow',
    device: str = 'cpu',
) -> Assessment:
    """Assess one video; :func:`rpstn.assess.report.write_report` writes it down.

        assessment = assess('squat.mp4')
        reasons = [finding.reason for finding in assessment.findings]

    Args:
        video: a video file, or a folder of images.
        exercise, height, tilt, box, device: of :class:`Assessor`.

    Raises:
        RPSTNError: the video cannot be read, or an option cannot be.
    """
    source = open_input(video)
    if not isinstance(source, FrameSource):
        raise SettingError(f'{video}: assess takes videos, not live sources')
    return Assessor(exercise, height, tilt, box, device)(source)
