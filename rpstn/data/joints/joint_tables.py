"""Joints from CSV files, long or wide.

Long, one row per joint and frame, as ``rpstn infer`` writes it:

    frame, joint, x, y[, z][, score][, time][, person]

Wide, one row per frame (and person):

    frame, <joint>_x, <joint>_y[, <joint>_z][, <joint>_score] ...[, time][, person]

``person`` may also be called ``person_id``, ``track_id`` or ``idx``. Columns may come in any order,
separated by commas, semicolons or tabs. An empty field, or ``nan``, is a missing value.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from rpstn.data_files import read_lines

from .joint_people import IDENTITIES, identity
from .joint_sequence import Joint, joint_name
from .refusal import refuse

_SCORES = ('score', 'confidence', 'visibility', 'likelihood')
_WIDE = re.compile(rf'(.+)[_. ]([xyz]|{"|".join(_SCORES)})')


def read_table(path: Path, frame: int | None = None) -> tuple[Iterator[Joint], list[str]]:
    """All joints of a CSV file.

    Args:
        path: the file.
        frame: the number of the only frame in the file, which then needs no column ``frame``.

    Returns:
        The joints, and the names of the columns that are not read.

    Raises:
        BadSkeletonError: a column is missing; on the way, a field is no number.
    """
    rows = _rows(path)
    fields = next(rows)
    names, where = [name.strip().lower() for name in fields], f'{path}: line 1'
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        refuse(where, 'columns', 'named once', ', '.join(twice))
    _need(where, names, [] if frame is not None else ['frame'])
    joints = _long(where, names) if 'joint' in names else _wide(where, names)
    person = next((name for name in IDENTITIES if name in names), 'person')
    read = {'frame', 'time', person, *(['joint'] if None in joints else [])}
    read.update(name for columns in joints.values() for name in columns.values())
    rows_of = _joints(path, names, rows, joints, person, frame)
    return rows_of, [name for name in names if name not in read]


def _rows(path: Path) -> Iterator[list[str]]:
    """The fields of each line, the header's first."""
    try:
        lines = read_lines(path)
        header = next(lines, '\n')
        delimiter = max(',;\t', key=header.count)
        yield from csv.reader(chain([header], lines), delimiter=delimiter)
    except (ValueError, OSError, csv.Error) as error:
        refuse(str(path), 'the file', 'CSV in UTF-8', error)


def _need(where: str, names: list[str], needed: list[str]) -> None:
    if missing := [name for name in needed if name not in names]:
        refuse(where, 'columns', f'with {" and ".join(missing)}', ', '.join(names))


# Joint -> axis or 'score' -> the name of its column. In a long table the joint is None.
Columns = dict[str | None, dict[str, str]]


def _long(where: str, names: list[str]) -> Columns:
    _need(where, names, ['x', 'y'])
    columns = {axis: axis for axis in 'xyz' if axis in names}
    if score := next((name for name in _SCORES if name in names), None):
        columns['score'] = score
    return {None: columns}


def _wide(where: str, names: list[str]) -> Columns:
    joints: Columns = {}
    for match in filter(None, map(_WIDE.fullmatch, names)):
        kind = match[2] if match[2] in 'xyz' else 'score'
        joints.setdefault(joint_name(match[1]), {})[kind] = match[0]
    # What has a score but no place, such as 'detection_score', is no joint.
    joints = {joint: columns for joint, columns in joints.items() if columns.keys() & set('xyz')}
    if not joints:
        refuse(where, 'columns', '<joint>_x and <joint>_y, or joint, x and y', ', '.join(names))
    axes = 'xyz' if any('z' in columns for columns in joints.values()) else 'xy'
    for joint, columns in joints.items():
        _need(where, names, [f'{joint}_{axis}' for axis in axes if axis not in columns])
    return joints


def _joints(
    path: Path,
    names: list[str],
    rows: Iterator[list[str]],
    joints: Columns,
    person: str,
    frame: int | None,
) -> Iterator[Joint]:
    for line, row in enumerate(rows, 2):
        where = f'{path}: line {line}'
        if not row:
            continue
        if len(row) != len(names):
            refuse(where, 'the row', f'{len(names)} fields, as the header', len(row))
        cells = {name: cell.strip() for name, cell in zip(names, row) if name}
        number = _number(where, cells, 'frame') if frame is None else frame
        if not math.isfinite(number) or number != int(number):
            refuse(where, 'frame', 'a whole number', repr(cells['frame']))
        for joint, columns in joints.items():
            name = joint_name(cells['joint']) if joint is None else joint
            if not name:
                refuse(where, 'joint', 'the name of a joint', 'nothing')
            yield Joint(
                int(number),
                where,
                _number(where, cells, 'time'),
                identity(cells.get(person)) or 0,
                name,
                [_number(where, cells, columns[axis]) for axis in 'xyz' if axis in columns],
                _number(where, cells, columns.get('score', '')),
            )


def _number(where: str, cells: dict[str, str], name: str) -> float:
    """NaN where the field is empty, or there is no such column."""
    try:
        return float(cells.get(name) or 'nan')
    except ValueError:
        refuse(where, name, 'a number, or empty where missing', repr(cells[name]))
