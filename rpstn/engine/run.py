"""Training and testing from a config, as `rpstn train` and `rpstn test` do it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import mmengine
from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from rpstn.choices import LAUNCHERS
from rpstn.errors import SettingError

from . import initial_weights  # noqa: F401  # registers it
from .configs import building, parse_settings, read_config
from .exact import make_exact
from .fitting import check_fit
from .loading import read_model
from .resuming import BestBesideHook, check_start, in_one_line
from .runner import (
    build_runner,
    check_mixed_precision,
    drop_unreachable_weights,
    fit_machine,
    use_mixed_precision,
)
from .work_folder import working_in


@dataclass(frozen=True)
class RunOptions:
    """What training and testing have in common."""

    work_dir: str | None = None
    """Folder of logs, checkpoints and results; ``work_dirs/<name of the config>`` by default."""
    show_dir: str | None = None
    """Folder of videos with the predictions drawn."""
    show: bool = False
    """Show the predictions in a window."""
    interval: int | None = None
    """Draw every so many sequences; all by default."""
    wait_time: float | None = None
    """Seconds that a shown frame stays; no time by default."""
    cfg_options: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the config to replace."""
    launcher: str = 'none'
    """``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``."""
    local_rank: int = 0
    """Number that a launcher gives."""

    def __post_init__(self) -> None:
        if self.launcher not in LAUNCHERS:
            raise SettingError(
                f'launcher must be one of {", ".join(LAUNCHERS)}, got {self.launcher!r}'
            )
        if self.interval is not None and not (self.show or self.show_dir):
            raise SettingError('--interval is of drawings, which need --show or --show-dir')
        if self.wait_time is not None:
            if not self.show:
                raise SettingError('--wait-time is of the window, which needs --show')
            if not 0 <= self.wait_time < math.inf:
                raise SettingError(
                    f'--wait-time must be a number of at least 0, got {self.wait_time}'
                )

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> RunOptions:
        """Those of a parsed command line, whose other values are left."""
        options = {name.name: given[name.name] for name in fields(cls)}
        options['cfg_options'] = parse_settings(options['cfg_options'], '--cfg-options')
        return cls(**options)


def load_config(path: str | Path, options: RunOptions | None = None) -> Config:
    """The config file with the options merged in, made to fit this machine.

    Raises:
        SettingError: the file cannot be read, or asks for drawings its hooks cannot make or
            several processes would make at once.
    """
    options = options or RunOptions()
    os.environ.setdefault('LOCAL_RANK', str(options.local_rank))
    cfg = read_config(path, options.cfg_options)
    cfg.launcher = options.launcher
    cfg.work_dir = (
        options.work_dir or cfg.get('work_dir') or str(Path('work_dirs') / Path(path).stem)
    )
    if options.show or options.show_dir:
        hook = cfg.get('default_hooks', {}).get('visualization')
        if hook is None:
            raise SettingError(
                f'{path}: default_hooks.visualization is not set, so nothing can be drawn'
            )
        if hook.type == 'ClipVisualizationHook' and options.launcher != 'none':
            raise SettingError(
                '--show and --show-dir draw whole videos, frame after frame, which '
                'several processes cannot do together: use them without --launcher'
            )
        hook.update(
            enable=True, show=options.show, interval=options.interval or 1, out_dir=options.show_dir
        )
        if options.show:
            hook.wait_time = options.wait_time or 0.0
    fit_machine(cfg)
    return cfg


