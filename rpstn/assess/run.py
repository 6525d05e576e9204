"""What `rpstn assess` does, one video after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from rpstn.engine.cpu import keep_freed_memory
from rpstn.errors import RPSTNError, SettingError, one_line
from rpstn.video.frames import FrameSource
from rpstn.video.inputs import expand_inputs, is_live, open_input

from .pipeline import Assessor
from .report import write_report
from .structures import Assessment

ASSESSED, NOTHING = 0, 3
"""Exit statuses: reports of all videos; nothing to assess in at least one, the report says why."""


@dataclass(frozen=True)
class AssessOptions:
    """One call of :func:`assess_all`; `rpstn assess --help` says what each is."""

    inputs: Sequence[str]
    """Videos, folders and globs."""
    out: Path
    exercise: str = 'squat'
    height: float | None = None
    """Metres."""
    tilt: float | None = None
    box: str = 'follow'
    blur_faces: bool = False
    video: bool = True
    """Whether the annotated video is written."""
    device: str | None = None


def assess_all(options: AssessOptions, say: Callable[[str], None] = lambda line: None) -> int:
    """Assess every video, and write a report of each to OUT/NAME.

    Args:
        options: what is assessed, and how.
        say: takes lines on what was done.

    Returns:
        :data:`ASSESSED` or :data:`NOTHING`.

    Raises:
        RPSTNError: after all videos that can be used were done: a line on each that cannot.
    """
    out = Path(options.out)
    if out.exists() and not out.is_dir():
        raise SettingError(f'{out}: --out must be a folder')
    device = options.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    if device == 'cpu':
        keep_freed_memory()
    assessor = Assessor(options.exercise, options.height, options.tilt, options.box, device)
    errors: list[str] = []
    names: dict[str, str] = {}
    status = ASSESSED
    for text in expand_inputs(list(options.inputs), say):
        try:
            source = _open(text)
            if names.setdefault(source.name, text) != text:
                raise SettingError(
                    f'{text}: its report would be named as that of {names[source.name]}; use '
                    'another --out for one of them'
                )
            began = time.perf_counter()
            assessment = assessor(source)
            page = write_report(
                assessment, source, out / source.name, options.blur_faces, options.video
            )
            say(f'{page}: {in_one_line(assessment)} ({time.perf_counter() - began:.1f} s)')
            if source.damage:
                errors.append(f'{source.path}: {source.damage}; all else is in the report')
            if not assessment.assessable:
                status = NOTHING
        except (RPSTNError, OSError) as error:
            errors.append(one_line(error))
    if errors:
        raise RPSTNError('\n'.join(errors))
    return status


def in_one_line(assessment: Assessment) -> str:
    """Count and the most important finding, or why nothing could be assessed."""
    for note in assessment.notes:
        if note.stops:
            return f'nothing to assess: {note.text}'
    count = len(assessment.repetitions)
    said = f'{count} repetition{"s" if count > 1 else ""}'
    if not assessment.faults:
        return f'{said}, no fault seen'
    first = assessment.faults[0]
    return f'{said}; {first.status}: {first.reason}'


def _open(text: str) -> FrameSource:
    if is_live(text):
        raise SettingError(f'{text}: assess takes videos, not live sources')
    source = open_input(text)
    assert isinstance(source, FrameSource)
    return source
