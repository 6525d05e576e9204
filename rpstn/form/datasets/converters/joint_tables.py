"""Joints from CSV files, long or wide.

Long, one row per joint and frame, as ``tools/infer.py`` writes it:

    frame, joint, x, y[, z][, score][, time][, person]

Wide, one row per frame (and person):

    frame, <joint>_x, <joint>_y[, <joint>_z][, <joint>_score] ...[, time][, person]

Columns may come in any order, separated by commas, semicolons or tabs. An empty field, or ``nan``,
is a missing value.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from pathlib import Path

from .joint_sequence import SequenceBuilder, joint_name

_SCORES = ('score', 'confidence', 'visibility', 'likelihood')
_WIDE = re.compile(rf'(.+)[_. ]([xyz]|{"|".join(_SCORES)})')
_PERSON, _TIME = 'person', 'time'


def read_table(builder: SequenceBuilder, path: Path, frame: int | None = None) -> list[str]:
    """Add all rows of a CSV file.

    Args:
        builder: what they are added to.
        path: the file.
        frame: the number of the only frame in the file, which then needs no column ``frame``.

    Returns:
        The names of the columns that were not read.

    Raises:
        BadSkeletonError: a column is missing, or a field is no number.
    """
    try:
        with open(path, encoding='utf-8-sig', newline='') as file:
            header = file.readline()
            delimiter = max(',;\t', key=header.count)
            fields = next(csv.reader([header], delimiter=delimiter), [])
            names = [name.strip().lower() for name in fields]
            read = _Long if 'joint' in names else _Wide
            return read(builder, path, names, frame).read(csv.reader(file, delimiter=delimiter))
    except (UnicodeDecodeError, csv.Error) as error:
        builder.refuse(path.name, 'the file', 'CSV in UTF-8', error)


class _Table:
    """Rows of a file with known columns."""

    def __init__(
        self, builder: SequenceBuilder, path: Path, names: list[str], frame: int | None
    ) -> None:
        self.builder, self.frame = builder, frame
        self.prefix = '' if frame is None else f'{path.name}: '
        twice = sorted({n for n in names if n and names.count(n) > 1})
        if twice:
            builder.refuse(f'{self.prefix}line 1', 'columns', 'named once', ', '.join(twice))
        self.names = names
        self.columns = {name: i for i, name in enumerate(names) if name}
        if frame is None:
            self.need('frame')

    def need(self, *names: str) -> None:
        missing = [name for name in names if name not in self.columns]
        if missing:
            self.builder.refuse(
                f'{self.prefix}line 1',
                'columns',
                f'with {" and ".join(missing)}',
                ', '.join(self.names),
            )

    def read(self, rows: Iterator[list[str]]) -> list[str]:
        # Line 1 is the header, which the reader of the rows has not seen.
        for row in rows:
            where = f'{self.prefix}line {rows.line_num + 1}'
            if not row:
                continue
            if len(row) != len(self.names):
                self.builder.refuse(
                    where, 'the row', f'{len(self.names)} fields, as the header', len(row)
                )
            frame = self.frame if self.frame is not None else self.whole(row, 'frame', where)
            self.builder.mark(frame, where, self.number(row, _TIME, where))
            person = row[self.columns[_PERSON]].strip() if _PERSON in self.columns else '0'
            self.add(row, frame, person, where)
        read = self.read_columns() | {'frame', _TIME, _PERSON}
        return [name for name in self.names if name not in read]

    def add(self, row: list[str], frame: int, person: str, where: str) -> None:
        raise NotImplementedError

    def read_columns(self) -> set[str]:
        raise NotImplementedError

    def number(self, row: list[str], name: str, where: str) -> float:
        """NaN where the field is empty, or there is no such column."""
        if name not in self.columns:
            return math.nan
        text = row[self.columns[name]].strip()
        try:
            return float(text) if text else math.nan
        except ValueError:
            self.builder.refuse(where, name, 'a number, or empty where missing', repr(text))

    def whole(self, row: list[str], name: str, where: str) -> int:
        value = self.number(row, name, where)
        if not math.isfinite(value) or value != int(value):
            self.builder.refuse(
                where, name, 'a whole number', repr(row[self.columns[name]].strip())
            )
        return int(value)


class _Long(_Table):
    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.need('joint', 'x', 'y')
        self.axes = [axis for axis in 'xyz' if axis in self.columns]
        self.score = next((name for name in _SCORES if name in self.columns), _SCORES[0])

    def add(self, row: list[str], frame: int, person: str, where: str) -> None:
        joint = joint_name(row[self.columns['joint']])
        if not joint:
            self.builder.refuse(where, 'joint', 'the name of a joint', 'nothing')
        self.builder.add(
            frame,
            person,
            joint,
            [self.number(row, a, where) for a in self.axes],
            self.number(row, self.score, where),
            where,
        )

    def read_columns(self) -> set[str]:
        return {'joint', *self.axes, self.score}


class _Wide(_Table):
    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.fields: dict[str, dict[str, str]] = {}
        for name in self.columns:
            match = _WIDE.fullmatch(name)
            if match:
                kind = match[2] if match[2] in 'xyz' else 'score'
                self.fields.setdefault(joint_name(match[1]), {})[kind] = name
        # What has a score but no place, such as 'detection_score', is no joint.
        self.fields = {j: f for j, f in self.fields.items() if f.keys() & set('xyz')}
        if not self.fields:
            self.builder.refuse(
                f'{self.prefix}line 1',
                'columns',
                '<joint>_x and <joint>_y, or joint, x and y',
                ', '.join(self.names),
            )
        self.axes = 'xyz' if any('z' in f for f in self.fields.values()) else 'xy'
        for joint, columns in self.fields.items():
            self.need(*(f'{joint}_{axis}' for axis in self.axes if axis not in columns))

    def add(self, row: list[str], frame: int, person: str, where: str) -> None:
        for joint, columns in self.fields.items():
            self.builder.add(
                frame,
                person,
                joint,
                [self.number(row, columns[a], where) for a in self.axes],
                self.number(row, columns.get('score', ''), where),
                where,
            )

    def read_columns(self) -> set[str]:
        return {name for columns in self.fields.values() for name in columns.values()}
