"""From a video or a file to an assessment: joints in space, their angles, what they tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rpstn.data.joints.joint_files import SUFFIXES
from rpstn.errors import SettingError
from rpstn.form.angles import azimuth, measure_angles, view_of
from rpstn.form.exercises import count, load_exercise
from rpstn.form.findings import find_faults
from rpstn.inference.inferencer import PoseInferencer
from rpstn.lift.files import JointFile
from rpstn.lift.lifting import lift
from rpstn.lift.scale import HEIGHTS
from rpstn.lift.sources import build_source
from rpstn.lift.structures import Joints3D, LiftError, Track, longest_track, tracks_of
from rpstn.lift.vertical import MOST_TILT
from rpstn.pose.finders import build_finder
from rpstn.results import FrameResult
from rpstn.video.frames import FrameSource
from rpstn.video.inputs import open_input

from . import remarks
from .forms import FormReader
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
        source: of joints in space, one of :data:`rpstn.choices.LIFTERS`; see
            :func:`rpstn.lift.lifting.lift` for what is taken by default.

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
        source: str | None = None,
    ) -> None:
        if height is not None and not HEIGHTS[0] <= height <= HEIGHTS[1]:
            raise SettingError(
                f'height must be {HEIGHTS[0]:g} to {HEIGHTS[1]:g} metres, got {height:g}'
            )
        if tilt is not None and not abs(tilt) <= MOST_TILT:
            raise SettingError(f'tilt must be -{MOST_TILT:g} to {MOST_TILT:g} degrees, got {tilt}')
        self.exercise = load_exercise(exercise)
        self.height, self.tilt, self.source = height, tilt, source
        if source is not None and build_source(source).takes is not Track:
            raise SettingError(f'joints in the image are not lifted by source {source!r}')
        self._forms = FormReader(self.exercise)
        self._inferencer = PoseInferencer(device=device, box=box, world=True, spare=True)
        # Counts everybody, whichever way up.
        self._finder = build_finder('blazepose', device=device, sure=math.inf)

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
        joints = lift(track, self.source, self.tilt, self.height)
        notes = [
            *remarks.on_picture(track, source.fps),
            *remarks.on_people(self._counts, track, list(tracks.values())),
        ]
        about = replace(about, track=track, meta=self._inferencer.dataset_meta)
        return self._judged(about, joints, notes, lift(track, 'blazepose', tilt=0.0))

    def joints(self, path: str | Path, **reading: Any) -> Assessment:
        """Look at one person's joints from a file, in space, or in the image where there is a
        source that lifts them.

        Args:
            path: of a format that :class:`rpstn.lift.files.JointFile` reads.
            reading: its options, such as ``fps``, ``axes`` and ``unit``.

        Raises:
            RPSTNError: it cannot be read, or an option cannot be.
        """
        path, file = Path(path), dict(type='file', **reading)
        found = JointFile(**reading).read(path)
        try:
            if isinstance(found, Track):
                joints = lift(found, self.source, self.tilt, self.height)
            else:
                joints = lift(path, file, self.tilt, self.height)
        except LiftError as error:
            named = str(error) if str(path) in str(error) else f'{path}: {error}'
            raise LiftError(named) from None
        gaps = np.diff(joints.times)
        fps = 1 / float(np.median(gaps)) if len(gaps) and np.median(gaps) > 0 else 0.0
        seconds = float(joints.times[-1] - joints.times[0]) + (1 / fps if fps else 0.0)
        about = Assessment(path.name, self.exercise, fps, None, seconds, notes=())
        return self._judged(about, joints, remarks.on_file(joints), joints)

    def _judged(
        self, about: Assessment, joints: Joints3D, notes: Sequence[Note], as_seen: Joints3D
    ) -> Assessment:
        """All that follows from joints in space.

        The classifiers are asked about joints ``as_seen``, BlazePose's in the camera's axes, as
        they were trained on: who is turned upright bends forward less than in their recordings.
        """
        angles = measure_angles(joints.joints, joints.skeleton, joints.upright)
        view = view_of(azimuth(joints.joints, joints.skeleton))
        repetitions = count(angles, joints.times, self.exercise)
        badly = any(note.kind in ('cut_off', 'hidden') for note in notes)
        notes = [
            *notes,
            *remarks.on_movement(angles, repetitions, self.exercise, view, joints, badly),
        ]
        # Of squats filmed from the side the classifiers that ship have seen none.
        known = view != 'side' and not any(note.kind == 'another_exercise' for note in notes)
        return replace(
            about,
            notes=tuple(sorted(notes, key=lambda note: not note.stops)),
            joints=joints,
            angles=angles,
            view=view,
            repetitions=tuple(repetitions),
            findings=tuple(find_faults(angles, repetitions, self.exercise, view, joints.upright)),
            forms=self._forms(as_seen, repetitions, view) if known else None,
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
    source: str | None = None,
) -> Assessment:
    """Assess one video; :func:`rpstn.assess.report.write_report` writes it down.

        assessment = assess('squat.mp4')
        reasons = [finding.reason for finding in assessment.findings]

    Args:
        video: a video file, a folder of images, or a file of joints.
        exercise, height, tilt, box, device, source: of :class:`Assessor`.

    Raises:
        RPSTNError: the video cannot be read, or an option cannot be.
    """
    assessor = Assessor(exercise, height, tilt, box, device, source)
    if is_joint_file(video):
        return assessor.joints(video)
    opened = open_input(video)
    if not isinstance(opened, FrameSource):
        raise SettingError(f'{video}: assess takes videos, not live sources')
    return assessor(opened)


def is_joint_file(path: str | Path) -> bool:
    """Whether its name says that it holds joints, and not pictures."""
    return Path(path).suffix.lower() in SUFFIXES
