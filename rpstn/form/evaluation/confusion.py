"""Confusion matrices as text and as pictures.

Shapes: C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay

from rpstn.drawing import write_figure
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
    shares, totals = row_shares(matrix), matrix.sum(axis=1)
    names = [name.replace('_', ' ') for name in classes]
    size = 3.5 + 0.48 * count
    figure = Figure(figsize=(size + 0.8, size), layout='constrained')
    axes = figure.subplots()
    display = ConfusionMatrixDisplay(np.nan_to_num(shares)).plot(
        ax=axes,
        cmap=colormaps['Blues'].with_extremes(bad='lightgrey'),
        colorbar=False,
        im_kw={'vmin': 0, 'vmax': 1},
        text_kw={'fontsize': 9},
    )
    display.im_.set_data(shares)  # with its NaN, of which plot() makes no colours of texts
    for cell, text in np.ndenumerate(display.text_):  # it wrote shares
        text.set_text(f'{matrix[cell]:.0f}' if matrix[cell] else '')
        text.set_color('white' if shares[cell] > 0.5 else 'black')
    axes.set_xticks(range(count), names, rotation=45, ha='right', rotation_mode='anchor')
    axes.set_yticks(
        range(count), [f'{name} ({total:.0f})' for name, total in zip(names, totals, strict=True)]
    )
    axes.set(xlabel='predicted class', ylabel='true class (samples)', title=title)
    figure.colorbar(display.im_, label='share of the true class', shrink=0.8)
    write_figure(out, figure)
