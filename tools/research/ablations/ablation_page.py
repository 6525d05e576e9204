"""The page of the ablations: tables of what is there, and plots.

Shapes: N frames, K joints.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from rpstn.drawing import write_figure
from rpstn.errors import SettingError
from rpstn.tables import format_table

from ablation_results import (
    COLUMNS,
    DIFFERENCES,
    WHOLE,
    Result,
    Results,
    calibration,
    clip_gains,
    differences,
    plain_results,
)
from ablation_rows import CURVE, Row, read_titles
from bootstrap import paired_bootstrap
from evaluate_lite import write_between
from lite_table import difference_text
from row_measures import Reliability, counts, pck, to_labels

BEGIN, END = '<!-- ablations -->', '<!-- end of the ablations -->'


def mean_text(values: Sequence[float]) -> str:
    """``57.1 ± 0.4``, without a deviation for one seed."""
    spread = f' ± {np.std(values, ddof=1):.1f}' if len(values) > 1 else ''
    return f'{np.mean(values):.1f}{spread}'


def figure_table(results: Sequence[Result]) -> str:
    """PCK of every row of a group."""
    return format_table(
        ['', 'seeds', *COLUMNS],
        [
            [r.row.label, str(len(r.runs)), *(mean_text(pck(r.counts(c))) for c in COLUMNS)]
            for r in results
        ],
    )


def difference_table(results: Sequence[Result]) -> str:
    """Every row of a group less its first."""
    first, *others = results
    return format_table(
        [f'less *{first.row.label}*', *DIFFERENCES],
        [[result.row.label, *differences(result, first)] for result in others],
    )


def whole_table(results: Sequence[Result]) -> str:
    """Rows end to end, and what they gain on the first of their group."""
    lines = []
    for result in results:
        first = next((r for r in results if r.row.group == result.row.group), result)
        values = {
            (part, joints): [run[part]['torso', joints] for run in result.whole]
            for part, joints in (
                ('test-clean', 'all'),
                ('test-occluded', 'visible'),
                ('test-occluded', 'hidden'),
            )
        }
        gains = clip_gains(result, first)
        lines.append(
            [
                f'{result.row.group}: {result.row.label}',
                *(mean_text(pck(v)) for v in values.values()),
                *(
                    ['-', '-', '-']
                    if result is first
                    else [
                        difference_text(
                            paired_bootstrap(
                                *(
                                    [run[part]['torso', 'all'] for run in r.whole]
                                    for r in (result, first)
                                )
                            )
                        )
                        for part in WHOLE
                    ]
                    + [f'{(gains > 5).sum()}, {(gains < -5).sum()} ({gains.min():+.0f})']
                ),
            ]
        )
    return format_table(
        [
            'whole frames, by torso',
            'no occluders',
            'visible',
            'hidden',
            'gain, no occluders',
            'gain, with occluders',
            'clips 5 better, 5 worse (worst)',
        ],
        lines,
    )


def plot_curves(results: Results, groups: dict[str, str], path: Path) -> None:
    """Learning curves on val of every row, a panel for each group, hidden joints and others."""
    shown = [name for name in groups if results.group(name)]
    figure = Figure(figsize=(4.2 * len(shown), 7.6), layout='constrained')
    axes = figure.subplots(2, len(shown), squeeze=False, sharex='col')
    part = str(CURVE['part'])
    for column, name in enumerate(shown):
        for number, result in enumerate(results.group(name)):
            looks = [
                [counts(to_labels(look), results.videos[part]) for look in run['curve']]
                for run in result.runs
            ]
            style = dict(
                color=f'C{number % 10}',
                linestyle='-' if number < 10 else '--',
                label=result.row.label,
                linewidth=1.2,
            )
            for axis, joints in zip(axes[:, column], ('hidden', 'visible')):
                values = np.mean(
                    [pck([look['torso', joints] for look in run]) for run in looks], axis=0
                )
                if len(values) > 1:
                    axis.plot(np.linspace(0, result.row.steps, len(values)), values, **style)
                else:  # of a row that is not trained by steps
                    axis.axhline(values[0], **{**style, 'linestyle': ':'})
        axes[0, column].set_title(groups[name], fontsize=9)
        axes[1, column].set_xlabel('steps')
        axes[1, column].legend(fontsize=6, loc='upper left', bbox_to_anchor=(0, -0.17))
        for axis, joints in zip(axes[:, column], ('hidden', 'visible')):
            axis.set_ylabel(f'PCK@0.2 torso, {joints}' if column == 0 else '')
            axis.grid(alpha=0.3)
    write_figure(path, figure)


def plot_reliability(found: dict[str, dict[str, Reliability]], path: Path) -> None:
    """Of rows, how often joints of a score are right."""
    figure = Figure(figsize=(3.4 * len(found), 3.4), layout='constrained')
    for axis, (name, parts) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items()):
        axis.plot([0, 1], [0, 1], color='0.7', linewidth=1)
        for part, curve in parts.items():
            axis.plot(curve.score, curve.right, marker='o', markersize=3, label=part)
        axis.set_title(textwrap.fill(name, 32), fontsize=8)
        axis.set_xlabel('score')
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    figure.axes[0].set_ylabel('share of joints that are right')
    write_figure(path, figure)


def reliability_table(found: dict[str, dict[str, Reliability]]) -> str:
    """Of rows, mean score, share that is right, and the error of calibration."""
    return format_table(
        ['', 'joints', 'number', 'mean score, %', 'right, %', 'error (ECE), points'],
        [
            [
                name,
                part,
                str(curve.number),
                *(f'{100 * value:.1f}' for value in (curve.mean_score, curve.share, curve.error)),
            ]
            for name, parts in found.items()
            for part, curve in parts.items()
        ],
    )


def group_text(results: Results, name: str, title: str) -> list[str]:
    """A group's tables; nothing where no row was run."""
    rows = results.group(name)
    if not rows:
        return []
    first = rows[0].row
    alike = len({(result.row.batch, result.row.frames) for result in rows}) == 1
    size = f'{first.batch} clips of {first.frames} frames'
    budget = (
        f'{first.steps} steps of {size if alike else f"about {first.batch * first.frames} frames"} '
        f'each, from `{first.start or "work_dirs/single_pretrain/epoch_6.pth"}`'
        f'{", of which the relation alone is trained" if first.alone else ""}.'
    )
    shown = [*rows, *(plain_results(rows[0], results.videos) if name == 'single' else [])]
    text = [f'## {title}', budget, figure_table(shown)]
    return [*text, difference_table(shown)] if len(shown) > 1 else text


