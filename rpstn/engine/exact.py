"""A training that was stopped and goes on ends where one that was never stopped does.

MMEngine's checkpoints hold weights, optimizer, schedules, averages and figures. What they lack is
here: random states, how far the epoch is, gradients that have been summed but not used, and what
the EarlyStoppingHook has seen; and the validation that was due when the checkpoint was written,
which comes before it.
"""

from __future__ import annotations

import logging
from typing import Any

from mmengine.hooks import EarlyStoppingHook, Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import IterBasedTrainLoop, Runner
from mmengine.runner.loops import _InfiniteDataloaderIterator
from torch import Tensor, nn

from rpstn.checkpoints import ModelError

from .random_states import (
    keep_to_itself,
    kept_random_states,
    random_states,
    seed_items,
    set_random_states,
)

KEY = 'progress'
"""Where it is in a checkpoint."""
_ODD = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)


def check_progress(saved: dict, name: str) -> None:
    """See that what :class:`ProgressHook` has written is usable, or is not there.

    Raises:
        ModelError: it is something else.
    """
    progress = saved.get(KEY)
    if progress is None:
        print_log(
            f'{name}: holds no random states, so that the training goes on with other random '
            'numbers than it would have had',
            'current',
            logging.WARNING,
        )
        return
    try:
        with kept_random_states():
            set_random_states(progress['epoch_began'])
            set_random_states(progress['now'])
        whole = [progress['done'], progress['batches']]
        fits = all(type(number) is int and number >= 0 for number in whole)
        fits &= all(isinstance(gradient, Tensor) for gradient in progress['gradients'].values())
        fits &= all(len(state) == 2 for state in progress['early_stopping'])
        fits &= type(progress['validated']) is bool
    except _ODD:
        fits = False
    if not fits:
        raise ModelError(f'{name}: {KEY} must be what a training of rpstn has written')


def make_exact(runner: Runner) -> None:
    """Have a runner, whose training loop is built, write and take up all of its progress."""
    hook = ProgressHook(runner)
    for stopping in _early_stopping(runner):
        # It comes last otherwise, after the checkpoint that has to know what it has seen.
        runner._hooks.remove(stopping)
        runner.register_hook(stopping, 'LOW')
    runner.register_hook(hook, 'VERY_HIGH')  # before others draw, and before checkpoints
    runner.register_hook(_BeginAgain(hook), 'LOWEST')


class ProgressHook(Hook):
    """Keeps in checkpoints what MMEngine's lack, and goes on from there."""

    def __init__(self, runner: Runner) -> None:
        loop = runner.train_loop
        self.batches = seed_items(loop.dataloader, runner.seed, runner.rank)
        if runner.val_loop is not None:
            keep_to_itself(runner.val_dataloader)
        self.by_iter = isinstance(loop, IterBasedTrainLoop)
        self.resumed: dict[str, Any] | None = None
        """Of the checkpoint, until all of it has been taken up."""
        self.epoch_began: dict[str, Any] = {}
        self.done = 0
        """Batches of this epoch."""
        self.validated = False
        """Since the last batch: MMEngine saves before that, and after it where it is the best."""

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep it for later; and keep MMEngine from running a config that a checkpoint holds."""
        checkpoint['meta'] = dict(checkpoint.get('meta') or {})
        checkpoint['meta'].pop('config', None)
        if runner._resume:
            self.resumed = checkpoint.get(KEY)

    def begin_again(self, runner: Runner) -> None:
        """Right before the first epoch: random states, gradients; and the validation, if due."""
        if self.resumed is not None:
            gradients = self.resumed['gradients']
            for name, parameter in _unwrapped(runner).named_parameters():
                if name in gradients:
                    parameter.grad = gradients[name].to(parameter.device)
            for hook, state in zip(_early_stopping(runner), self.resumed['early_stopping']):
                hook.wait_count, hook.best_score = state
            self.done = 0 if self.by_iter else self.resumed['done']
            self._skip(runner)
            set_random_states(self.resumed['now'])
            if not (self.done or self.resumed['validated']) and _is_validation_due(runner):
                runner.val_loop.run()
                self.resumed['now'] = random_states()
            if not (self.done or self.by_iter):
                self.resumed = None  # at the beginning of an epoch there is no more to take up

    def _skip(self, runner: Runner) -> None:
        """Leave out the batches of the epoch that were done."""
        if not self.done or self.batches is None:
            return
        length, was = len(runner.train_dataloader), self.resumed and self.resumed['batches']
        if length != was:
            raise ModelError(
                f'{runner._load_from}: was written in the middle of an epoch of {was} batches, '
                f'which now has {length}: go on with the same data and batch size, or from a '
                'checkpoint of a whole epoch'
            )
        self.batches.skip = self.done

    def before_train_epoch(self, runner: Runner) -> None:
        """Note the random states, from which samplers draw the order."""
        if self.resumed is not None:
            set_random_states(self.resumed['epoch_began'])
        else:
            self.done = 0
        self.epoch_began = random_states()
        if self.batches is not None:
            self.batches.epoch = runner.epoch
        if self.by_iter:  # its iterator was made, and may have read, before all this
            loader = runner.train_loop.dataloader
            loader._iterator = None
            runner.train_loop.dataloader_iterator = _InfiniteDataloaderIterator(loader)

    def before_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """The order of the epoch is known by now: the model's random numbers go on."""
        self._go_on()

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Count."""
        self.done += 1
        self.validated = False

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Note it for the checkpoint that may follow."""
        self.validated = True

    def after_train_epoch(self, runner: Runner) -> None:
        """The next checkpoint is of a whole epoch."""
        self._go_on()
        self.done = 0

    def _go_on(self) -> None:
        if self.resumed is not None:
            set_random_states(self.resumed['now'])
            self.resumed = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add it, to what a training can go on from."""
        if 'optimizer' not in checkpoint:
            return
        checkpoint[KEY] = dict(
            now=random_states(),
            epoch_began=self.epoch_began or random_states(),
            done=0 if self.by_iter else self.done,
            validated=self.validated,
            batches=0 if self.by_iter else len(runner.train_dataloader),
            gradients={
                name: parameter.grad.detach().cpu()
                for name, parameter in _unwrapped(runner).named_parameters()
                if parameter.grad is not None
            },
            early_stopping=[[hook.wait_count, hook.best_score] for hook in _early_stopping(runner)],
        )


class _BeginAgain(Hook):
    """After all that other hooks do before a training."""

    def __init__(self, progress: ProgressHook) -> None:
        self.progress = progress

    def before_train(self, runner: Runner) -> None:
        self.progress.begin_again(runner)


def _is_validation_due(runner: Runner) -> bool:
    """Whether MMEngine's loop would have validated right after the checkpoint."""
    loop, by_iter = runner.train_loop, isinstance(runner.train_loop, IterBasedTrainLoop)
    at, last = (loop.iter, loop.max_iters) if by_iter else (loop.epoch, loop.max_epochs)
    loop._decide_current_val_interval()
    return (
        runner.val_loop is not None
        and at >= max(loop.val_begin, 1)
        and (at % loop.val_interval == 0 or at == last)
    )


def _early_stopping(runner: Runner) -> list[EarlyStoppingHook]:
    return [hook for hook in runner.hooks if isinstance(hook, EarlyStoppingHook)]


def _unwrapped(runner: Runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
