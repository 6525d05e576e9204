"""Exercises as data: what is counted, which angles matter, what is good, what a coach says.

A file of JSON each, in ``data/exercises``; another exercise is a file, not code. docs/angles.md
describes the fields.

Shape letter: T frames.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rpstn.errors import SettingError

from .angle_table import DATA, angle_of
from .repetitions import Counting, Repetition, find_repetitions

FOLDER = DATA / 'exercises'
COMBINATIONS = {'mean': np.nanmean, 'min': np.nanmin, 'max': np.nanmax}
MOMENTS = ('start', 'bottom', 'largest', 'smallest')
_NUMBER = (int, float)


class ExerciseError(SettingError):
    """A file of an exercise that cannot be used: one line with file, field, allowed and found."""


@dataclass(frozen=True)
class Rule:
    """One fault: where it shows, what is good, and what to say.

    Attributes:
        fault: its name for programs, e.g. ``knees_inward``.
        title: for readers.
        angle: a name of :data:`rpstn.form.angle_table.ANGLES`; of sided ones the worse side counts.
        moment: ``start``, ``bottom``, or the ``largest`` or ``smallest`` of the repetition.
        side: ``above`` or ``below`` what is good lies the fault.
        good: lowest and highest value of good form, or None: what was learned.
        says: the fault in words, with ``{value}`` in it.
        cue: what a coach would say.
        film: how to film so that it can be seen.
        source: where ``good`` is from.
    """

    fault: str
    title: str
    angle: str
    moment: str
    side: str
    good: tuple[float, float] | None
    says: str
    cue: str
    film: str
    source: str


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        name, title: for programs and for readers.
        counting_angles: keys of :func:`rpstn.form.angles.measure_angles` that are counted by.
        combine: how they become one: ``mean``, ``min`` or ``max`` of what is known.
        counting: the thresholds.
        position: angle -> lowest and highest value in which the exercise is done; outside nothing
            is counted.
        looks: angle -> lowest and highest range of movement within a repetition of the exercise.
        angles: what a report shows, the most important first.
        rules: faults, the most important first.
        ranges: name of the learned ranges, empty where there are none.
    """

    name: str
    title: str
    counting_angles: tuple[str, ...]
    combine: str
    counting: Counting
    position: dict[str, tuple[float, float]]
    looks: dict[str, tuple[float, float]]
    angles: tuple[str, ...]
    rules: tuple[Rule, ...]
    ranges: str = ''


def known_exercises() -> tuple[str, ...]:
    """Names of those that come with the package."""
    return tuple(sorted(file.stem for file in FOLDER.glob('*.json')))


def load_exercise(name_or_path: str | os.PathLike) -> Exercise:
    """An exercise of the package by its name, or one's own by the path of its file.

    Raises:
        ExerciseError: there is none, or its file is not as it should be.
    """
    name = str(name_or_path)
    path = FOLDER / f'{name}.json' if name in known_exercises() else Path(name)
    if not path.is_file():
        raise ExerciseError(
            f'unknown exercise {name!r}; known are {", ".join(known_exercises())}, or give the '
            'path of a JSON file'
        )
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError) as error:
        raise ExerciseError(f'{path}: is no readable JSON: {error}') from None
    fields = _Fields(path, '', content)
    counting = fields.below('counting')
    exercise = Exercise(
        name=fields.text('name'),
        title=fields.text('title'),
        counting_angles=counting.keys('angles'),
        combine=counting.choice('combine', tuple(COMBINATIONS)),
        counting=counting.counting(),
        position=fields.spans('position'),
        looks=fields.spans('looks'),
        angles=fields.keys('angles'),
        rules=tuple(rule.rule() for rule in fields.list('rules')),
        ranges=fields.text('ranges', empty=True),
    )
    fields.nothing_else()
    return exercise


def counting_angle(angles: dict[str, np.ndarray], exercise: Exercise) -> np.ndarray:
    """(T,) degrees of what the exercise is counted by, NaN outside of its position.

    Args:
        angles: of :func:`rpstn.form.angles.measure_angles`.
    """
    stacked = np.stack([angles[key] for key in exercise.counting_angles])
    known = ~np.isnan(stacked).all(0)
    combined = np.full(stacked.shape[1], np.nan)
    if known.any():
        combined[known] = COMBINATIONS[exercise.combine](stacked[:, known], axis=0)
    for key, (low, high) in exercise.position.items():
        # Where it is not known it does not object.
        combined[(angles[key] < low) | (angles[key] > high)] = np.nan
    return combined


def count(angles: dict[str, np.ndarray], times: np.ndarray, exercise: Exercise) -> list[Repetition]:
    """The repetitions of an exercise, see :func:`rpstn.form.repetitions.find_repetitions`."""
    return find_repetitions(counting_angle(angles, exercise), times, exercise.counting)


