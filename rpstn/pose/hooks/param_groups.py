"""Parameter groups of a running optimizer, for a model whose modules change while it is trained."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from mmengine.optim import OptimWrapper, _ParamScheduler, build_optim_wrapper
from torch import nn


def regroup(
    optim_wrapper: OptimWrapper,
    schedulers: Sequence[_ParamScheduler],
    config: dict,
    model: nn.Module,
) -> None:
    """Make the groups of an optimizer, in place, those it would have been built with for a model.

    Parameters that the model no longer has leave, with their state (e.g. momentum); those it has
    kept stay with theirs, and with the settings that the schedulers have brought them to. New
    ones come in under the rules of the config (``paramwise_cfg``, a constructor of its own), at
    the point of the schedule that the others have reached.

    The optimizer stays the same object, so schedulers and loss scalers keep their hold on it, and
    the order of the parameters is that of a new start, so that its state can be resumed.

    Args:
        optim_wrapper: of a single optimizer.
        schedulers: all that schedule it; their records of each group
            are changed to fit.
        config: what the wrapper was built from.
        model: as it is now.
    """
    optimizer = optim_wrapper.optimizer
    before = list(optimizer.param_groups)
    place = {
        parameter: number for number, group in enumerate(before) for parameter in group['params']
    }
    fresh = build_optim_wrapper(model, copy.deepcopy(config)).optimizer.param_groups
    rules = {parameter: group for group in fresh for parameter in group['params']}
    # Of those that stay, one that learns, to see by it what schedules have done.
    guide = max((p for p in rules if p in place), key=lambda p: rules[p].get('lr', 0))

    groups, sources = [], []
    for group in fresh:
        known = next((p for p in group['params'] if p in place), None)
        sources.append(place[guide if known is None else known])
        options = before[sources[-1]]
        if known is None:
            options = _scheduled(group, rules[guide], options)
        groups.append({**options, 'params': group['params']})
    optimizer.param_groups[:] = groups
    for parameter in [p for p in optimizer.state if p not in rules]:
        del optimizer.state[parameter]

    if len(optim_wrapper.param_groups) > len(groups):  # the wrapper adds one, for logs
        sources.append(len(before))
    for scheduler in schedulers:
        name = scheduler.param_name
        scheduler.base_values = [g[f'initial_{name}'] for g in optim_wrapper.param_groups]
        scheduler._last_value = [g[name] for g in optim_wrapper.param_groups]
        if hasattr(scheduler, 'min_values'):  # ReduceOnPlateau's
            scheduler.min_values = [scheduler.min_values[source] for source in sources]


def _scheduled(fresh: dict, guide_fresh: dict, guide: dict) -> dict:
    """Options of a new group, moved from its own start as far as the guide has moved from its."""
    options = dict(fresh)
    for key, value in guide.items():
        base = key.removeprefix('initial_')
        mine, others = fresh.get(base), guide_fresh.get(base)
        if key == 'params':
            continue
        if mine == others:
            options[key] = value
        elif isinstance(mine, (int, float)) and isinstance(others, (int, float)) and others:
            options[key] = value * mine / others
    return options
