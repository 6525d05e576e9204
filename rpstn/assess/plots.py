"""Curves as SVG that takes its colours from the page."""

from __future__ import annotations

import io
import re

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from rpstn.form.ranges import PERCENT, course, load_ranges

from .measures import Measure
from .structures import Assessment

# Drawn in these, and replaced by what the page's style calls so, light or dark.
_COLORS = {'#010203': 'currentColor', '#040506': 'var(--curve)', '#070809': 'var(--good)'}
_TEXT, _CURVE, _GOOD = _COLORS
STYLE = {
    'svg.fonttype': 'none',  # text stays text
    'svg.hashsalt': 'rpstn',  # the same each time
    'font.family': 'sans-serif',
    'font.size': 11,
    'text.color': _TEXT,
    'axes.edgecolor': _TEXT,
    'axes.labelcolor': _TEXT,
    'xtick.color': _TEXT,
    'ytick.color': _TEXT,
    'figure.facecolor': 'none',
    'axes.facecolor': 'none',
    'axes.spines.top': False,
    'axes.spines.right': False,
}


def curve(assessment: Assessment, measure: Measure) -> str:
    """An angle over 0 to 100 % of every repetition, against what is good; SVG.

    Later repetitions are darker, partial ones dashed. The band is what was learned from good form,
    hatched bars are ranges that sources give for one moment.
    """
    values, ranges = assessment.angles[measure.key], load_ranges(assessment.exercise.ranges)
    band = None if ranges is None else ranges.bands['good'].get(measure.key)
    with matplotlib.rc_context(STYLE):
        figure = Figure((4.6, 2.7), layout='constrained')
        axes = figure.add_subplot()
        if band is not None:
            axes.fill_between(PERCENT, band[0], band[2], color=_GOOD, alpha=0.3, lw=0)
            axes.plot(PERCENT, band[1], color=_GOOD, lw=1, ls='--')
        for moment, (low, high) in _bars(measure, band is not None):
            at = 0 if moment == 'start' else 50
            axes.fill_between([at - 3, at + 3], low, high, fc='none', ec=_TEXT, lw=1, hatch='////')
        total = len(assessment.repetitions)
        for number, one in enumerate(assessment.repetitions, 1):
            axes.plot(
                PERCENT,
                course(values, one),
                color=_CURVE,
                lw=2,
                alpha=0.35 + 0.65 * number / total,
                ls='--' if one.partial else '-',
            )
        axes.set_xlim(0, 100)
        axes.set_xlabel('percent of the repetition (50: bottom)')
        return to_svg(figure, f'c-{measure.key}', curve_in_words(assessment, measure))


def _bars(measure: Measure, learned: bool) -> list[tuple[str, tuple[float, float]]]:
    """Ranges for one moment: those of the literature, and the exercise's own."""
    own = [] if learned or measure.good is None else [(measure.moment, measure.good)]
    cited = [(one.moment, one.range) for one in measure.cited]
    return [bar for bar in (*own, *cited) if bar[0] in ('start', 'bottom')]


def curve_in_words(assessment: Assessment, measure: Measure) -> str:
    """What the picture shows, for those who do not see it."""
    courses = [course(assessment.angles[measure.key], one) for one in assessment.repetitions]
    courses = [one for one in courses if np.isfinite(one).any()]
    if not courses:
        return f'{measure.title} was not seen.'
    start, middle, end = np.mean(courses, axis=0)[[0, len(PERCENT) // 2, -1]]
    count = len(courses)
    said = (
        f'{measure.title}: {measure.text(start)} at the start, {measure.text(middle)} at the '
        f'bottom, {measure.text(end)} at the end'
        + (f', the mean of {count} repetitions.' if count > 1 else '.')
    )
    if measure.good is not None and measure.moment == 'bottom':
        low, high = map(measure.text, measure.good)
        said += f' Good at the bottom: {low} to {high}.'
    return said


def to_svg(figure: Figure, prefix: str, words: str) -> str:
    """The figure to be put into a page: named, scaled by the page, its ids apart from others'."""
    written = io.StringIO()
    FigureCanvasSVG(figure).print_svg(written, metadata=dict(Date=None, Creator=None))
    text = written.getvalue()
    text = text[text.index('<svg') :]
    text = re.sub(r'<metadata>.*?</metadata>', '', text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'(url\(|href=")#', rf'\1#{prefix}-', text)
    text = re.sub(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', _opening(words), text, count=1)
    for color, name in _COLORS.items():
        text = text.replace(color, name)
    return text


def _opening(words: str) -> str:
    escaped = words.replace('&', '&amp;').replace('"', '&quot;').replace('<', '&lt;')
    escaped = escaped.replace('\\', r'\\')
    return (
        rf'<svg viewBox="\1" role="img" aria-label="{escaped}" xmlns="http://www.w3.org/2000/svg" '
        'xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
