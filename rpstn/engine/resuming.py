"""Training taken up again, also where the work folder has been renamed, moved or copied since.

MMEngine writes whole paths, of the folder as it was: into ``last_checkpoint``, and of the best
checkpoint, which it removes when there is a better one, into the checkpoints.
"""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from rpstn.checkpoints import ModelError
from rpstn.errors import RPSTNError, first_line

from .exact import check_progress
from .last_checkpoint import NEEDED, last_checkpoint
from .loading import read_model


def check_start(config: Config) -> None:
    """Find and check the checkpoint that a training starts from, if it does.

    To go on (``resume``) takes all of it. Weights alone (``load_from``) may fit partly, as those of
    another head do; a warning says what is not taken.

    Args:
        config: its ``load_from`` becomes the last checkpoint in its work folder, if it goes on
            from that.

    Raises:
        ModelError: the checkpoint is missing, damaged or does not fit.
        SettingError: it is not known which is the last one.
    """
    goes_on = config.get('resume', False)
    if goes_on and not config.get('load_from'):
        config.load_from = last_checkpoint(config.work_dir)
    if not config.get('load_from'):
        return
    _, saved = read_model(config, config.load_from, partly=not goes_on)
    if not goes_on:
        return
    # The best checkpoint of MMEngine has no optimizer: what went on from it would be another run.
    needed = {
        *NEEDED,
        'optimizer',
        *(['param_schedulers'] if config.get('param_scheduler') else []),
    }
    if not saved.keys() >= needed:
        raise ModelError(
            f'{config.load_from}: to go on from must have {", ".join(sorted(needed))}, got '
            f'{", ".join(sorted(saved.keys() - {"state_dict"})[:3])}; weights alone are taken by '
            '--cfg-options load_from=...'
        )
    meta = saved['meta']
    for key in ('epoch', 'iter'):
        if type(meta.get(key)) is not int or meta[key] < 0:
            raise ModelError(
                f'{config.load_from}: meta.{key} must be a number of at least 0, got '
                f'{str(meta.get(key))[:40]!r}'
            )
    check_progress(saved, config.load_from)
    if type(seed := meta.get('seed')) is int:
        # MMEngine takes it up, too, but after it has built the samplers by another.
        config.randomness = dict(config.get('randomness') or {}, seed=seed)


def in_one_line(runner: Runner) -> None:
    """Have a runner that cannot take up a checkpoint say so in a line, as a ModelError."""
    load = runner.load_or_resume

    def load_or_resume() -> None:
        try:
            load()
        except (RPSTNError, OSError):
            raise
        except Exception as error:  # whatever states of another structure can raise
            raise ModelError(
                f'{runner._load_from}: the training cannot go on from it: {type(error).__name__}: '
                f'{first_line(error)}'
            ) from error

    runner.load_or_resume = load_or_resume


class BestBesideHook(Hook):
    """After resuming, the best checkpoint so far is the one in this work folder, or none.

    Otherwise MMEngine would remove the file of another run, or of the folder this one is a copy of.
    """

    def before_train(self, runner: Runner) -> None:
        """Tell the CheckpointHook, which asks later."""
        if any(getattr(hook, 'out_dir', None) for hook in runner.hooks if _saves(hook)):
            return  # they lie elsewhere
        hub = runner.message_hub
        for key in [key for key in hub.runtime_info if key.startswith('best_ckpt')]:
            beside = Path(runner.work_dir) / Path(hub.get_info(key)).name
            if beside.exists():
                hub.update_info(key, str(beside))
            else:
                hub.pop_info(key)


def _saves(hook: Hook) -> bool:
    return hasattr(hook, 'save_best')
