"""Faults of form, each with its reason in numbers, and what the camera could not see.

Shape letter: T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .angle_table import angle_of, error_of, margin_of, sides_of
from .exercise_fields import Rule
from .exercises import Exercise
from .ranges import Ranges, at_moment, load_ranges
from .repetitions import Repetition

CONFIRMED, ONCE, UNSEEN = 'confirmed', 'seen once, not confirmed', 'not visible'
_ENOUGH = 2  # repetitions that must show a fault (Back Squat Assessment, Myer et al. 2014)
_MOMENTS = {'start': 'at the start', 'bottom': 'at the bottom', 'largest': '', 'smallest': ''}


@dataclass(frozen=True)
class Evidence:
    """One repetition that shows a fault.

    Attributes:
        repetition: its number, from 1.
        frame: where to look.
        side: ``left``, ``right``, ``both``, or empty.
        value, error: in ``unit``; the standard error of the value in this view.
    """

    repetition: int
    frame: int
    side: str
    value: float
    error: float
    unit: str


@dataclass(frozen=True)
class Finding:
    """A fault, or something that could not be judged.

    Attributes:
        fault, title: for programs and for readers.
        status: ``confirmed``, ``seen once, not confirmed`` or ``not visible``.
        reason: in numbers, one line; of what is not visible, why, and how to film instead.
        cue: what a coach would say; empty where nothing was seen.
        angle: its key.
        good: lowest and highest value of good form.
        source: where ``good`` is from.
        priority: 1 is the most important.
        evidence: the repetitions that show it, the strongest first.
    """

    fault: str
    title: str
    status: str
    reason: str
    cue: str
    angle: str
    good: tuple[float, float]
    source: str
    priority: int
    evidence: tuple[Evidence, ...] = ()


def find_faults(
    angles: dict[str, np.ndarray],
    repetitions: Sequence[Repetition],
    exercise: Exercise,
    view: str,
    upright: bool = True,
) -> list[Finding]:
    """Faults in whole repetitions by the rules of an exercise, confirmed ones first.

    A value must be outside of what is good by more than its error in this view, or, where that was
    learned from joints with the same errors, than :func:`.margin_of`. Partial repetitions are not
    judged.

    Args:
        angles: of :func:`rpstn.form.angles.measure_angles`.
        repetitions: all of them; they are numbered as they come.
        view: of :func:`rpstn.form.angles.view_of`.
        upright: as for :func:`rpstn.form.angles.measure_angles`; without it what is measured
            against the vertical is not judged.
    """
    ranges = load_ranges(exercise.ranges)
    found = [
        finding
        for priority, rule in enumerate(exercise.rules, 1)
        if (finding := _judge(rule, priority, angles, repetitions, ranges, view, upright))
    ]
    order = (CONFIRMED, ONCE, UNSEEN)
    return sorted(found, key=lambda finding: (order.index(finding.status), finding.priority))


def _judge(
    rule: Rule,
    priority: int,
    angles: dict[str, np.ndarray],
    repetitions: Sequence[Repetition],
    ranges: Ranges | None,
    view: str,
    upright: bool,
) -> Finding | None:
    good = good_range(rule, ranges)
    angle, error = angle_of(rule.angle), error_of(rule.angle, view)
    margin = margin_of(rule.angle, view) if rule.good is None else error

    def finding(status: str, reason: str, evidence: tuple[Evidence, ...] = ()) -> Finding:
        cue = '' if status == UNSEEN else rule.cue
        return Finding(
            rule.fault,
            rule.title,
            status,
            reason,
            cue,
            rule.angle,
            good,
            rule.source,
            priority,
            evidence,
        )

    if np.isinf(error):
        return finding(UNSEEN, f'not visible from here ({view}): film {rule.film}')
    if angle.vertical and not upright:
        return finding(
            UNSEEN,
            'the vertical is not known: stand still upright at the start, or '
            'say how the camera is tilted',
        )
    keys = {key.removesuffix(rule.angle).rstrip('_'): key for key in sides_of(rule.angle)}
    whole = [(n, r) for n, r in enumerate(repetitions, 1) if not r.partial]
    measured = {
        n: {side: at_moment(angles[key], r, rule.moment) for side, key in keys.items()}
        for n, r in whole
    }
    if whole and all(np.isnan(v) for values in measured.values() for v in values.values()):
        return finding(UNSEEN, f'{angle.joints} were not all seen: film {rule.film}')
    sign = 1 if rule.side == 'above' else -1
    limit = good[1] if sign > 0 else good[0]
    evidence = []
    for number, repetition in whole:
        over = {s: v for s, v in measured[number].items() if sign * (v - limit) > margin}
        if over:
            side = max(over, key=lambda s: sign * over[s])
            evidence.append(
                Evidence(
                    number,
                    _frame(rule, angles[keys[side]], repetition),
                    'both' if len(over) == 2 else side,
                    over[side],
                    error,
                    angle.unit,
                )
            )
    if not evidence:
        return None
    evidence.sort(key=lambda one: -sign * one.value)
    status = CONFIRMED if len(evidence) >= _ENOUGH else ONCE
    return finding(status, _reason(rule, good, evidence), tuple(evidence))


def good_range(rule: Rule, ranges: Ranges | None) -> tuple[float, float]:
    """Lowest and highest value of good form: of the rule, or learned."""
    if rule.good is not None:
        return rule.good
    assert ranges is not None  # load_exercise has seen to it
    low, _, high = ranges.moments['good'][rule.angle][rule.moment]
    return low, high


def _frame(rule: Rule, values: np.ndarray, repetition: Repetition) -> int:
    if rule.moment in ('start', 'bottom'):
        return getattr(repetition, rule.moment)
    part = values[repetition.start : repetition.end + 1]
    return repetition.start + int(
        np.nanargmax(part) if rule.moment == 'largest' else np.nanargmin(part)
    )


def _reason(rule: Rule, good: tuple[float, float], evidence: Sequence[Evidence]) -> str:
    strongest = evidence[0]
    unit = strongest.unit if strongest.unit == '°' else f' {strongest.unit}'
    value = f'{abs(strongest.value):.0f}{unit} (± {strongest.error:.0f})'
    where = _MOMENTS[rule.moment]
    side = f', {strongest.side} only' if strongest.side in ('left', 'right') else ''
    also = [str(one.repetition) for one in evidence[1:]]
    return (
        f'repetition {strongest.repetition}: {rule.says.format(value=value)}'
        f'{" " + where if where else ""}{side} (good: {good[0]:.0f} to {good[1]:.0f}{unit})'
        + (f'; also in {", ".join(sorted(also, key=int))}' if also else '')
    )