def across_table(results: Results) -> str:
    """Rows within RPSTN less a single frame, and less one whose joints are carried."""
    single = results.rows['single/none']
    carrying = plain_results(single, results.videos)[0]
    return format_table(
        ['within RPSTN', 'less', *DIFFERENCES],
        [
            [f'relation: {result.row.label}', name, *differences(result, other)]
            for result in results.group('relation')
            for name, other in (('single frame', single), ('its joints carried', carrying))
        ],
    )


def write_page(rows: Sequence[Row], grid: Path, folder: Path, path: Path) -> None:
    """Tables and plots of what there is, between the page's markers; plots beside it."""
    results = Results(rows, folder)
    if not results.rows:
        raise SettingError(f'{folder}: no run of these rows is there')
    titles = read_titles(grid)
    texts = [text for name, title in titles.items() for text in group_text(results, name, title)]
    if 'single/none' in results.rows and results.group('relation'):
        texts += ['## RPSTN against a single frame', across_table(results)]
    whole = [result for result in results.rows.values() if result.whole]
    if whole:
        texts += ['## End to end', whole_table(whole)]
    found = {
        f'{result.row.group}: {result.row.label}': calibration(result, results.videos)
        for result in whole
    }
    if found:
        plot = path.with_name(f'{path.stem}_reliability.png')
        plot_reliability(found, plot)
        texts += ['## Scores', reliability_table(found), f'![Reliability of scores]({plot.name})']
    missing = [row.name for row in rows if row.name not in results.rows]
    if missing:
        texts.append('Not run: ' + ', '.join(missing) + '.')
    plot = path.with_suffix('.png')
    plot_curves(results, titles, plot)
    texts += ['## Learning curves', f'![PCK on validation clips by step]({plot.name})']
    write_between(path, '\n\n'.join(texts), BEGIN, END, 'Ablations of RPSTN')
