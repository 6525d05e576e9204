"""All that one run measures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config

from rpstn.engine.configs import read_config
from rpstn.errors import SettingError

from .end_to_end import measure_end_to_end
from .pose import measure_pose
from .report import Report, machine
from .settings import Settings


def benchmark(configs: Sequence[str | Path], settings: Settings | None = None) -> Report:
    """Measure speed on this machine.

        >>> from rpstn.benchmark import Settings, benchmark
        >>> settings = Settings(ways=['release', 'clip'], rounds=1)
        >>> print(benchmark(['configs/lite/rpstn_lite.py'], settings).markdown())  # doctest: +SKIP

    Args:
        configs: files, of RPSTNs, each with a section of its own, and of recognizers of exercise
            form, which share one.
        settings: what is measured, and for how long.

    Raises:
        RPSTNError: a config or a video cannot be used.
    """
    settings, before = settings or Settings(), os.getloadavg()[0]
    if isinstance(configs, (str, Path)) or not configs:
        raise SettingError(f'configs must be one or several files in a list, got {configs!r}')
    pose: dict[str, Config] = {}
    form: dict[str, Config] = {}
    for path in map(Path, configs):
        config = read_config(path, settings.cfg_options)
        group = form if config.get('default_scope') == 'mmaction' else pose
        group[str(path) if path.stem in group else path.stem] = config
    if settings.of_pose and not pose:
        raise SettingError(
            f'{" and ".join(settings.of_pose)} are of RPSTNs, got recognizers of form only'
        )
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        sections = [measure_pose(name, config, settings) for name, config in pose.items()]
        if form:
            from .form import measure_form  # needs MMAction2

            sections.append(measure_form(form, settings))
        if settings.end_to_end:
            sections.append(measure_end_to_end(settings.video, settings.threads))
    finally:
        torch.set_num_threads(threads)
    head = (
        f'{machine(settings.threads)}; load {before:.1f} before; turns: {settings.rounds} of '
        f'{settings.frames} {"frames" if pose else "clips"}, weights random, batch 1; '
        f'load {os.getloadavg()[0]:.1f} after.'
    )
    return Report(head, sections)