def train(
    config: str | Path,
    options: RunOptions | None = None,
    *,
    resume: str | None = None,
    amp: bool = False,
    validate: bool = True,
    auto_scale_lr: bool = False,
) -> Runner:
    """Train from a config.

    Args:
        config: of MMPose or MMAction2, a file.
        options: see :class:`RunOptions`.
        resume: ``'auto'``, to go on from the last checkpoint in the work folder, or a checkpoint.
        amp: mixed precision, see :func:`rpstn.engine.runner.use_mixed_precision`.
        validate: meanwhile, as the config says.
        auto_scale_lr: scale the learning rate with the real batch size.

    Returns:
        The runner, at the end of the training.

    Raises:
        SettingError: config, data, metrics and options do not fit each other, or this machine.
        ModelError: the checkpoint to start from does not fit, see
            :func:`rpstn.engine.resuming.check_start`; or of one that an ``init_cfg`` names nothing.
        LockedError: another training goes on in the work folder. WriteError: the disk is full.
    """
    cfg = load_config(config, options)
    if not validate:
        if options and (options.show or options.show_dir):
            raise SettingError(
                '--show and --show-dir draw the validation, which --no-validate leaves out'
            )
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if amp:
        use_mixed_precision(cfg)
        check_mixed_precision()
    if resume is not None:
        cfg.resume = True
        cfg.load_from = None if resume == 'auto' else resume
    if auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise SettingError(
                f'{config}: --auto-scale-lr needs the batch size that the learning rate was '
                'chosen for: auto_scale_lr = dict(base_batch_size=...)'
            )
        cfg.auto_scale_lr.enable = True
    with working_in(cfg.work_dir, cfg.launcher):
        check_start(cfg)
        drop_unreachable_weights(cfg)
        with building(cfg, 'the training'):
            runner = build_runner(cfg)
            loops = dict(train=runner.train_loop, val=runner.val_loop)
        check_fit(runner, loops)
        runner.register_hook(BestBesideHook(), 'VERY_HIGH')
        make_exact(runner)
        in_one_line(runner)
        runner.train()
    return runner


def test(
    config: str | Path,
    checkpoint: str | Path,
    options: RunOptions | None = None,
    *,
    out: str | Path | None = None,
    dump: str | Path | None = None,
) -> dict[str, float]:
    """Test a checkpoint on the test data of a config.

    Args:
        config: of MMPose or MMAction2, a file.
        checkpoint: a file or URL.
        options: see :class:`RunOptions`.
        out: file for the figures, .json, .yaml or .pkl.
        dump: file for the predictions, .pkl.

    Returns:
        The figures by name.

    Raises:
        SettingError: a file has a wrong ending, or config, data and metrics do not fit each other.
        ModelError: the checkpoint is missing, damaged or does not fit.
    """
    for option, path, allowed in (
        ('out', out, ('.json', '.yaml', '.yml', '.pkl')),
        ('dump', dump, ('.pkl',)),
    ):  # now, not after the test
        if path is not None and Path(path).suffix not in allowed:
            raise SettingError(f'--{option} {path}: must end in {" or ".join(allowed)}')
    cfg = load_config(config, options)
    read_model(cfg, checkpoint)  # MMEngine only warns where weights do not fit
    cfg.load_from, cfg.resume = str(checkpoint), False
    if dump is not None:
        _add_metric(cfg, dict(type='DumpResults', out_file_path=str(dump)))
    with building(cfg, 'the test'):
        runner = build_runner(cfg)
        loop = runner.test_loop
    check_fit(runner, dict(test=loop))
    if out is not None:
        runner.register_hook(_SaveMetrics(out), 'LOWEST')
    return runner.test()


class _SaveMetrics(Hook):
    """Write the figures of the test to a file."""

    def __init__(self, path: str | Path) -> None:
        self.path = path

    @master_only
    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write them."""
        if metrics is not None:
            mmengine.dump(metrics, self.path)


def _add_metric(cfg: Config, metric: dict) -> None:
    """One more metric for the test, in whichever form the config gives its evaluator."""
    evaluator = cfg.test_evaluator
    if isinstance(evaluator, dict) and 'metrics' in evaluator:
        evaluator['metrics'] = [*evaluator['metrics'], metric]
    else:
        given = evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]
        cfg.test_evaluator = [*given, metric]
