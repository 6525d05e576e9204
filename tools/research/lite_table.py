"""The evaluation's tables as text: rows, the papers' groups of joints, and differences of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rpstn.pose.evaluation.pck import GROUPS
from rpstn.tables import format_table

from bootstrap import Difference, paired_bootstrap
from lite_evaluation import Evaluation

COLUMNS = (
    'torso',
    'torso, limbs',
    'box',
    'box, limbs',
    'torso, with occluders',
    'torso, visible',
    'torso, occluded',
    'box, with occluders',
    'box, visible',
    'box, occluded',
    'swapped',
    'jitter',
    'ms',
    'MB',
)
DIFFERENCES = (
    'Differences in PCK over all joints, points, with 95 % intervals of a paired bootstrap over '
    'clips; bold where these exclude 0:'
)
_LEGEND = """\
- *label boxes*: each frame is cut out by the label's box, upright.
- *label poses*: a square about the labelled hips, sized by the farthest joint, turned so that the
  trunk is upright. Of both, ours carry heatmaps through the whole clip{flipped}.
- *whole frames*: end to end, no label is seen. Ours as `rpstn infer` runs them, what it answers for
  a person whom it calls lost included; BlazePose alone by its person detector in every frame;
  MediaPipe tracks, on frames doubled in size. A frame in which nobody is found counts as
  wrong{missing}.
- JHMDB's joints from BlazePose's 33 landmarks, whoever answers them: neck and belly by one map
  fitted on the training clips (`tools/research/fit_joint_map.py`), the head as the middle of the
  ears.
- *limbs*: the 12 joints of arms and legs.
- *with occluders*: half of the frames get something over one limb (seed {seed}); of these clips
  *occluded* are the joints under it, *visible* all others.
- *swapped*: left-right pairs that lie nearer to each other's labels, percent of those answered.
- *jitter*: mean acceleration error, pixels per frame², of frames with an answer.
- *ms*: median per frame on a CPU, torch with `--threads {threads}`, on a machine that may have had
  other work; for crops of labels of ours the network alone, all included elsewhere.
- *MB*: weights, in half precision for ours and BlazePose alone."""
_NORMALIZERS = {'torso': 'torso', 'bbox': 'box'}

# Runs of each row and of what it sees of the clips; several, where it was trained with several
# seeds.
Rows = Mapping[tuple[str, str], Sequence[Evaluation]]


def cells(row: Evaluation) -> list[float]:
    """The first table's figures; see ``COLUMNS``."""

    def pck(figures: dict[str, float], normalizer: str, what: str) -> float:
        return 100 * figures.get(f'{normalizer}_PCK@0.2/{what}', float('nan'))

    return [
        *(
            100 * row.limbs(n) if limbs else pck(row.clean, n, 'mean')
            for n in _NORMALIZERS
            for limbs in (False, True)
        ),
        *(
            pck(row.occluded, n, what)
            for n in _NORMALIZERS
            for what in ('mean', 'visible', 'occluded')
        ),
        100 * row.swapped,
        row.jitter,
        row.milliseconds,
        row.megabytes,
    ]


def group_cells(row: Evaluation, normalizer: str) -> list[float]:
    """PCK of the papers' groups of joints, in percent."""
    return [100 * row.clean.get(f'{normalizer}_PCK@0.2/{group}', float('nan')) for group in GROUPS]


def mean_text(rows: Sequence[Sequence[float]]) -> list[str]:
    """Columns of several runs: the mean, and its spread where there are several."""
    values = np.array(rows, float)
    means, spread = values.mean(0), values.std(0, ddof=1) if len(values) > 1 else None
    return [
        '-'
        if np.isnan(mean)
        else f'{mean:.1f}'
        if spread is None
        else f'{mean:.1f} ± {spread[i]:.1f}'
        for i, mean in enumerate(means)
    ]


def main_table(rows: Rows) -> str:
    """Accuracy, jitter, time and size."""
    return format_table(
        ['', 'sees', *COLUMNS],
        [
            [name, seen, *mean_text([cells(run) for run in runs])]
            for (name, seen), runs in rows.items()
        ],
    )


def group_table(rows: Rows) -> str:
    """Accuracy by groups of joints."""
    return format_table(
        ['', 'sees', 'by', *GROUPS],
        [
            [name, seen, shown, *mean_text([group_cells(run, normalizer) for run in runs])]
            for (name, seen), runs in rows.items()
            for normalizer, shown in _NORMALIZERS.items()
        ],
    )


def difference_table(rows: Rows) -> str:
    """The first row less each other one that sees the same; empty where there is none."""
    first = next(iter(rows))[0]
    columns = {
        f'{shown}, {of}'.removesuffix(', clean'): (of, normalizer)
        for normalizer, shown in _NORMALIZERS.items()
        for of in ('clean', 'with occluders', 'occluded')
    }
    lines = [
        [
            f'{first} less {name}',
            seen,
            *(
                difference_text(
                    paired_bootstrap(
                        *([run.counts[of][n] for run in rows[row, seen]] for row in (first, name))
                    )
                )
                for of, n in columns.values()
            ),
        ]
        for name, seen in rows
        if name != first and (first, seen) in rows
    ]
    return format_table(['', 'sees', *columns], lines) if lines else ''


def difference_text(difference: Difference) -> str:
    """In points, with its interval; in bold where that excludes 0."""
    value, low, high = (
        f'{round(100 * part, 1) + 0.0:+.1f}'  # no -0.0
        for part in (difference.value, difference.low, difference.high)
    )
    return (
        f'**{value}** ({low} to {high})'
        if difference.excludes_zero
        else f'{value} ({low} to {high})'
    )


def legend_text(rows: Rows, seed: int, threads: int, flip: bool) -> str:
    """What the columns and the kinds of input mean.

    Args:
        rows: all of them.
        seed: of the occluders.
        threads: of torch.
        flip: crops of the labels were averaged with the mirrored frame.
    """
    missing = ', '.join(
        f'{name} in {run.missing:.1%} of the frames'
        for (name, _), runs in rows.items()
        for run in runs[:1]
        if run.missing
    )
    return _LEGEND.format(
        flipped=', averaged with the mirrored frame' if flip else '',
        missing=f' ({missing})' if missing else '',
        seed=seed,
        threads=threads,
    )
