"""The page of the ablations: tables of what is there, and plots.

Shapes: N frames, K joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from rpstn.drawing import write_figure
from rpstn.errors import SettingError
from rpstn.tables import format_table

from ablation_rows import CURVE, Row, load_run, read_titles
from bootstrap import ClipCounts, paired_bootstrap
from closed_loop import load_whole_run
from evaluate_lite import write_between
from feature_cache import WholeClips, load_whole
from lite_table import difference_text
from plain_carrying import carried, filtered
from row_measures import (
    Reliability,
    counts,
    label_scores,
    pck,
    reliability,
    right_joints,
    to_labels,
)

BEGIN, END = '<!-- ablations -->', '<!-- end of the ablations -->'
Counts = dict[tuple[str, str], ClipCounts]
# column -> data, normalizer, joints
COLUMNS = {
    'val, hidden': ('val-occluded', 'torso', 'hidden'),
    'val, visible': ('val-occluded', 'torso', 'visible'),
    'torso, hidden': ('test-occluded', 'torso', 'hidden'),
    'torso, visible': ('test-occluded', 'torso', 'visible'),
    'torso, no occluders': ('test-clean', 'torso', 'all'),
    'box, hidden': ('test-occluded', 'box', 'hidden'),
    'box, visible': ('test-occluded', 'box', 'visible'),
    'box, no occluders': ('test-clean', 'box', 'all'),
}
PARTS_MEASURED = sorted({part for part, *_ in COLUMNS.values()})
_WHOLE = ('test-clean', 'test-occluded')


@dataclass
class Result:
    """What is known of a row.

    Attributes:
        row: of the grid.
        runs: of each seed that was run, what :func:`ablation_rows.load_run` gives.
        parts: of each seed counts by the data's names.
        whole: likewise, end to end.
    """

    row: Row
    runs: list[dict[str, np.ndarray]]
    parts: list[dict[str, Counts]]
    whole: list[dict[str, Counts]] = field(default_factory=list)

    def counts(self, column: str) -> list[ClipCounts]:
        """Of each seed, what a column is made of."""
        part, normalizer, joints = COLUMNS[column]
        return [run[part][normalizer, joints] for run in self.parts]


class Results:
    """All rows of a grid that were run.

    Args:
        rows: of the grid.
        folder: the work folder.
    """

    def __init__(self, rows: Sequence[Row], folder: Path) -> None:
        names = PARTS_MEASURED
        self.videos: dict[str, WholeClips] = {
            name: load_whole(folder / 'features', name) for name in names
        }
        self.rows: dict[str, Result] = {}
        for row in rows:
            runs = [(seed, load_run(row, seed, folder)) for seed in range(row.seeds)]
            known = [(seed, run) for seed, run in runs if run is not None]
            if known:
                self.rows[row.name] = Result(
                    row,
                    [run for _, run in known],
                    [
                        {name: counts(to_labels(run[name]), self.videos[name]) for name in names}
                        for _, run in known
                    ],
                    [whole for seed, _ in known if (whole := self._whole(row, seed, folder))],
                )

    def _whole(self, row: Row, seed: int, folder: Path) -> dict[str, Counts]:
        measured = {part: load_whole_run(row, seed, folder, part) for part in _WHOLE}
        return {
            part: counts(np.nan_to_num(joints, nan=1e6), self.videos[part])
            for part, joints in measured.items()
            if joints is not None
        }

    def group(self, name: str) -> list[Result]:
        """The rows of a group, in the grid's order."""
        return [result for result in self.rows.values() if result.row.group == name]


def mean_text(values: Sequence[float]) -> str:
    """``57.1 ± 0.4``, without a deviation for one seed."""
    spread = f' ± {np.std(values, ddof=1):.1f}' if len(values) > 1 else ''
    return f'{np.mean(values):.1f}{spread}'


def figure_table(results: Sequence[Result], more: Sequence[list[str]] = ()) -> str:
    """PCK of every row of a group, and more lines."""
    return format_table(
        ['', 'seeds', *COLUMNS],
        [
            [r.row.label, str(len(r.runs)), *(mean_text(pck(r.counts(c))) for c in COLUMNS)]
            for r in results
        ]
        + list(more),
    )


_DIFFERENCES = ('torso, hidden', 'torso, visible', 'torso, no occluders')


def differences(of: Result, less: Result) -> list[str]:
    """In points, with intervals, by :data:`_DIFFERENCES`."""
    return [
        difference_text(paired_bootstrap(of.counts(column), less.counts(column)))
        for column in _DIFFERENCES
    ]


