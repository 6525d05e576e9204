"""What an ablation is reported by, beside its accuracy: speed, and a plot.

Shapes: T frames, (H, W) input pixels.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import HOOKS, MODELS
from torch import nn

from rpstn.drawing import write_figure
from rpstn.engine.cpu import for_inference
from rpstn.pose.hooks.relation_swap import swap_relation

# Part of the test set -> its colour. Blue and orange are also told apart by the colour-blind.
PARTS = {'mean': '#4d4d4d', 'visible': '#0072b2', 'occluded': '#e69f00'}


def frame_times(configs: Mapping[str, Config], rounds: int = 5) -> dict[str, float]:
    """Milliseconds per frame of several models on this CPU, in turns, so that load falls on all.

    One clip at a time, float32, all its frames at once, arranged by
    :func:`rpstn.engine.cpu.for_inference`. Weights are not loaded: they do not change the time.

    Args:
        configs: name -> config of an RPSTN; T is that of its test clips.
        rounds: timed turns, after one that is not timed.

    Returns:
        Name -> median over the rounds.
    """
    init_default_scope('mmpose')
    clips, models = {}, {}
    for name, config in configs.items():
        models[name] = for_inference(_trained_model(config))
        width, height = models[name].backbone.input_size
        clips[name] = torch.zeros(1, config.test_dataloader.dataset.clip_len, 3, height, width)
    times: dict[str, list[float]] = {name: [] for name in configs}
    with torch.inference_mode():
        for _ in range(1 + rounds):
            for name, model in models.items():
                began = time.perf_counter()
                model(clips[name], None, mode='tensor')
                times[name].append(1e3 * (time.perf_counter() - began) / clips[name].shape[1])
    return {name: float(np.median(found[1:])) for name, found in times.items()}


def _trained_model(config: Config) -> nn.Module:
    """What a training ends with: the model of the config, its relation swapped if a hook does."""
    model = MODELS.build(config.model)
    for options in config.get('custom_hooks') or ():
        if options['type'] == 'RelationSwapHook':
            hook = HOOKS.build(options)
            swap_relation(model, hook.relation, hook.keep, hook.path)
    return model


def plot_ablations(
    groups: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]],
    out: str | Path,
    metric: str,
    title: str = '',
) -> None:
    """Bars of every variant, a panel per group, with the deviation over seeds.

    Args:
        groups: group -> label of a variant -> part of :data:`PARTS` -> figures in
            percent, one per seed; a part without figures gets no bar. A label with a ``*`` at its
            end is the base, written in bold.
        out: PNG file.
        metric: what the figures are, on the axis.
        title: above all.
    """
    shown = {
        part: color
        for part, color in PARTS.items()
        if any(variant.get(part) for variants in groups.values() for variant in variants.values())
    }
    width = 0.8 / max(len(shown), 1)
    figure = Figure(
        figsize=(max(6.0, 2 + 0.85 * sum(map(len, groups.values()))), 4.4), layout='constrained'
    )
    panels = figure.subplots(
        1,
        len(groups),
        sharey=True,
        squeeze=False,
        width_ratios=[len(variants) for variants in groups.values()],
    )[0]
    for axes, (group, variants) in zip(panels, groups.items(), strict=True):
        for number, (part, color) in enumerate(shown.items()):
            bars = [
                (x, variant[part])
                for x, variant in enumerate(variants.values())
                if variant.get(part)
            ]
            if not bars:
                continue
            places = np.array([x for x, _ in bars]) + (number - (len(shown) - 1) / 2) * width
            means = [np.mean(figures) for _, figures in bars]
            # One seed has no deviation, and gets no error bar.
            spread = [
                np.std(figures, ddof=1) if len(figures) > 1 else np.nan for _, figures in bars
            ]
            axes.bar(places, means, width, color=color, label=part, zorder=2)
            axes.errorbar(
                places,
                means,
                spread,
                fmt='none',
                ecolor='black',
                elinewidth=1,
                capsize=2.5,
                zorder=3,
            )
            for x, mean, deviation in zip(places, means, np.nan_to_num(spread)):
                axes.annotate(
                    f'{mean:.1f}',
                    (x, mean + deviation),
                    (0, 2),
                    ha='center',
                    textcoords='offset points',
                    fontsize=6.5,
                )
        ticks = axes.set_xticks(range(len(variants)), [label.rstrip('*') for label in variants])
        for tick, label in zip(ticks, variants):
            tick.label1.set_fontweight('bold' if label.endswith('*') else 'normal')
        axes.set(title=group, xlim=(-0.6, len(variants) - 0.4))
        axes.grid(axis='y', alpha=0.3, zorder=0)
        axes.tick_params(axis='x', length=0, labelsize=9)
        axes.spines[['top', 'right']].set_visible(False)
    panels[0].set_ylabel(metric)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles,
        [
            dict(mean='all joints', visible='visible joints', occluded='occluded joints')[label]
            for label in labels
        ],
        loc='outside lower center',
        ncols=len(labels),
        frameon=False,
    )
    if title:
        figure.suptitle(title, fontsize=11)
    write_figure(out, figure, dpi=150)
