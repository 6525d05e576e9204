"""Many short trainings, several at once, each with its result in a file.

Of any MMEngine config, of MMPose as of MMAction2: whatever its test evaluator says is kept.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from rpstn.cluster.trainings import map_tasks
from rpstn.engine.cpu import channels_last
from rpstn.engine.runner import (
    check_mixed_precision,
    drop_unreachable_weights,
    fit_machine,
    use_mixed_precision,
)
from rpstn.files import write_text


@dataclass(frozen=True)
class Experiment:
    """A training from a config with other settings, and one or more tests of what it gives.

    Args:
        name: unique; the result is kept in ``<name>.json``.
        config: path of the config.
        options: settings to replace, ``{'model.backbone.channels': 128}``.
        seed: of the training.
        tests: name of each test -> transforms that precede its test pipeline.
        amp: train in mixed precision.
    """

    name: str
    config: str
    options: dict = field(default_factory=dict)
    seed: int = 0
    tests: dict[str, list[dict]] = field(default_factory=lambda: {'test': []})
    amp: bool = False

    def read(self) -> Config:
        """The config with options."""
        cfg = Config.fromfile(self.config)
        cfg.merge_from_dict(copy.deepcopy(self.options))  # it would take _delete_ out of them
        return cfg

    def load(self) -> Config:
        """The config as it is run: it trains to the end and never looks at the test set."""
        cfg = self.read()
        cfg.randomness = dict(seed=self.seed)
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        cfg.default_hooks.update(checkpoint=None, logger=None)
        cfg.custom_hooks = [
            hook for hook in cfg.get('custom_hooks', []) if hook.type != 'ConfusionMatrixHook'
        ]
        cfg.visualizer = None
        cfg.log_level = 'WARNING'
        fit_machine(cfg)
        if self.amp:
            use_mixed_precision(cfg)
        return cfg

    def fingerprint(self) -> str:
        """Changes with anything in the config or the tests."""
        text = json.dumps([self.load().to_dict(), self.tests], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def epoch_options(config: str, epochs: int) -> dict:
    """Options of an :class:`Experiment` that train fewer or more epochs than the config says.

    The learning rate goes through the same course, in proportion shorter or longer.
    """
    cfg = Config.fromfile(config)
    share = epochs / cfg.train_cfg.max_epochs
    options: dict = {'train_cfg.max_epochs': epochs}
    for number, scheduler in enumerate(cfg.get('param_scheduler') or []):
        # Iterations, and the epochs of a step, are whole numbers; the first step is not at 0.
        whole = not scheduler.get('by_epoch', True)
        for key in ('begin', 'end', 'T_max'):
            if key in scheduler:
                value = share * scheduler[key]
                options[f'param_scheduler.{number}.{key}'] = round(value) if whole else value
        if 'milestones' in scheduler:
            options[f'param_scheduler.{number}.milestones'] = [
                max(1, round(share * milestone)) for milestone in scheduler.milestones
            ]
    return options


def mean_and_spread(figures: Sequence[float]) -> str:
    """Mean and standard deviation (of a sample) of seeds, ``95.1 ± 0.3``.

    Without a deviation for one seed; empty for none.
    """
    if not figures:
        return ''
    spread = f' ± {np.std(figures, ddof=1):.1f}' if len(figures) > 1 else ''
    return f'{np.mean(figures):.1f}{spread}'


def run_experiment(experiment: Experiment) -> dict:
    """Train, then test.

    Returns:
        Fingerprint, seconds, parameters, tests={name: metrics}, and from_scratch: addresses
        of the pretrained weights that could not be had, without which it was trained.
    """
    cfg = experiment.load()
    from_scratch = drop_unreachable_weights(cfg)
    with tempfile.TemporaryDirectory() as work_dir:
        cfg.work_dir = work_dir
        # MMEngine keeps loggers by this name.
        cfg.experiment_name = f'{experiment.name}-{os.getpid()}-{time.monotonic_ns()}'
        runner = Runner.from_cfg(cfg)
        if cfg.default_scope == 'mmpose':
            channels_last(runner.model)  # as tools/train.py has it
        began = time.perf_counter()
        runner.train()
        seconds = time.perf_counter() - began
        parameters = sum(p.numel() for p in runner.model.parameters())
        results = {}
        for name, transforms in experiment.tests.items():
            loader = copy.deepcopy(cfg.test_dataloader)
            loader.dataset.pipeline = [*transforms, *loader.dataset.pipeline]
            test = Runner(
                runner.model,
                work_dir,
                test_dataloader=loader,
                test_cfg=cfg.test_cfg,
                test_evaluator=cfg.test_evaluator,
                default_scope=cfg.default_scope,
                log_level=cfg.log_level,
                launcher='none',
                cfg=Config(dict(model={})),
                experiment_name=f'{cfg.experiment_name}-{name}',
            )
            results[name] = test.test()
    return dict(
        fingerprint=experiment.fingerprint(),
        seconds=seconds,
        parameters=parameters,
        tests=results,
        from_scratch=from_scratch,
    )


def run_experiments(
    experiments: Sequence[Experiment],
    folder: Path,
    processes: int,
    threads: int = 1,
    cluster: str | None = None,
) -> Iterator[tuple[Experiment, dict]]:
    """Run what is not done yet, each in one of several processes; yields results as they come.

    A result is kept in ``folder`` and is taken from there as long as config and tests are the
    same, so a run that was stopped goes on where it was. Where one fails, or no more results are
    asked for, those under way end and are kept, and the others are left for the next run. With 0
    processes only what is there is yielded. With the address of a Ray cluster they are tasks there,
    on machines that have this repository and its data at the same places; ``processes`` is not
    used, and those under way are not kept where one fails.

    Raises:
        ValueError: two experiments have the same name.
        RuntimeError: one failed; it says which, and why.
        SettingError: mixed precision is asked for, and nothing here is made for it.
    """
    repeated = [name for name, count in Counter(e.name for e in experiments).items() if count > 1]
    if repeated:
        raise ValueError(f'names of experiments must be unique, got {repeated} more than once')
    folder.mkdir(parents=True, exist_ok=True)
    left = []
    for experiment in experiments:
        path = _path(experiment, folder)
        known = json.loads(path.read_text()) if path.exists() else {}
        with _named(experiment):
            fingerprint = experiment.fingerprint()
        if known.get('fingerprint') == fingerprint:
            yield experiment, known
        else:
            left.append(experiment)
    if processes == 0:
        return
    if any(experiment.amp for experiment in left):
        check_mixed_precision()
    if cluster is not None:
        for experiment, result in map_tasks(partial(_run_in_task, threads), left, cluster, threads):
            _keep(experiment, folder, result)
            yield experiment, result
        return
    with ProcessPoolExecutor(processes, get_context('spawn'), _start, (threads,)) as pool:
        futures = {
            pool.submit(_run_and_keep, experiment, folder): experiment for experiment in left
        }
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise RuntimeError(
                f'experiment {futures[future].name}, or one beside it: the process '
                'died, as it does where memory ends'
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _path(experiment: Experiment, folder: Path) -> Path:
    return folder / f'{experiment.name}.json'


@contextmanager
def _named(experiment: Experiment) -> Iterator[None]:
    """Errors say which experiment failed, and are of a kind that another process can read."""
    try:
        yield
    except Exception as error:
        raise RuntimeError(
            f'experiment {experiment.name}: {type(error).__name__}: {error}'
        ) from error


def _run_and_keep(experiment: Experiment, folder: Path) -> dict:
    with _named(experiment):
        result = run_experiment(experiment)
        _keep(experiment, folder, result)
    return result


def _keep(experiment: Experiment, folder: Path, result: dict) -> None:
    write_text(_path(experiment, folder), json.dumps(result, indent=1))


def _run_in_task(threads: int, experiment: Experiment) -> dict:
    _start(threads)
    with _named(experiment):
        return run_experiment(experiment)


def _start(threads: int) -> None:
    import rpstn  # noqa: F401 (in a new process: registers the components)

    torch.set_num_threads(threads)
    torch.multiprocessing.set_sharing_strategy('file_system')
