"""What `rpstn assess` does, one input after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from rpstn.engine.cpu import keep_freed_memory
from rpstn.errors import RPSTNError, SettingError, one_line
from rpstn.files import refuse_existing
from rpstn.names import hide_password
from rpstn.video.frames import FrameSource
from rpstn.video.inputs import expand_inputs, is_live, open_input

from .live import show
from .pipeline import Assessor, is_joint_file
from .report import FILES, PAGE, write_report
from .structures import Assessment

ASSESSED, NOTHING = 0, 3
"""Exit statuses: reports of all videos; nothing to assess in at least one, the report says why."""


@dataclass(frozen=True)
class AssessOptions:
    """One call of :func:`assess_all`; `rpstn assess --help` says what each is."""

    inputs: Sequence[str]
    """Videos, folders, globs and files of joints; with ``show``, cameras and streams, too."""
    out: Path | None = None
    exercise: str = 'squat'
    height: float | None = None
    """Metres."""
    tilt: float | None = None
    box: str = 'follow'
    blur_faces: bool = False
    video: bool = True
    """Whether the annotated video is written."""
    device: str | None = None
    fps: float | None = None
    """Frames per second, in place of what an input states."""
    lift: str | None = None
    """Source of joints in space, by name."""
    axes: str | None = None
    unit: str = 'm'
    """Both of files of joints in space, see :class:`rpstn.lift.files.JointFile`."""
    show: bool = False
    """Count in a window, and write nothing."""
    overwrite: bool = False
    """Reports that are there already."""

    def check(self) -> None:
        """See that the options fit each other, before anything takes time.

        Raises:
            SettingError: they do not.
        """
        if self.show:
            if self.out is not None or self.overwrite:
                raise SettingError('--show counts in a window and writes nothing: leave out --out')
            return
        if self.out is None:
            raise SettingError('--out is needed, the folder of the reports (or --show)')
        if Path(self.out).exists() and not Path(self.out).is_dir():
            raise SettingError(f'{self.out}: --out must be a folder')
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise SettingError(f'--fps must be above 0 and at most 1000, got {self.fps}')


def assess_all(options: AssessOptions, say: Callable[[str], None] = lambda line: None) -> int:
    """Assess every video, and write a report of each to OUT/NAME.

    Args:
        options: what is assessed, and how.
        say: takes lines on what was done.

    Returns:
        :data:`ASSESSED` or :data:`NOTHING`.

    Raises:
        RPSTNError: after all inputs that can be used were done: a line on each that cannot.
    """
    options.check()
    device = options.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    if device == 'cpu':
        keep_freed_memory()
    if options.show:
        return _show_all(options, device, say)
    assert options.out is not None
    out = Path(options.out)
    assessor = Assessor(
        options.exercise, options.height, options.tilt, options.box, device, options.lift
    )
    errors: list[str] = []
    names: dict[str, str] = {}
    status = ASSESSED
    for text in expand_inputs(list(options.inputs), say):
        try:
            source = None if is_joint_file(text) else open_video(text, options.fps)
            name = Path(text).stem if source is None else source.name
            if names.setdefault(name, text) != text:
                raise SettingError(
                    f'{text}: its report would be named as that of {names[name]}; use '
                    'another --out for one of them'
                )
            if not options.overwrite:
                refuse_existing(out / name / file for file in FILES)
            began = time.perf_counter()
            assessment = assess_one(assessor, text, source, options, out / name)
            took = time.perf_counter() - began
            say(f'{out / name / PAGE}: {in_one_line(assessment)} ({took:.1f} s)')
            if source is not None and source.damage:
                errors.append(f'{source.path}: {source.damage}; all else is in the report')
            if not assessment.assessable:
                status = NOTHING
        except (RPSTNError, OSError) as error:
            errors.append(one_line(error))
    if errors:
        raise RPSTNError('\n'.join(errors))
    return status


def assess_one(
    assessor: Assessor, text: str, source: FrameSource | None, options: AssessOptions, folder: Path
) -> Assessment:
    """Assess one video, or file of joints, and write its report.

    Args:
        assessor: made by the options.
        text: the input.
        source: the input, opened; None of a file of joints.
        options: how it is read, and what the report has.
        folder: of the report.

    Raises:
        RPSTNError: the input cannot be read. OSError: the report cannot be written.
    """
    if source is None:
        reading = dict(fps=options.fps, axes=options.axes, unit=options.unit)
        assessment = assessor.joints(text, **reading)
    else:
        assessment = assessor(source)
    write_report(assessment, source, folder, options.blur_faces, options.video)
    return assessment


def _show_all(options: AssessOptions, device: str, say: Callable[[str], None]) -> int:
    """Count in a window, one input after the other."""
    for text in expand_inputs(list(options.inputs), say):
        if is_joint_file(text):
            raise SettingError(f'{text}: --show is of cameras, streams and videos')
        source = open_input(text, options.fps)
        state = show(source, options.exercise, device)
        number = state.count if state else 0
        worst = f'; the last: {state.worst}' if state and state.worst else ''
        say(f'{source}: {number} whole repetition{"" if number == 1 else "s"}{worst}')
    return ASSESSED


def in_one_line(assessment: Assessment) -> str:
    """Count and the most important finding, or why nothing could be assessed."""
    for note in assessment.notes:
        if note.stops:
            return f'nothing to assess: {note.text}'
    partial = sum(one.partial for one in assessment.repetitions)
    whole = len(assessment.repetitions) - partial
    more = f' and {partial} partial' if partial else ''
    said = f'{whole} repetition{"" if whole == 1 else "s"}{more}'
    if not assessment.faults:
        return f'{said}, no fault seen'
    first = assessment.faults[0]
    return f'{said}; {first.status}: {first.reason}'


def open_video(text: str, fps: float | None) -> FrameSource:
    """What is assessed, opened.

    Raises:
        RPSTNError: it is live, or cannot be read.
    """
    if is_live(text):
        raise SettingError(
            f'{hide_password(text)}: a report is of a video, not of a live source; --show counts '
            'in a window, and rpstn serve on a page'
        )
    source = open_input(text, fps)
    assert isinstance(source, FrameSource)
    return source
