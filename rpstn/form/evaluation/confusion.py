"""Confusion matrices as text and as pictures.

Shapes: C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from rpstn.errors import SettingError
from rpstn.tables import format_table


def confusion_table(matrix: np.ndarray, classes: Sequence[str]) -> str:
    """Counts, true classes in rows, predicted ones in columns, which bear the rows' numbers.

    Args:
        matrix: (C, C) counts, ``matrix[true, predicted]``.
        classes: C names.

    Returns:
        A Markdown table.
    """
    rows = [
        [f'{index} {name}', *map(int, row)]
        for index, (name, row) in enumerate(zip(classes, matrix, strict=True))
    ]
    return format_table(['true \\ predicted', *range(len(classes))], rows)


def row_shares(matrix: np.ndarray) -> np.ndarray:
    """Each row of (C, C) counts divided by its sum; NaN for a class without any sample."""
    totals = matrix.sum(axis=1, keepdims=True)
    return matrix / np.where(totals > 0, totals, np.nan)


def plot_confusion_matrix(
    matrix: np.ndarray, classes: Sequence[str], out: str | Path, title: str = ''
) -> None:
    """Draw counts as numbers and their share of the true class as colour.

    The diagonal's colour is thus the recall, whatever the size of the class. Empty cells stay
    blank, the row of a class without samples is grey.

    Args:
        matrix: (C, C) counts, ``matrix[true, predicted]``.
        classes: C names.
        out: PNG file.
        title: above the picture.

    Raises:
        SettingError: the matrix is not (C, C).
    """
    matrix, count = np.asarray(matrix), len(classes)
    if matrix.shape != (count, count):
        raise SettingError(
            f'plot_confusion_matrix: takes a matrix of {count} x {count} counts for '
            f'the classes {tuple(classes)}, got shape {matrix.shape}'
        )
    names = [name.replace('_', ' ') for name in classes]
    totals = matrix.sum(axis=1)
    size = 3.5 + 0.48 * count
    figure = Figure(figsize=(size + 0.8, size), layout='constrained')
    axes = figure.subplots()
    image = axes.imshow(
        row_shares(matrix), vmin=0, vmax=1, cmap=colormaps['Blues'].with_extremes(bad='lightgrey')
    )
    for true, predicted in np.argwhere(matrix > 0):
        dark = matrix[true, predicted] > 0.5 * totals[true]
        axes.text(
            predicted,
            true,
            str(int(matrix[true, predicted])),
            ha='center',
            va='center',
            fontsize=9,
            color='white' if dark else 'black',
        )
    axes.set_xticks(range(count), names, rotation=45, ha='right', rotation_mode='anchor')
    axes.set_yticks(range(count), [f'{name} ({total})' for name, total in zip(names, totals)])
    axes.set_xticks(np.arange(count - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(count - 1) + 0.5, minor=True)
    axes.grid(which='minor', color='lightgrey', linewidth=0.5)
    axes.tick_params(which='minor', length=0)
    axes.set(xlabel='predicted class', ylabel='true class (samples)', title=title)
    figure.colorbar(image, label='share of the true class', shrink=0.8)
    figure.savefig(out, dpi=120)
