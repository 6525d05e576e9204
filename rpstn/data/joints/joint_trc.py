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
from collections.abc import Iterator
from pathlib import Path

from .joint_sequence import Joint, joint_name
from .refusal import refuse


def read_trc(path: Path) -> Iterator[Joint]:
    """All joints of a TRC file, of one person.

    Raises:
        BadSkeletonError: naming the line and the field.
    """
    try:
        with open(path, encoding='utf-8-sig', newline='') as file:
            lines = list(csv.reader(file, delimiter='\t'))
    except (UnicodeDecodeError, csv.Error) as error:
        refuse(str(path), 'the file', 'TRC, tabs and UTF-8', error)
    head = lines[3] if len(lines) > 3 else []
    if [field.strip().lower() for field in head[:2]] != ['frame#', 'time']:
        refuse(f'{path}: line 4', 'columns', 'Frame#, Time and the markers', ', '.join(head[:5]))
    names = [joint_name(field) for field in head[2:] if field.strip()]
    rows = [
        (f'{path}: line {line}', _numbers(f'{path}: line {line}', fields, len(names)))
        for line, fields in enumerate(lines[5:], 6)
        if any(field.strip() for field in fields)
    ]
    # Unlike 0, what is missing tells nothing of the axis.
    flat = all(not z or z != z for _, row in rows for z in row[4::3])
    for where, (frame, time, *values) in rows:
        if frame != int(frame):
            refuse(where, 'Frame#', 'a whole number', frame)
        for i, name in enumerate(names):
            yield Joint(
                int(frame), where, time, 0, name, values[3 * i : 3 * i + (2 if flat else 3)]
            )


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
