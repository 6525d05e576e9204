"""What an assessment of one video, or of joints from a file, is made of, before it is written down.

Shapes: T frames in which the person is followed, K joints of the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rpstn.form.classifier import FormPrediction
from rpstn.form.exercises import Exercise
from rpstn.form.findings import CONFIRMED, ONCE, Finding
from rpstn.form.repetitions import Repetition
from rpstn.lift.structures import Joints3D, Track


@dataclass(frozen=True)
class Note:
    """Something about the recording that the reader has to know.

    Attributes:
        kind: for programs, e.g. ``'several_people'``.
        text: one sentence for readers, and what to do about it.
        stops: whether nothing can be assessed for it.
    """

    kind: str
    text: str
    stops: bool = False


@dataclass(frozen=True)
class Forms:
    """What a classifier says of the form.

    Attributes:
        repetitions: of each; None of partial ones, and of those that it cannot be asked about.
        whole: of all of them together.
        about: how right the classifier was on recordings of days that it had not seen, see
            :attr:`rpstn.form.classifier.FormClassifier.about`.
        leaned: of each repetition, which distances speak for its class to a classifier that looks
            at these alone, see :meth:`rpstn.form.classifier.FormClassifier.leaned_on`; None as
            above; empty where the exercise has no such classifier.
    """

    repetitions: tuple[FormPrediction | None, ...]
    whole: FormPrediction
    about: Mapping[str, Any]
    leaned: tuple[np.ndarray | None, ...] = ()


@dataclass(frozen=True)
class Assessment:
    """One video, looked at, or joints from a file.

    Frames in ``repetitions`` and ``findings`` count rows of ``joints`` and ``track``, whose
    ``frames`` and ``times`` say where in the video they are.

    Attributes:
        video: its file's name.
        exercise: that was asked for.
        fps: frames per second.
        size: width and height, pixels; None of joints from a file.
        seconds: that the video lasts.
        notes: on the recording, those that stop the assessment first.
        track: the person in the image; None where there is nobody, and of joints from a file.
        meta: MMPose's data set meta of the track, by which skeletons are drawn.
        joints: the person in space; None where there is nobody, as all that follows.
        angles: key of :func:`rpstn.form.angles.measure_angles` -> (T,).
        view: ``front``, ``oblique`` or ``side``.
        repetitions: in order.
        findings: the most important first.
        forms: what a classifier says; None where the exercise has none, or nothing was counted.
    """

    video: str
    exercise: Exercise
    fps: float
    size: tuple[int, int] | None
    seconds: float
    notes: tuple[Note, ...]
    track: Track | None = None
    meta: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    joints: Joints3D | None = None
    angles: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    view: str = ''
    repetitions: tuple[Repetition, ...] = ()
    findings: tuple[Finding, ...] = ()
    forms: Forms | None = None

    @property
    def assessable(self) -> bool:
        """Whether there was something to assess."""
        return not any(note.stops for note in self.notes)

    @property
    def faults(self) -> tuple[Finding, ...]:
        """Findings that were seen: confirmed ones first, and of these what is farthest outside of
        good form, in standard errors; the exercise's order decides between equal ones."""
        seen = [one for one in self.findings if one.status in (CONFIRMED, ONCE)]
        return tuple(sorted(seen, key=lambda one: (one.status != CONFIRMED, -_errors_off(one))))

    def phase(self, row: int) -> tuple[int, str]:
        """Number of the repetition, from 1, and its phase in a row: ``down``, ``turn`` or ``up``;
        between repetitions that of the last one, 0 before the first, and ``rest``."""
        assert self.joints is not None
        times, last = self.joints.times, 0
        for number, one in enumerate(self.repetitions, 1):
            if row < one.start:
                break
            last = number
            if row <= one.end:
                passed = times[row] - times[one.start]
                if passed < one.down:
                    return number, 'down'
                return number, 'turn' if passed <= one.down + one.pause else 'up'
        return last, 'rest'


def _errors_off(finding: Finding) -> float:
    """How far the strongest evidence lies outside of what is good, in its standard errors."""
    if not finding.evidence:
        return 0.0
    strongest, (low, high) = finding.evidence[0], finding.good
    return max(low - strongest.value, strongest.value - high) / strongest.error
