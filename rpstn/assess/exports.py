"""An assessment as files for programs: JSON, a table of angles (CSV), markers (TRC of OpenSim).

Shapes: T frames, V joints.
"""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from rpstn.form.angle_table import angle_of
from rpstn.form.classifier import FormPrediction
from rpstn.version import __version__

from .measures import Measure, measure_repetitions, tempo
from .structures import Assessment

_UNITS = {'°': 'deg', 'cm': 'cm', '%': 'percent', 'x': 'ratio'}


def to_dict(assessment: Assessment) -> dict[str, Any]:
    """All but the joints and angles of every frame, as plain numbers, text and lists for JSON.

    What is not known is None. Frames are those of the video, 0-based; times are in seconds.
    """
    joints = assessment.joints
    measures = measure_repetitions(assessment) if assessment.repetitions else []
    return dict(
        format='rpstn assessment 1',
        rpstn=__version__,
        video=assessment.video,
        exercise=assessment.exercise.name,
        fps=assessment.fps,
        size=assessment.size and list(assessment.size),
        seconds=_number(assessment.seconds),
        assessable=assessment.assessable,
        notes=[asdict(note) for note in assessment.notes],
        view=assessment.view or None,
        form=_forms(assessment),
        joints=joints
        and dict(
            source=joints.source,
            scale=joints.scale,
            upright=joints.upright,
            skeleton=joints.skeleton.name,
            axes="x to the camera's right, y up, z towards the camera; origin: middle of the hips",
            unit='m',
        ),
        findings=[_finding(assessment, number) for number in range(len(assessment.findings))],
        repetitions=[
            _repetition(assessment, measures, n) for n in range(len(assessment.repetitions))
        ],
    )


def write_json(assessment: Assessment, path: Path) -> None:
    """:func:`to_dict` as a file."""
    text = json.dumps(to_dict(assessment), indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + '\n', encoding='utf-8')


def write_angles(assessment: Assessment, path: Path) -> None:
    """A row a frame: frame, time, repetition, phase, and every angle with its unit in the name.

    Cells of what is not known are empty.
    """
    joints, keys = assessment.joints, list(assessment.angles)
    assert joints is not None
    with path.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        names = [f'{key}_{_UNITS[angle_of(key).unit]}' for key in keys]
        writer.writerow(['frame', 'time_s', 'repetition', 'phase', *names])
        for row in range(len(joints.frames)):
            number, phase = assessment.phase(row)
            values = [float(assessment.angles[key][row]) for key in keys]
            writer.writerow(
                [
                    joints.frames[row],
                    f'{joints.times[row]:.4f}',
                    number,
                    phase,
                    *('' if np.isnan(value) else f'{value:.2f}' for value in values),
                ]
            )


def write_trc(assessment: Assessment, path: Path) -> None:
    """Joints as markers, as OpenSim reads them: metres, y up.

    The frame rate is the mean one; the time of each frame is its own. Cells of a joint that is not
    known are empty.
    """
    joints = assessment.joints
    assert joints is not None
    count, markers = joints.joints.shape[:2]
    passed = float(np.ptp(joints.times))
    rate = f'{(count - 1) / passed if passed else assessment.fps:.6g}'
    first = int(joints.frames[0]) + 1
    names = joints.skeleton.joints
    lines = [
        ['PathFileType', '4', '(X/Y/Z)', path.name],
        [
            *('DataRate', 'CameraRate', 'NumFrames', 'NumMarkers', 'Units'),
            *('OrigDataRate', 'OrigDataStartFrame', 'OrigNumFrames'),
        ],
        [rate, rate, str(count), str(markers), 'm', rate, str(first), str(count)],
        ['Frame#', 'Time', *(cell for name in names for cell in (name, '', ''))],
        ['', '', *(f'{axis}{n}' for n in range(1, markers + 1) for axis in 'XYZ')],
        [],
    ]
    for row, (time, body) in enumerate(zip(joints.times, joints.joints)):
        cells = ['' if np.isnan(value) else f'{value:.5f}' for value in body.reshape(-1)]
        lines.append([str(row + 1), f'{time:.5f}', *cells])
    path.write_text(''.join('\t'.join(line) + '\n' for line in lines), encoding='utf-8')


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 4)


def _moment(assessment: Assessment, row: int) -> dict[str, Any]:
    joints = assessment.joints
    assert joints is not None
    return dict(frame=int(joints.frames[row]), time=_number(joints.times[row]))


def _forms(assessment: Assessment) -> dict[str, Any] | None:
    """What the classifier says of all repetitions together, and how right it is."""
    forms = assessment.forms
    return None if forms is None else dict(_form(forms.whole) or {}, about=dict(forms.about))


def _form(form: FormPrediction | None) -> dict[str, Any] | None:
    if form is None:
        return None
    return dict(
        label=form.label,
        best=form.best,
        probabilities={name: _number(value) for name, value in form.probabilities.items()},
        right=_number(form.right),
    )


def _finding(assessment: Assessment, number: int) -> dict[str, Any]:
    plain = asdict(assessment.findings[number])
    plain['good'] = [_number(end) for end in plain['good']]
    for evidence in plain['evidence']:
        evidence.update(
            value=_number(evidence['value']),
            error=_number(evidence['error']),
            **_moment(assessment, evidence['frame']),
        )
    return plain


def _repetition(assessment: Assessment, measures: list[Measure], index: int) -> dict[str, Any]:
    one = assessment.repetitions[index]
    return dict(
        number=index + 1,
        **{name: _moment(assessment, getattr(one, name)) for name in ('start', 'bottom', 'end')},
        partial=one.partial,
        reason=one.reason or None,
        seconds={m.key: _number(m.values[index]) for m in tempo(assessment)},
        form=_form(assessment.forms.repetitions[index]) if assessment.forms else None,
        measures=[_measure(m, index) for m in measures],
    )


def _error_from(measure: Measure) -> str | None:
    if not measure.visible:
        return None
    return 'measured' if measure.measured else 'simulated'


def _measure(measure: Measure, index: int) -> dict[str, Any]:
    sides = measure.sides[index] if measure.sides and measure.visible else (None, None)
    return dict(
        angle=measure.key,
        moment=measure.moment,
        unit=measure.unit,
        value=_number(measure.values[index]) if measure.visible else None,
        left=_number(sides[0]),
        right=_number(sides[1]),
        error=_number(measure.error),
        error_from=_error_from(measure),
        good=None if measure.good is None else [_number(end) for end in measure.good],
    )
