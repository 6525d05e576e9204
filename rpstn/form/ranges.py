"""Ranges of good and faulty form, learned from labelled repetitions, as data.

Shape letters: T frames, P percent of a repetition.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from rpstn.errors import SettingError

from .angle_table import DATA, sides_of
from .repetitions import Repetition

FOLDER = DATA / 'ranges'
PERCENT = np.linspace(0, 100, 21)
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Ranges:
    """What labelled repetitions show, by class.

    Attributes:
        source: where they are from, for readers.
        good: the classes that are good form.
        number: class -> repetitions it was learned from.
        moments: class -> angle -> moment -> its :data:`QUANTILES`.
        bands: class -> angle -> (3, P) at :data:`PERCENT` of a repetition, in the same order.

    Pooled good form has the class ``'good'``.
    """

    source: str
    good: tuple[str, ...]
    number: dict[str, int]
    moments: dict[str, dict[str, dict[str, tuple[float, float, float]]]]
    bands: dict[str, dict[str, np.ndarray]]


@cache
def load_ranges(name: str) -> Ranges | None:
    """The ranges of that name that come with the package; None for the empty name."""
    if not name:
        return None
    path = FOLDER / f'{name}.json'
    if not path.is_file():
        known = ', '.join(sorted(file.stem for file in FOLDER.glob('*.json')))
        raise SettingError(f'unknown ranges {name!r}; known are {known}')
    content = json.loads(path.read_text(encoding='utf-8'))
    return Ranges(
        source=content['source'],
        good=tuple(content['good']),
        number={label: one['number'] for label, one in content['classes'].items()},
        moments={
            label: {
                key: {moment: tuple(values) for moment, values in moments.items()}
                for key, moments in one['moments'].items()
            }
            for label, one in content['classes'].items()
        },
        bands={
            label: {key: np.array(values) for key, values in one['bands'].items()}
            for label, one in content['classes'].items()
        },
    )


def course(values: np.ndarray, repetition: Repetition) -> np.ndarray:
    """(P,) an angle at 0 to 100 % of a repetition, where 50 % is its turning point.

    Args:
        values: (T,); NaN are bridged, and NaN comes out where none is known.
    """
    known = np.flatnonzero(~np.isnan(values))
    if not known.size:
        return np.full(len(PERCENT), np.nan)
    frames = np.interp(PERCENT, [0, 50, 100], [repetition.start, repetition.bottom, repetition.end])
    return np.interp(frames, known, values[known])


def at_moment(values: np.ndarray, repetition: Repetition, moment: str) -> float:
    """An angle at the start or the bottom, or its largest or smallest in a repetition.

    The median of five frames; the 95th or 5th percentile of the repetition. NaN where nothing is
    known.
    """
    if moment in ('start', 'bottom'):
        frame = getattr(repetition, moment)
        part = values[max(frame - 2, 0) : frame + 3]
        share = 50
    else:
        part = values[repetition.start : repetition.end + 1]
        share = 95 if moment == 'largest' else 5
    known = part[~np.isnan(part)]
    return float(np.percentile(known, share)) if known.size else float('nan')


def learn_ranges(
    examples: Iterable[tuple[str, dict[str, np.ndarray], Repetition]],
    keys: Sequence[str],
    moments: Sequence[str],
    good: Sequence[str],
    source: str,
) -> dict:
    """The content of a file of ranges from labelled repetitions.

    Args:
        examples: label, angles of :func:`rpstn.form.angles.measure_angles`, repetition.
        keys: angles to learn. Moments of sided ones are those of both sides, as each is judged for
            itself; their course is that of the mean.
        good: labels of good form, pooled as ``good``.
    """
    curves: dict[str, dict[str, list[np.ndarray]]] = {}
    values: dict[str, dict[str, dict[str, list[float]]]] = {}
    number: dict[str, int] = {}
    for label, angles, repetition in examples:
        for name in (label, 'good') if label in good else (label,):
            number[name] = number.get(name, 0) + 1
            for key in keys:
                curves.setdefault(name, {}).setdefault(key, []).append(
                    course(angles[key], repetition)
                )
                for moment in moments:
                    values.setdefault(name, {}).setdefault(key, {}).setdefault(moment, []).extend(
                        at_moment(angles[side], repetition, moment) for side in sides_of(key)
                    )
    return {
        'source': source,
        'good': list(good),
        'quantiles': list(QUANTILES),
        'classes': {
            name: {
                'number': number[name],
                'moments': {
                    key: {moment: _quantiles(found) for moment, found in by_moment.items()}
                    for key, by_moment in values[name].items()
                },
                'bands': {key: _quantiles(found) for key, found in curves[name].items()},
            }
            for name in sorted(number)
        },
    }


def _quantiles(found: Sequence) -> list:
    return np.round(np.nanquantile(np.array(found, float), QUANTILES, axis=0), 2).tolist()
