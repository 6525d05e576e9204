"""Model, data and metrics of a run compared with each other before its first batch.

A metric that has ``expected_figures(model)``, as those of this package, gives the names of its
figures, and refuses what would otherwise fail at the end of the first epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from mmpose.models.heads import HeatmapHead
from torch import nn

from rpstn.errors import SettingError


def check_fit(runner: Runner, loops: Mapping[str, BaseLoop | None]) -> None:
    """See that joints, classes, metrics, and the figures that hooks wait for fit each other.

    Args:
        runner: with its model and hooks.
        loops: ``'train'``, ``'val'`` or ``'test'`` -> the loop, built.

    Raises:
        SettingError: they do not; a line names the setting, what is allowed and what came.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    names: dict[str, Any] = {}
    for part, loop in loops.items():
        dataset = getattr(getattr(loop, 'dataloader', None), 'dataset', None)
        meta = getattr(dataset, 'metainfo', None) or {}
        for key in ('keypoint_id2name', 'classes'):
            if key in meta:
                first, wanted = names.setdefault(key, (part, _listed(meta[key])))
                if _listed(meta[key]) != wanted:
                    raise SettingError(
                        f'{part}_dataloader: {_WORDS[key]} must be those of {first}_dataloader, '
                        f'{wanted}, got {_listed(meta[key])}'
                    )
        _check_joints(model, meta, part)
        _check_classes(model, dataset, meta, part)
        evaluator = getattr(loop, 'evaluator', None)
        figures = _figures(evaluator, model) if evaluator is not None else None
        if part == 'val' and figures is not None:
            _check_monitors(runner, figures)


_WORDS = dict(keypoint_id2name='the joints', classes='the classes')


def _listed(names: Any) -> list[str]:
    values = [names[k] for k in sorted(names)] if isinstance(names, dict) else names
    return list(map(str, values))


def _check_joints(model: nn.Module, meta: Mapping[str, Any], part: str) -> None:
    head: Any = getattr(model, 'head', None)
    plain = type(head) is HeatmapHead and not hasattr(head.decoder, 'heatmap_type')
    got = getattr(head, 'num_joints', head.out_channels if plain else None)
    wanted = len(meta.get('keypoint_id2name', ()))
    if wanted and got not in (None, wanted):
        setting = 'out_channels' if plain else 'num_joints'
        raise SettingError(
            f'model.head.{setting} must be {wanted}, the joints of {part}_dataloader '
            f'({meta.get("dataset_name")}), got {got}'
        )


def _check_classes(model: nn.Module, dataset: Any, meta: Mapping[str, Any], part: str) -> None:
    head: Any = getattr(model, 'cls_head', None)
    if head is None or dataset is None:
        return
    while hasattr(dataset, 'dataset'):  # wrappers, such as RepeatDataset
        dataset = dataset.dataset
    classes = _listed(meta.get('classes') or ())
    # A data set may be told to have more classes than occur in it.
    allowed = {len(classes), getattr(dataset, 'num_classes', None) or 0} - {0}
    if allowed and head.num_classes not in allowed:
        raise SettingError(
            f'model.cls_head.num_classes must be {max(allowed)}, the classes of '
            f'{part}_dataloader ({", ".join(classes) or "by its num_classes"}), got '
            f'{head.num_classes}'
        )
    several = getattr(dataset, 'multi_class', head.multi_class)
    if several != head.multi_class:
        raise SettingError(
            f'model.cls_head.multi_class must be that of {part}_dataloader, {several}, got '
            f'{head.multi_class}'
        )


def _figures(evaluator: Evaluator, model: nn.Module) -> list[str] | None:
    """Names of all figures; None where a metric of another package does not tell."""
    names: list[str] = []
    complete = True
    for metric in evaluator.metrics:
        expected = metric.expected_figures(model) if hasattr(metric, 'expected_figures') else None
        if expected is None:
            complete = False
            continue
        prefix = f'{metric.prefix}/' if metric.prefix else ''
        names += [f'{prefix}{name}' for name in expected]
    return names if complete else None


def _check_monitors(runner: Runner, figures: list[str]) -> None:
    """The figures that hooks look at: the CheckpointHook, RelationSwapHook, EarlyStoppingHook."""
    for hook in runner.hooks:
        asked = {'save_best': getattr(hook, 'save_best', None) or []}
        if getattr(hook, 'patience', None) is not None:
            asked['monitor'] = [getattr(hook, 'monitor', 'auto')]
        for setting, names in asked.items():
            for name in names:
                if name not in ('auto', *figures):
                    short = [figure for figure in figures if figure.count('/') < 2]
                    raise SettingError(
                        f'{setting} of {type(hook).__name__} must be among the figures of '
                        f'val_evaluator, {", ".join(short)}, got {name!r}'
                    )
