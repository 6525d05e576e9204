"""The fields of a file of an exercise: what they may be, and errors that name file and field."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rpstn.errors import SettingError

from .angle_table import angle_of
from .repetitions import Counting

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
        form_class: the class of the exercise's classifier that means this fault, if one does.
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
    form_class: str | None = None


@dataclass(frozen=True)
class Cited:
    """A range from the literature, shown beside what was learned; nothing is judged by it."""

    angle: str
    moment: str
    range: tuple[float, float]
    says: str
    source: str


class Fields:
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

    def below(self, field: str) -> Fields:
        value = self.take(field)
        if not isinstance(value, dict):
            raise self.fail(field, 'an object')
        return Fields(self._path, f'{self._place}{field}.', value)

    def list(self, field: str) -> list[Fields]:
        value = self.take(field)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.fail(field, 'a list of objects')
        return [Fields(self._path, f'{field}[{n}].', item) for n, item in enumerate(value)]

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
        return tuple(Fields(self._path, f'{self._place}{field}.', {'': v}).key('') for v in value)

    def span(self, field: str) -> tuple[float, float]:
        value = self.take(field)
        ends = value if isinstance(value, list) and all(map(_is_number, value)) else []
        if len(ends) != 2 or ends[0] > ends[1]:
            raise self.fail(field, 'a list [lowest, highest] of two numbers')
        return float(ends[0]), float(ends[1])

    def spans(self, field: str, empty: bool = False) -> dict[str, tuple[float, float]]:
        if empty and field not in self._content:
            self._taken.add(field)
            return {}
        inner = self.below(field)
        for name in inner._content:
            Fields(self._path, f'{self._place}{field}.', {name: name}).key(name)
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

    def cited(self) -> Cited:
        cited = Cited(
            angle=self.key('angle'),
            moment=self.choice('moment', MOMENTS),
            range=self.span('range'),
            says=self.text('says'),
            source=self.text('source'),
        )
        self.nothing_else()
        return cited

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
            form_class=self.text('form_class') if 'form_class' in self._content else None,
        )
        self._taken.add('good')
        self.nothing_else()
        if rule.says.count('{value}') != 1 or rule.says.count('{') != 1:
            raise self.fail('says', 'text with {value} in it, once')
        return rule


def _is_number(value: object) -> bool:
    return isinstance(value, _NUMBER) and not isinstance(value, bool) and bool(np.isfinite(value))