def difference_table(results: Sequence[Result]) -> str:
    """Every row of a group less its first."""
    first, *others = results
    return format_table(
        [f'less *{first.row.label}*', *_DIFFERENCES],
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
                        for part in _WHOLE
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


def clip_gains(result: Result, first: Result, part: str = 'test-occluded') -> np.ndarray:
    """Points that each clip gains end to end on another row."""

    def shares(r: Result) -> np.ndarray:
        runs = [run[part]['torso', 'all'] for run in r.whole]
        return np.mean(
            [100 * run.right.sum(1) / np.maximum(run.counted.sum(1), 1) for run in runs], axis=0
        )

    return shares(result) - shares(first)


def calibration(result: Result, videos: WholeClips, part: str) -> dict[str, Reliability]:
    """Of visible and hidden joints; all seeds together."""
    scores, rights, hiddens = [], [], []
    for run in result.runs:
        right, counted = right_joints(to_labels(run[part]), videos)['torso']
        scores.append(label_scores(run[part])[counted])
        rights.append(right[counted])
        hiddens.append(videos.labels['hidden'][counted])
    score, right, hidden = map(np.concatenate, (scores, rights, hiddens))
    return {
        'visible': reliability(score[~hidden], right[~hidden]),
        'hidden': reliability(score[hidden], right[hidden]),
    }


def plain_rows(first: Result, videos: dict[str, WholeClips]) -> list[list[str]]:
    """Single frames whose joints are carried, or filtered, each setting chosen on val."""

    def changed(run: dict[str, np.ndarray], part: str, how: str, setting: float) -> Counts:
        own = videos[part]
        joints, scores = to_labels(run[part]), label_scores(run[part])
        pieces = []
        for begin, length in zip(np.cumsum(own.lengths) - own.lengths, own.lengths):
            span = slice(begin, begin + length)
            if how == 'carried':
                pieces.append(carried(joints[span], scores[span], setting))
            else:
                size = float(
                    (own.labels['boxes'][begin, 2:] - own.labels['boxes'][begin, :2]).max()
                )
                pieces.append(filtered(joints[span], size, setting, 5.0))
        return counts(np.concatenate(pieces), own)

    lines = []
    for how, name, settings in (
        ('carried', 'last pose where the score is below', np.arange(0, 0.65, 0.05)),
        ('filtered', 'one-euro filter, cutoff in Hz', (0.5, 1.0, 2.0, 4.0, 8.0)),
    ):
        best = max(
            settings,
            key=lambda s: pck([changed(first.runs[0], 'val-occluded', how, s)['torso', 'all']])[0],
        )
        runs = [{part: changed(run, part, how, best) for part in videos} for run in first.runs]
        lines.append(
            [
                f'{name} {best:.2g}',
                str(len(runs)),
                *(
                    mean_text(pck([run[part][normalizer, joints] for run in runs]))
                    for part, normalizer, joints in COLUMNS.values()
                ),
            ]
        )
    return lines


def plot_curves(results: Results, groups: dict[str, str], path: Path) -> None:
    """Learning curves on val of every row, a panel for each group, hidden joints and others."""
    shown = [name for name in groups if results.group(name)]
    figure = Figure(figsize=(4.2 * len(shown), 6.4), layout='constrained')
    axes = figure.subplots(2, len(shown), squeeze=False, sharex='col')
    part = str(CURVE['part'])
    for column, name in enumerate(shown):
        for number, result in enumerate(results.group(name)):
            looks = [
                [counts(to_labels(look), results.videos[part]) for look in run['curve']]
                for run in result.runs
            ]
            steps = np.linspace(0, result.row.steps, len(looks[0])) if len(looks[0]) > 1 else [0]
            for axis, joints in zip(axes[:, column], ('hidden', 'visible')):
                values = np.mean(
                    [pck([look['torso', joints] for look in run]) for run in looks], axis=0
                )
                axis.plot(
                    steps,
                    values,
                    color=f'C{number % 10}',
                    linestyle='-' if number < 10 else '--',
                    label=result.row.label,
                    linewidth=1.2,
                    marker='' if len(values) > 1 else 'o',
                )
        axes[0, column].set_title(groups[name], fontsize=9)
        axes[1, column].set_xlabel('steps')
        axes[1, column].legend(fontsize=6, loc='best')
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
        axis.set_title(name, fontsize=9)
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
    budget = (
        f'{first.steps} steps of {first.batch} clips of {first.frames} frames each, from '
        f'`{first.start or "work_dirs/single_pretrain/epoch_6.pth"}`.'
    )
    table = figure_table(rows, plain_rows(rows[0], results.videos) if name == 'single' else [])
    text = [f'## {title}', budget, table]
    return [*text, difference_table(rows)] if len(rows) > 1 else text


def write_page(rows: Sequence[Row], grid: Path, folder: Path, path: Path) -> None:
    """Tables and plots of what there is, between the page's markers; plots beside it."""
    results = Results(rows, folder)
    if not results.rows:
        raise SettingError(f'{folder}: no run of these rows is there')
    titles = read_titles(grid)
    texts = [text for name, title in titles.items() for text in group_text(results, name, title)]
    whole = [result for result in results.rows.values() if result.whole]
    if whole:
        texts += ['## End to end', whole_table(whole)]
    found = {
        f'{result.row.group}: {result.row.label}': calibration(
            result, results.videos['test-occluded'], 'test-occluded'
        )
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
