"""Exercises as data: what is counted, which angles matter, what is good, what a coach says.

A file of JSON each, in ``data/exercises``; another exercise is a file, not code. docs/angles.md
describes the fields.

Shape letter: T frames.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rpstn.data_files import read_json
from rpstn.errors import SettingError

from .angle_table import DATA, angle_of
from .exercise_fields import Cited, ExerciseError, Fields, Rule
from .ranges import at_moment, load_ranges
from .repetitions import Counting, Repetition, find_repetitions

FOLDER = DATA / 'exercises'
_LYING = 60.0  # degrees of trunk lean
_COMBINED: dict[str, Callable[..., np.ndarray]] = {
    'mean': np.nanmean,
    'min': np.nanmin,
    'max': np.nanmax,
}


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        name, title: for programs and for readers.
        counting_angles: keys of :func:`rpstn.form.angles.measure_angles` that are counted by.
        combine: how they become one: ``mean``, ``min`` or ``max`` of what is known.
        counting: the thresholds.
        position: angle -> lowest and highest size, without its sign, in which the exercise is done;
            outside nothing is counted.
        bottom: angle -> lowest and highest value at the turning point of a repetition.
        looks: angle -> lowest and highest range of movement within a repetition of the exercise.
        looks_at_bottom: angle -> lowest and highest value at its turning point.
        angles: what a report shows, the most important first.
        rules: faults, the most important first.
        cited: ranges from the literature.
        ranges: name of the learned ranges, empty where there are none.
        classifier: name of the classifier of form, see
            :meth:`rpstn.form.classifier.FormClassifier.from_pretrained`; empty where there is none.
        distance_classifier: of one that looks at distances between joints, to show what it leans
            on; empty where there is none.
    """

    name: str
    title: str
    counting_angles: tuple[str, ...]
    combine: str
    counting: Counting
    position: dict[str, tuple[float, float]]
    bottom: dict[str, tuple[float, float]]
    looks: dict[str, tuple[float, float]]
    angles: tuple[str, ...]
    rules: tuple[Rule, ...]
    cited: tuple[Cited, ...]
    ranges: str = ''
    classifier: str = ''
    distance_classifier: str = ''
    looks_at_bottom: dict[str, tuple[float, float]] = field(default_factory=dict)


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
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise ExerciseError(f'{path}: is no readable JSON: {error}') from None
    fields = Fields(path, '', content)
    counting = fields.below('counting')
    exercise = Exercise(
        name=fields.text('name'),
        title=fields.text('title'),
        counting_angles=counting.keys('angles'),
        combine=counting.choice('combine', tuple(_COMBINED)),
        counting=counting.counting(),
        position=fields.spans('position'),
        bottom=fields.spans('bottom'),
        looks=fields.spans('looks'),
        looks_at_bottom=fields.spans('looks_at_bottom', empty=True),
        angles=fields.keys('angles'),
        rules=tuple(rule.rule() for rule in fields.list('rules')),
        cited=tuple(cited.cited() for cited in fields.list('cited')),
        ranges=fields.text('ranges', empty=True),
        classifier=fields.text('classifier', empty=True),
        distance_classifier=fields.text('distance_classifier', empty=True),
    )
    fields.nothing_else()
    try:
        ranges = load_ranges(exercise.ranges)
    except SettingError as error:
        raise ExerciseError(f'{path}: ranges: {error}') from None
    for number, rule in enumerate(exercise.rules):
        if rule.good is None and ranges is None:
            raise ExerciseError(
                f'{path}: rules[{number}].good must be a list [lowest, highest] where the exercise '
                'names no ranges, got "learned"'
            )
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
        combined[known] = _COMBINED[exercise.combine](stacked[:, known], axis=0)
    for key, (low, high) in exercise.position.items():
        # Where it is not known it does not object.
        size = np.abs(angles[key])
        combined[(size < low) | (size > high)] = np.nan
    return combined


def count(angles: dict[str, np.ndarray], times: np.ndarray, exercise: Exercise) -> list[Repetition]:
    """The repetitions of an exercise, see :func:`rpstn.form.repetitions.find_repetitions`.

    Those that do not turn where ``exercise.bottom`` says are something else, and left out.
    """

    def turns_there(repetition: Repetition) -> bool:
        values = (
            (at_moment(angles[key], repetition, 'bottom'), span)
            for key, span in exercise.bottom.items()
        )
        return all(np.isnan(value) or low <= value <= high for value, (low, high) in values)

    found = find_repetitions(counting_angle(angles, exercise), times, exercise.counting)
    return [repetition for repetition in found if turns_there(repetition)]


def out_of_position(angles: dict[str, np.ndarray], exercise: Exercise) -> str:
    """Which angle is not that of the exercise's position for most of the time, in words; empty
    where none is. Of an exercise that is done upright also whether the body lies.
    """
    for key, (low, high) in exercise.position.items():
        size = np.abs(angles[key][~np.isnan(angles[key])])
        middle = float(np.median(size)) if size.size else low
        lies = key == 'trunk_lean' and low == 0 and middle > _LYING
        if lies or not low <= middle <= high:
            angle = angle_of(key)
            return (
                f'{angle.title.lower()} is about {middle:.0f}{angle.unit} for most of the time '
                '(is the picture turned, or is it another exercise?)'
            )
    return ''


def looks_different(
    angles: dict[str, np.ndarray], repetitions: Sequence[Repetition], exercise: Exercise
) -> str:
    """Why a movement does not look like the exercise, in words; empty where it does.

    By the range of movement of each angle of ``exercise.looks``, the median over repetitions, or
    of the whole recording where there are none; and by those of ``exercise.looks_at_bottom``.
    """
    spans = [slice(r.start, r.end + 1) for r in repetitions] or [slice(None)]
    moved = {key: [_range(angles[key][span]) for span in spans] for key in exercise.looks}
    turned = {
        key: [at_moment(angles[key], repetition, 'bottom') for repetition in repetitions]
        for key in exercise.looks_at_bottom
    }
    for spans_of, found, verb in (
        (exercise.looks, moved, 'changes by'),
        (exercise.looks_at_bottom, turned, 'at the bottom is'),
    ):
        for key, (low, high) in spans_of.items():
            known = [value for value in found[key] if not np.isnan(value)]
            if known and not low <= (value := float(np.median(known))) <= high:
                unit = angle_of(key).unit
                wanted = f'{low:g} or more' if value < low else f'{high:g} or less'
                angle = angle_of(key).title.lower()
                return (
                    f'does not look like {_with_article(exercise.title.lower())}: {angle} '
                    f'{verb} {value:.0f}{unit}, expected {wanted}'
                )
    return ''


def _with_article(name: str) -> str:
    return f'{"an" if name[0] in "aeiou" else "a"} {name}'


def _range(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(np.subtract(*np.percentile(known, [95, 5]))) if known.size else float('nan')
