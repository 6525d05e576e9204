"""The stress tables as text, and their plot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from rpstn.drawing import write_figure
from rpstn.tables import format_table

from bootstrap import ClipCounts, paired_bootstrap
from lite_table import difference_text
from stress_counts import (
    Choice,
    afterwards,
    behind,
    beside,
    counts,
    every_joint,
    hidden_joints,
    kept,
    on_walker,
    other_joints,
    share,
    summed,
)
from stress_run import BLURS, LONGEST, WHOLE, Answers, only

LENGTHS = (1, 5, 10, 20)
AGES = ((1, 1), (2, 3), (4, 6), (7, 10), (11, 15), (16, 20))
NORMALIZERS = {'torso': 'torso', 'bbox': 'box'}
Row = tuple[str, str]
Measured = Mapping[str, Answers]
OURS = 'RPSTN-Lite'
_KINDS: dict[str, Callable[[int, int], Choice]] = {'hidden': hidden_joints, 'others': other_joints}
_LOOKS = {'label poses': '--', WHOLE: '-'}


def rows_of(measured: Measured) -> list[Row]:
    """All rows."""
    return list(measured['clean'].found)


def occluded(
    measured: Measured, row: Row, choose: Choice, normalizer: str, clean: bool = False
) -> ClipCounts:
    """Of all draws of the occlusion together; ``clean``: of the same joints without it."""
    return summed(
        [
            counts(
                answers.clips,
                (measured['clean'] if clean else answers).found[row],
                choose,
                normalizer,
            )
            for name, answers in measured.items()
            if name.startswith('occlusion')
        ]
    )


def one(
    measured: Measured, condition: str, row: Row, choose: Choice, normalizer: str
) -> ClipCounts:
    """Of one condition."""
    answers = measured[condition]
    return counts(answers.clips, answers.found[row], choose, normalizer)


def pairs(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """RPSTN-Lite beside every other row that sees the same."""
    return [
        (first, second)
        for first in rows
        for second in rows
        if first[0] == OURS and first[1] == second[1] and first != second
    ]


def occlusion_table(measured: Measured, kind: str) -> str:
    """PCK over the length of the occlusion; last, of the same joints as they are without any."""
    choose = _KINDS[kind]
    header = [f'{shown}, {n}' for shown in NORMALIZERS.values() for n in (*LENGTHS, 'undisturbed')]
    lines = []
    for row in rows_of(measured):
        cells = []
        for normalizer in NORMALIZERS:
            cells += [
                share(occluded(measured, row, choose(1, length), normalizer)) for length in LENGTHS
            ]
            cells.append(share(occluded(measured, row, choose(1, LONGEST), normalizer, clean=True)))
        lines.append([*row, *(100 * cell for cell in cells)])
    return format_table(['', 'sees', *header], lines)


def difference_table(measured: Measured) -> str:
    """RPSTN-Lite less the others, over the length of the occlusion."""
    lines = []
    for first, second in pairs(rows_of(measured)):
        for kind, choose in _KINDS.items():
            for normalizer, shown in NORMALIZERS.items():
                cells = [
                    _difference(
                        *(
                            occluded(measured, row, choose(1, length), normalizer)
                            for row in (first, second)
                        )
                    )
                    for length in LENGTHS
                ]
                lines.append([f'less {second[0]}', first[1], kind, shown, *cells])
    return format_table(['', 'sees', 'joints', 'by', *map(str, LENGTHS)], lines)


def age_table(measured: Measured) -> str:
    """Hidden joints by frames since they were seen, and all joints afterwards."""
    lines = []
    for row in rows_of(measured):
        for normalizer, shown in NORMALIZERS.items():
            hidden = [occluded(measured, row, hidden_joints(*age), normalizer) for age in AGES]
            after = occluded(measured, row, afterwards, normalizer)
            before = occluded(measured, row, afterwards, normalizer, clean=True)
            lines.append([*row, shown, *(100 * share(part) for part in (*hidden, after, before))])
    ages = [str(a) if a == b else f'{a} to {b}' for a, b in AGES]
    return format_table(['', 'sees', 'by', *ages, 'afterwards', 'undisturbed'], lines)


def crossing_table(measured: Measured) -> str:
    """Who is followed, and PCK, where somebody else crosses."""
    answers, clean = measured['crossing'], measured['clean']
    lines = []
    for row in rows_of(measured):
        cells = [
            100 * share(counts(answers.clips, found, choose, normalizer))
            for normalizer in NORMALIZERS
            for choose, found in (
                (behind, answers.found[row]),
                (beside, answers.found[row]),
                (afterwards, answers.found[row]),
                (afterwards, clean.found[row]),
            )
        ]
        same = [
            [kept(clip, found) for clip, found in zip(part.clips, part.found[row], strict=True)]
            for part in (answers, clean)
        ]
        other = np.concatenate(
            [
                on_walker(clip, found)[_since_hidden(clip.hidden)]
                for clip, found in zip(answers.clips, answers.found[row], strict=True)
            ]
        )
        whose = [f'{sum(part)} of {len(part)}' for part in same]
        follows = row[1] == WHOLE
        lines.append(
            [
                *row,
                *cells,
                *(whose if follows else ('-', '-')),
                100 * float(other.mean()) if follows else None,
            ]
        )
    what = ('behind', 'beside', 'after', 'after, undisturbed')
    header = [f'{shown}, {name}' for shown in NORMALIZERS.values() for name in what]
    return format_table(
        ['', 'sees', *header, 'kept', 'kept, undisturbed', 'on the other, %'], lines
    )


def crossing_differences(measured: Measured) -> str:
    """RPSTN-Lite less the others, where somebody crosses."""
    choices = dict(behind=behind, beside=beside, after=afterwards)
    return _differences(measured, {name: ('crossing', choose) for name, choose in choices.items()})


def blur_table(measured: Measured) -> str:
    """PCK of all joints over the length of the blur."""
    measured = _blurred(measured)
    header = [f'{shown}, {n}' for shown in NORMALIZERS.values() for n in (0, *BLURS)]
    lines = [
        [
            *row,
            *(
                100 * share(one(measured, name, row, every_joint, normalizer))
                for normalizer in NORMALIZERS
                for name in measured
            ),
        ]
        for row in rows_of(measured)
    ]
    return format_table(['', 'sees', *header], lines)


def blur_differences(measured: Measured) -> str:
    """RPSTN-Lite less the others, over the length of the blur."""
    measured = _blurred(measured)
    columns = zip(('0', *map(str, BLURS)), measured, strict=True)
    return _differences(measured, {shown: (name, every_joint) for shown, name in columns})


def _blurred(measured: Measured) -> Measured:
    """No blur and all others, of the same clips and rows."""
    blurs = {f'blur {length}': measured[f'blur {length}'] for length in BLURS}
    first = next(iter(blurs.values()))
    clean = only(measured['clean'], first)
    return {'clean': Answers(clean.clips, {r: clean.found[r] for r in first.found}), **blurs}


def _differences(measured: Measured, columns: Mapping[str, tuple[str, Choice]]) -> str:
    lines = [
        [
            f'less {second[0]}',
            first[1],
            shown,
            *(
                _difference(
                    *(one(measured, name, row, choose, normalizer) for row in (first, second))
                )
                for name, choose in columns.values()
            ),
        ]
        for first, second in pairs(rows_of(measured))
        for normalizer, shown in NORMALIZERS.items()
    ]
    return format_table(['', 'sees', 'by', *columns], lines)


def _difference(first: ClipCounts, second: ClipCounts) -> str:
    return difference_text(paired_bootstrap([first], [second]))


def _since_hidden(hidden: np.ndarray) -> np.ndarray:
    """(N,) bool, from the first frame on in which anything is hidden."""
    return np.cumsum(hidden.any(1)) > 0


def plot(measured: Measured, out: Path) -> None:
    """PCK of hidden joints and of the others over the length of the occlusion, and of hidden ones
    over the frames since they were seen; by torso above, by box below.

    Args:
        measured: all conditions.
        out: PNG or SVG file.
    """
    rows = rows_of(measured)
    colours = dict(zip(dict.fromkeys(name for name, _ in rows), ('C7', 'C0', 'C1'), strict=False))
    figure = Figure(figsize=(13, 7), layout='constrained')
    axes = figure.subplots(2, 3, sharex='col')
    for line, (normalizer, shown) in enumerate(NORMALIZERS.items()):
        for row in rows:
            style = dict(
                color=colours[row[0]],
                linestyle=_LOOKS[row[1]],
                marker='o',
                markersize=3,
                label=f'{row[0]}, {row[1]}',
            )
            for column, choose in enumerate(_KINDS.values()):
                axes[line, column].plot(
                    LENGTHS,
                    [
                        100 * share(occluded(measured, row, choose(1, n), normalizer))
                        for n in LENGTHS
                    ],
                    **style,
                )
            axes[line, 2].plot(
                [np.mean(age) for age in AGES],
                [
                    100 * share(occluded(measured, row, hidden_joints(*age), normalizer))
                    for age in AGES
                ],
                **style,
            )
        axes[line, 0].set_ylabel(f'PCK@0.2 by {shown}, %')
    for column, (title, label) in enumerate(
        (
            ('hidden joints', 'frames that they are hidden'),
            ('the other joints', 'frames that others are hidden'),
            ('hidden joints', 'frame since the occlusion began'),
        )
    ):
        axes[0, column].set_title(title)
        axes[1, column].set_xlabel(label)
        axes[1, column].set_xticks(LENGTHS if column < 2 else (1, 5, 10, 15, LONGEST))
    for each in axes.flat:
        each.grid(alpha=0.3)
    axes[0, 2].legend(fontsize=8)
    write_figure(out, figure)
