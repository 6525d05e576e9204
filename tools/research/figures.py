"""Pictures of what was trained: curves and joint relations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from rpstn.drawing import write_figure


def read_scalars(work_dir: str | Path) -> list[dict]:
    """What the newest of MMEngine's runs in a work folder logged: a dict per line.

    Raises:
        FileNotFoundError: nothing was logged there.
    """
    files = Path(work_dir).glob('*/vis_data/scalars.json')
    newest = max(files, key=lambda file: file.parents[1].name, default=None)
    if newest is None:
        raise FileNotFoundError(f'{work_dir}: no */vis_data/scalars.json there')
    return [json.loads(line) for line in newest.read_text().splitlines() if line]


def plot_curves(runs: Mapping[str, str | Path], metric: str, out: str | Path) -> None:
    """Training loss and validation metric of several runs, side by side.

    Args:
        runs: name -> work folder.
        metric: e.g. ``'bbox_PCK@0.2/mean'``, a fraction; drawn in percent.
        out: PNG file.
    """
    figure = Figure(figsize=(10, 4), layout='constrained')
    loss_axes, metric_axes = figure.subplots(1, 2)
    for name, work_dir in runs.items():
        lines = read_scalars(work_dir)
        losses = [(line['step'], line['loss']) for line in lines if 'loss' in line]
        values = [(line['step'], 100 * line[metric]) for line in lines if metric in line]
        loss_axes.plot(*zip(*losses), label=name)
        metric_axes.plot(*zip(*values), marker='o', label=name)
    loss_axes.set(xlabel='iteration', ylabel='training loss', yscale='log')
    metric_axes.set(xlabel='epoch', ylabel=f'{metric}, validation (%)')
    for axes in (loss_axes, metric_axes):
        axes.grid(alpha=0.3)
        axes.legend()
    write_figure(out, figure)


def plot_relation(relation: np.ndarray, joints: Sequence[str], out: str | Path) -> None:
    """A joint relation matrix W_r, rows draw on columns.

    Args:
        relation: (K, K), rows sum to 1.
        joints: K names.
        out: PNG file.
    """
    names = [name.replace('_', ' ') for name in joints]
    figure = Figure(figsize=(7, 6), layout='constrained')
    axes = figure.subplots()
    # Most of a row is often its own joint: a root scale keeps the others to be seen.
    image = axes.imshow(np.sqrt(relation), vmin=0, vmax=1, cmap='viridis')
    axes.set_xticks(range(len(names)), names, rotation=60, ha='right')
    axes.set_yticks(range(len(names)), names)
    axes.set(title='Joint relation, mean over the test clips', xlabel='draws on', ylabel='joint')
    bar = figure.colorbar(image, ticks=np.sqrt([0, 0.01, 0.05, 0.1, 0.25, 0.5, 1]))
    bar.set_ticklabels(['0', '0.01', '0.05', '0.1', '0.25', '0.5', '1'])
    write_figure(out, figure)
