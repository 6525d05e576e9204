"""The numbers of every repetition, and how much they differ over the set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rpstn.form.angle_table import angle_of, error_of, is_measured, margin_of
from rpstn.form.exercise_fields import Cited
from rpstn.form.ranges import at_moment, load_ranges

from .structures import Assessment

MOMENTS = dict(
    start='at the start', bottom='at the bottom', largest='at its largest', smallest='at its least'
)
_TREND, _STRAIGHT = 4, 0.8  # repetitions, and correlation with their number, that make a trend


@dataclass(frozen=True)
class Measure:
    """One number of every repetition.

    Attributes:
        key: of :data:`rpstn.form.angle_table.ANGLES`.
        title: for readers.
        moment: of a repetition, see :func:`rpstn.form.ranges.at_moment`.
        unit: ``'°'``, ``'cm'``, ``'%'``, ``'x'`` (a ratio) or ``'s'``.
        error: its standard error in this view; inf where it cannot be seen.
        margin: how far a value must be outside of ``good``, or values differ, to be no chance.
        good: lowest and highest value of good form, None where none is known.
        source: where ``good`` is from.
        values: one for each repetition, the mean of both sides; NaN where it is not known.
        sides: left and right of each repetition; empty where there are no sides.
        cited: ranges of it from the literature.
        measured: whether the error was measured on real video, and not in simulation.
    """

    key: str
    title: str
    moment: str
    unit: str
    error: float
    margin: float
    good: tuple[float, float] | None
    source: str
    values: tuple[float, ...]
    sides: tuple[tuple[float, float], ...] = ()
    cited: tuple[Cited, ...] = ()
    measured: bool = False

    @property
    def visible(self) -> bool:
        """Whether the camera sees it from where it stands."""
        return bool(np.isfinite(self.error))

    @property
    def known(self) -> np.ndarray:
        """The values without NaN."""
        return np.array([value for value in self.values if not np.isnan(value)])

    @property
    def spread(self) -> float:
        """Standard deviation over the repetitions; NaN of fewer than two."""
        return float(self.known.std(ddof=1)) if len(self.known) > 1 else float('nan')

    def text(self, value: float) -> str:
        """A value with its unit, as readers see it."""
        unit = '°' if self.unit == '°' else f' {self.unit}'
        return 'not seen' if np.isnan(value) else f'{self.number(value)}{unit}'

    def number(self, value: float) -> str:
        """A value without its unit."""
        if np.isnan(value):
            return 'not seen'
        digits = 1 if self.unit in ('x', 's') else 0
        value = round(value, digits) + 0.0  # no -0
        return f'{value:.{digits}f}'.replace('-', '−')

    def cell(self, index: int) -> str:
        """What the table shows of a repetition, left and right apart, without the unit."""
        sides = self.sides[index] if self.sides else ()
        return ' / '.join(map(self.number, sides or (self.values[index],)))

    def outside(self, index: int) -> bool:
        """Whether a repetition, or one side of it, is outside of what is good, by more than the
        margin."""
        if self.good is None:
            return False
        low, high = self.good[0] - self.margin, self.good[1] + self.margin
        sides = self.sides[index] if self.sides else (self.values[index],)
        return any(value < low or value > high for value in sides)


def measure_repetitions(assessment: Assessment) -> list[Measure]:
    """What an exercise's file lists as its angles, where its rules look, or else at the bottom;
    then what else its rules look at."""
    exercise = assessment.exercise
    upright = assessment.joints is not None and assessment.joints.upright
    ranges = load_ranges(exercise.ranges)
    rules = {rule.angle: rule for rule in reversed(exercise.rules)}
    measures = []
    for key in dict.fromkeys((*exercise.angles, *(rule.angle for rule in exercise.rules))):
        rule, angle = rules.get(key), angle_of(key)
        moment = rule.moment if rule else 'bottom'
        good, source, chance = None, '', margin_of
        if rule and rule.good is not None:
            good, source, chance = rule.good, rule.source, error_of
        elif ranges is not None and key in ranges.moments['good']:
            low, _, high = ranges.moments['good'][key][moment]
            good, source = (low, high), ranges.source
        if angle.vertical and not upright:
            good, source = None, ''  # as for the findings

        def values(name: str, moment: str = moment) -> tuple[float, ...]:
            angles = assessment.angles[name]
            return tuple(at_moment(angles, one, moment) for one in assessment.repetitions)

        measures.append(
            Measure(
                key,
                angle.title,
                moment,
                angle.unit,
                error_of(key, assessment.view),
                chance(key, assessment.view),
                good,
                source,
                values(key),
                tuple(zip(values(f'left_{key}'), values(f'right_{key}'))) if angle.sided else (),
                tuple(one for one in exercise.cited if one.angle == key),
                is_measured(key, assessment.view),
            )
        )
    return measures


def tempo(assessment: Assessment) -> list[Measure]:
    """Seconds of every phase; exact to about a frame."""
    error = 1 / assessment.fps
    phases = (('down', 'Down'), ('pause', 'Turn'), ('up', 'Up'))
    return [
        Measure(
            name,
            title,
            'tempo',
            's',
            error,
            error,
            None,
            '',
            tuple(getattr(one, name) for one in assessment.repetitions),
        )
        for name, title in phases
    ]


def consistency(measure: Measure) -> str:
    """One sentence on how much a number differs over the set."""
    if len(measure.known) < 2:
        return 'one repetition, nothing to compare'
    low, high = map(measure.text, (float(measure.known.min()), float(measure.known.max())))
    if measure.spread <= measure.margin:
        return f'{low} to {high}: steady within the error'
    known = measure.known
    drift = float(known[-1] - known[0])
    order = float(np.corrcoef(np.arange(len(known)), known)[0, 1])
    if len(known) >= _TREND and abs(drift) > 2 * measure.margin and abs(order) > _STRAIGHT:
        return f'{low} to {high}: {"rises" if drift > 0 else "falls"} through the set'
    return f'{low} to {high}: differs between repetitions'