def looks_different(
    angles: dict[str, np.ndarray], repetitions: Sequence[Repetition], exercise: Exercise
) -> str:
    """Why a movement does not look like the exercise, in words; empty where it does.

    By the range of movement of each angle of ``exercise.looks``, the median over repetitions, or
    of the whole recording where there are none.
    """
    spans = [slice(r.start, r.end + 1) for r in repetitions] or [slice(None)]
    for key, (low, high) in exercise.looks.items():
        moved = [_range(angles[key][span]) for span in spans]
        moved = [value for value in moved if not np.isnan(value)]
        if moved and not low <= (value := float(np.median(moved))) <= high:
            unit = angle_of(key).unit
            wanted = f'{low:g} or more' if value < low else f'{high:g} or less'
            return (
                f'does not look like a {exercise.title.lower()}: {angle_of(key).title.lower()} '
                f'changes by {value:.0f}{unit}, expected {wanted}'
            )
    return ''


def _range(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(np.subtract(*np.percentile(known, [95, 5]))) if known.size else float('nan')


class _Fields:
    """The fields of a JSON object, each taken once and checked; errors name file and field."""

    def __init__(self, path: Path, place: str, content: object) -> None:
        self._path, self._place, self._taken = path, place, set[str]()
        if not isinstance(content, dict):
            raise ExerciseError(f'{path}: {place or "the file"} must be an object')
        self._content = content

    def fail(self, field: str, allowed: str) -> ExerciseError:
        got = self._content.get(field, 'nothing')
        return ExerciseError(
            f'{self._path}: {self._place}{field} must be {allowed}, got {json.dumps(got)[:80]}'
        )

    def take(self, field: str) -> Any:
        self._taken.add(field)
        return self._content.get(field)

    def nothing_else(self) -> None:
        if unknown := sorted(set(self._content) - self._taken):
            raise ExerciseError(
                f'{self._path}: {self._place}{unknown[0]} is no field; fields are '
                f'{", ".join(sorted(self._taken))}'
            )

    def text(self, field: str, empty: bool = False) -> str:
        value = self.take(field)
        if empty and value is None:
            return ''
        if not isinstance(value, str) or not (value or empty):
            raise self.fail(field, 'text')
        return value

    def choice(self, field: str, allowed: tuple[str, ...]) -> str:
        value = self.take(field)
        if value not in allowed:
            raise self.fail(field, f'one of {", ".join(allowed)}')
        return value

    def number(self, field: str) -> float:
        value = self.take(field)
        if not _is_number(value):
            raise self.fail(field, 'a number')
        return float(value)

    def below(self, field: str) -> _Fields:
        value = self.take(field)
        if not isinstance(value, dict):
            raise self.fail(field, 'an object')
        return _Fields(self._path, f'{self._place}{field}.', value)

    def list(self, field: str) -> list[_Fields]:
        value = self.take(field)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.fail(field, 'a list of objects')
        return [_Fields(self._path, f'{field}[{n}].', item) for n, item in enumerate(value)]

    def key(self, field: str) -> str:
        value = self.text(field)
        try:
            angle_of(value)
        except SettingError as error:
            raise ExerciseError(f'{self._path}: {self._place}{field}: {error}') from None
        return value

    def keys(self, field: str) -> tuple[str, ...]:
        value = self.take(field)
        if not isinstance(value, list) or not value:
            raise self.fail(field, 'a list of names of angles')
        return tuple(_Fields(self._path, f'{self._place}{field}.', {'': v}).key('') for v in value)

    def span(self, field: str) -> tuple[float, float]:
        value = self.take(field)
        ends = value if isinstance(value, list) and len(value) == 2 else [None, None]
        if not all(map(_is_number, ends)) or ends[0] > ends[1]:
            raise self.fail(field, 'a list [lowest, highest] of two numbers')
        return float(ends[0]), float(ends[1])

    def spans(self, field: str) -> dict[str, tuple[float, float]]:
        inner = self.below(field)
        for name in inner._content:
            _Fields(self._path, f'{self._place}{field}.', {name: name}).key(name)
        return {name: inner.span(name) for name in inner._content}

    def counting(self) -> Counting:
        numbers = {
            field: self.number(field)
            for field in ('rest', 'least', 'whole', 'swing', 'min_seconds', 'max_seconds')
        }
        self.nothing_else()
        try:
            return Counting(**numbers)
        except SettingError as error:
            raise ExerciseError(f'{self._path}: {self._place[:-1]}: {error}') from None

    def rule(self) -> Rule:
        rule = Rule(
            fault=self.text('fault'),
            title=self.text('title'),
            angle=self.key('angle'),
            moment=self.choice('moment', MOMENTS),
            side=self.choice('side', ('above', 'below')),
            good=None if self._content.get('good') == 'learned' else self.span('good'),
            says=self.text('says'),
            cue=self.text('cue'),
            film=self.text('film'),
            source=self.text('source'),
        )
        self._taken.add('good')
        self.nothing_else()
        if rule.says.count('{value}') != 1 or rule.says.count('{') != 1:
            raise self.fail('says', 'text with {value} in it, once')
        return rule


def _is_number(value: object) -> bool:
    return isinstance(value, _NUMBER) and not isinstance(value, bool) and bool(np.isfinite(value))
