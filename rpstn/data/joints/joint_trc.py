"""Joints from TRC files of markers, as Sports2D, Pose2Sim and OpenSim have them.

    PathFileType  4  (X/Y/Z)  <name>
    DataRate  CameraRate  NumFrames  NumMarkers  Units  ...
    30        30          200        22          m      ...
    Frame#  Time  <marker>            <marker> ...
                  X1      Y1      Z1  X2       ...
    1       0.0   x       y       z   x        ...

by tabs, each row a frame, a field that is empty or ``nan`` missing. Where all z are 0, as in what
was seen by one camera, joints have two coordinates.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from rpstn.data_files import read_lines
from rpstn.limits import ROWS, LimitError

from .joint_sequence import Joint, joint_name
from .refusal import refuse


def read_trc(path: Path) -> Iterator[Joint]:
    """All joints of a TRC file, of one person.

    Raises:
        BadSkeletonError: naming the line and the field.
    """
    lines = _lines(path)
    head = next(islice(lines, 3, None), [])
    if [field.strip().lower() for field in head[:2]] != ['frame#', 'time']:
        refuse(f'{path}: line 4', 'columns', 'Frame#, Time and the markers', ', '.join(head[:5]))
    names = [joint_name(field) for field in head[2:] if field.strip()]
    next(lines, None)
    rows = []
    for line, fields in enumerate(lines, 6):
        if any(field.strip() for field in fields):
            where = f'{path}: line {line}'
            rows.append((where, _numbers(where, fields, len(names))))
            try:
                ROWS.check(len(rows) * len(names), f'{len(rows)} x {len(names)}')
            except LimitError as error:
                refuse(str(path), 'the file', 'TRC, tabs and UTF-8', error)
    # Unlike 0, what is missing tells nothing of the axis.
    flat = all(not z or z != z for _, row in rows for z in row[4::3])
    for where, (frame, time, *values) in rows:
        if not math.isfinite(frame) or frame != int(frame):
            refuse(where, 'Frame#', 'a whole number', frame)
        for i, name in enumerate(names):
            yield Joint(
                int(frame), where, time, 0, name, values[3 * i : 3 * i + (2 if flat else 3)]
            )


def _lines(path: Path) -> Iterator[list[str]]:
    try:
        yield from csv.reader(read_lines(path), delimiter='\t')
    except (ValueError, OSError, csv.Error) as error:
        refuse(str(path), 'the file', 'TRC, tabs and UTF-8', error)


def _numbers(where: str, fields: list[str], markers: int) -> list[float]:
    """Frame, time, and x, y, z of each marker."""
    count = 2 + 3 * markers
    if len(fields) < count or any(field.strip() for field in fields[count:]):
        refuse(where, 'the row', f'{count} fields, for {markers} markers', len(fields))
    try:
        numbers = [float(field.strip() or 'nan') for field in fields[:count]]
    except ValueError as error:
        refuse(where, 'the row', 'numbers, or empty where missing', error)
    if numbers[0] != numbers[0]:
        refuse(where, 'Frame#', 'a whole number', 'nothing')
    return numbers
