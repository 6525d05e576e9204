"""Pictures of what was trained: curves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

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
