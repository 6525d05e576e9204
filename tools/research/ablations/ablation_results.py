"""What is known of each row: counts, differences, gains, calibration, and plain alternatives.

Shapes: N frames, K joints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ablation_rows import Row, load_run
from bootstrap import ClipCounts, paired_bootstrap
from closed_loop import load_whole_run
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
    score_knots,
    to_labels,
)

Counts = dict[tuple[str, str], ClipCounts]
Change = Callable[[np.ndarray, WholeClips, float], Counts]
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
WHOLE = ('test-clean', 'test-occluded')


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
                    [
                        whole
                        for seed, _ in known
                        if len(whole := self._whole(row, seed, folder)) == len(WHOLE)
                    ],
                )

    def _whole(self, row: Row, seed: int, folder: Path) -> dict[str, Counts]:
        measured = {part: load_whole_run(row, seed, folder, part) for part in WHOLE}
        return {
            part: counts(np.nan_to_num(joints, nan=1e6), self.videos[part])
            for part, joints in measured.items()
            if joints is not None
        }

    def group(self, name: str) -> list[Result]:
        """The rows of a group, in the grid's order."""
        return [result for result in self.rows.values() if result.row.group == name]


DIFFERENCES = ('torso, hidden', 'torso, visible', 'torso, no occluders')


def differences(of: Result, less: Result) -> list[str]:
    """In points, with intervals, by :data:`DIFFERENCES`."""
    return [
        difference_text(paired_bootstrap(of.counts(column), less.counts(column)))
        for column in DIFFERENCES
    ]


def clip_gains(result: Result, first: Result, part: str = 'test-occluded') -> np.ndarray:
    """Points that each clip gains end to end on another row."""

    def shares(r: Result) -> np.ndarray:
        runs = [run[part]['torso', 'all'] for run in r.whole]
        return np.mean(
            [100 * run.right.sum(1) / np.maximum(run.counted.sum(1), 1) for run in runs], axis=0
        )

    return shares(result) - shares(first)


def calibration(result: Result, videos: dict[str, WholeClips]) -> dict[str, Reliability]:
    """Of visible and hidden joints of the test clips: of the peaks, and behind a map.

    The map is the config's own, of the model that ships, or is fitted on val. All seeds together;
    by torso.
    """

    def pooled(part: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        scores, rights, hiddens = [], [], []
        for run in result.runs:
            right, counted = right_joints(to_labels(run[part]), videos[part])['torso']
            scores.append(label_scores(run[part])[counted])
            rights.append(right[counted])
            hiddens.append(videos[part].labels['hidden'][counted])
        return np.concatenate(scores), np.concatenate(rights), np.concatenate(hiddens)

    how, knots = ', as it ships', result.row.knots()
    if knots is None:
        how, knots = ', mapped', score_knots(*pooled('val-occluded')[:2])
    score, right, hidden = pooled('test-occluded')
    return {
        f'{name}{behind}': reliability(values[mask], right[mask])
        for behind, values in (('', score), (how, np.interp(score, *knots.T)))
        for name, mask in (('visible', ~hidden), ('hidden', hidden))
    }


def plain_results(first: Result, videos: dict[str, WholeClips]) -> list[Result]:
    """Single frames whose joints are carried, or filtered, each setting chosen on val."""
    found = []
    for change, label, settings in (
        (_carried, 'last pose where the score is below', np.arange(0, 0.65, 0.05)),
        (_filtered, 'one-euro filter, cutoff in Hz', (0.5, 1.0, 2.0, 4.0, 8.0)),
    ):

        def val(setting: float, change: Change = change) -> float:
            run = change(first.runs[0]['val-occluded'], videos['val-occluded'], setting)
            return pck([run['torso', 'all']])[0]

        best = max(settings, key=val)
        parts = [
            {part: change(run[part], own, best) for part, own in videos.items()}
            for run in first.runs
        ]
        found.append(Result(replace(first.row, label=f'{label} {best:.2g}'), first.runs, parts))
    return found


def _carried(answers: np.ndarray, videos: WholeClips, least: float) -> Counts:
    joints, scores = to_labels(answers), label_scores(answers)
    return counts(
        np.concatenate([carried(joints[s], scores[s], least) for s in spans(videos)]), videos
    )


def _filtered(answers: np.ndarray, videos: WholeClips, cutoff: float) -> Counts:
    joints, boxes = to_labels(answers), videos.labels['boxes']
    pieces = [
        filtered(joints[s], float((boxes[s][0, 2:] - boxes[s][0, :2]).max()), cutoff, 5.0)
        for s in spans(videos)
    ]
    return counts(np.concatenate(pieces), videos)


def spans(videos: WholeClips) -> list[slice]:
    """Of each video's frames."""
    ends = np.cumsum(videos.lengths)
    return [slice(end - length, end) for end, length in zip(ends, videos.lengths)]
