"""From relation between joints to relation between pixels, while training goes on.

Dang, Yin, Zhang, IEEE TIP 31, 2022: once JRE has learned the relations, a non-local block takes
its place. https://arxiv.org/abs/2107.03591
"""

from __future__ import annotations

import gc
import math

from mmengine.config import Config, ConfigDict
from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import IterBasedTrainLoop, Runner
from mmpose.registry import HOOKS
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from rpstn.errors import SettingError

from ..models.relation_sequence import build_relation, locate_relation, swap_relation
from .param_groups import regroup

KEEP = ('trainable', 'frozen', None)
_META = 'relation_swap'


@HOOKS.register_module()
class RelationSwapHook(Hook):
    """Go over from JRE to a non-local block at an epoch, or when the validation stops improving.

    The new block starts as the identity. So that the swap loses nothing at that moment, the JRE
    that has been learned stays in front of it by default: predictions right after the swap are
    those right before it. The paper's own way is ``keep=None``, which takes JRE out; then what
    JRE adds to the heatmaps is gone at once, and the rest of the network has to make up for it.

    New parameters join the optimizer under the config's rules, at the point the schedules have
    reached; of those taken out, the optimizer's state goes, too. Checkpoints tell whether they
    were written after the swap: resuming and testing by the same config rebuild what was saved.
    Works with MMEngine's EMA hook, mixed precision and DDP (the model is wrapped anew); needs
    epochs.

    A model built without this hook takes the weights with ``relation=dict(
    type='RelationSequence', relations=[dict(type='JRE'), dict(type='NonLocalRelation')])``,
    after ``keep=None`` with ``relation=dict(type='NonLocalRelation')``.

    Args:
        epoch: swap when so many epochs are done.
        patience: swap after so many validations in a row in which ``monitor`` has
            not risen. Given both, whichever comes first.
        min_delta: what counts as a rise is more than this. Defaults to 0.
        monitor: figure of the validation. Defaults to VideoPCK's mean by torso.
        relation: config of the new module. Defaults to
            ``dict(type='NonLocalRelation')``.
        keep: ``'trainable'``: the old module stays in front and learns on;
            ``'frozen'``: it stays as it is, its batch statistics included; None: it is taken
            out. Defaults to ``'trainable'``.
        path: where the model has its relation module. Defaults to ``'head.relation'``.

    Raises:
        SettingError: neither ``epoch`` nor ``patience``, a number too small, another ``keep``.
    """

    priority = 'ABOVE_NORMAL'  # before EMAHook, which loads weights, and CheckpointHook

    def __init__(
        self,
        epoch: int | None = None,
        patience: int | None = None,
        min_delta: float = 0.0,
        monitor: str = 'torso_PCK@0.2/mean',
        relation: dict | None = None,
        keep: str | None = 'trainable',
        path: str = 'head.relation',
    ) -> None:
        if epoch is None and patience is None:
            raise SettingError('RelationSwapHook needs epoch=, patience= or both')
        if (
            (epoch is not None and epoch < 0)
            or (patience is not None and patience < 1)
            or min_delta < 0
        ):
            raise SettingError(
                'RelationSwapHook takes epoch >= 0, patience >= 1, min_delta >= 0, '
                f'got {epoch}, {patience}, {min_delta}'
            )
        if keep not in KEEP:
            raise SettingError(f'RelationSwapHook: keep must be one of {KEEP}, got {keep!r}')
        self.epoch = epoch
        self.patience = patience
        self.min_delta = min_delta
        self.monitor = monitor
        self.relation = ConfigDict(relation or dict(type='NonLocalRelation')).to_dict()
        self.keep = keep
        self.path = path
        # What a checkpoint keeps; plain values, which load safely.
        self.swapped_at: int | None = None  # epochs that were done
        self._best = -math.inf
        self._waited = 0
        self._validated_at = 0

    def before_run(self, runner: Runner) -> None:
        """Refuse early what would fail at the swap."""
        model = runner.model
        if is_model_wrapper(model) and not isinstance(model, DistributedDataParallel):
            raise NotImplementedError(
                f'RelationSwapHook can wrap a model anew in DDP only, got {type(model).__name__}'
            )
        if isinstance(runner.optim_wrapper, OptimWrapperDict):
            raise NotImplementedError(
                'RelationSwapHook takes a single optimizer, got '
                f'{list(runner.optim_wrapper.keys())}'
            )
        if isinstance(runner.optim_wrapper, OptimWrapper) and not isinstance(
            (runner.cfg.get('optim_wrapper') or {}).get('optimizer'), dict
        ):
            raise SettingError(
                'RelationSwapHook needs the config of the optimizer, whose rules new '
                'parameters follow: build the runner by Runner.from_cfg'
            )
        owner, old = locate_relation(_unwrapped(runner), self.path)
        build_relation(self.relation, old, owner)

    def before_train(self, runner: Runner) -> None:
        """Refuse a training without epochs, or without the validation that is waited for."""
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            raise SettingError(
                'RelationSwapHook needs a training by epochs, got '
                f'{type(runner.train_loop).__name__}'
            )
        if self.patience is not None and runner.val_loop is None:
            raise SettingError(
                f'RelationSwapHook(patience={self.patience}) waits for validations, '
                'and there are none: set val_dataloader, val_cfg and val_evaluator, '
                'or use epoch= alone'
            )
        if self.patience is None and self.epoch >= runner.max_epochs and self.swapped_at is None:
            runner.logger.warning(
                f'RelationSwapHook(epoch={self.epoch}) never swaps in a '
                f'training of {runner.max_epochs} epochs'
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Swap, if it is time."""
        if self.swapped_at is not None:
            return
        if (reason := self._reason(runner)) is None:
            return
        self._swap(runner)
        self.swapped_at = runner.epoch
        place = 'in place of' if self.keep is None else f'behind, {self.keep},'
        runner.logger.info(f'{reason}: {self.relation} comes {place} the module at {self.path}')

    def _reason(self, runner: Runner) -> str | None:
        """Why it is time to swap; None if it is not."""
        if self.epoch is not None and runner.epoch >= self.epoch:
            return f'{runner.epoch} epochs are done'
        if self.patience is None:
            return None
        if (
            self._validated_at < runner.epoch
            and runner.epoch >= runner.val_begin
            and runner.epoch % runner.val_interval == 0
        ):
            # Resumed: MMEngine writes the checkpoint of an epoch before its validation.
            runner.val_loop.run()
        if self._waited < self.patience:
            return None
        return f'{self.monitor} has not risen above {self._best:.4f} {self._waited} times'

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """See whether the figure has risen."""
        if self.patience is None or self.swapped_at is not None or metrics is None:
            return
        if self.monitor not in metrics:
            raise SettingError(
                f'RelationSwapHook: the validation gives no {self.monitor!r}; set '
                f'monitor= to one of {sorted(metrics)}'
            )
        self._validated_at = runner.epoch
        if metrics[self.monitor] > self._best + self.min_delta:
            self._best, self._waited = float(metrics[self.monitor]), 0
        else:
            self._waited += 1

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Tell what the weights are of."""
        checkpoint['meta'][_META] = dict(
            self._signature(),
            swapped_at=self.swapped_at,
            best=self._best,
            waited=self._waited,
            validated_at=self._validated_at,
        )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Before the weights are loaded: the modules they are of.

        Raises:
            SettingError: see :meth:`swapped_in`; or the weights are from before a swap that has
                been made here.
        """
        saved = (checkpoint.get('meta') or {}).get(_META) or {}
        if self.swapped_in(checkpoint):
            if self.swapped_at is None:
                self._swap(runner)
            self.swapped_at = saved['swapped_at']
        elif self.swapped_at is not None:
            raise SettingError(
                f'the checkpoint is from before {self.path} was swapped, which this '
                f'model was after epoch {self.swapped_at}: start a new run with it'
            )
        if saved and runner._resume:
            self._best, self._waited = saved['best'], saved['waited']
            self._validated_at = saved['validated_at']

    def swapped_in(self, checkpoint: dict) -> bool:
        """Whether a checkpoint was written after the swap.

        Raises:
            SettingError: it was, and the swap was another than this hook's.
        """
        saved = (checkpoint.get('meta') or {}).get(_META) or {}
        if saved.get('swapped_at') is None:
            return False
        # By this config and not by what the file says: a file is not to choose what is built.
        for key, value in self._signature().items():
            if saved[key] != value:
                raise SettingError(
                    f'the checkpoint was swapped with {key}={saved[key]}, this '
                    f'RelationSwapHook has {key}={value}: give it the same'
                )
        return True

    def _signature(self) -> dict[str, str | None]:
        return dict(path=self.path, keep=self.keep, relation=str(self.relation))

    def _swap(self, runner: Runner) -> None:
        model = _unwrapped(runner)
        swap_relation(model, self.relation, self.keep, self.path, runner.seed)
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):
                averaged = hook.ema_model
                swap_relation(averaged.module, self.relation, self.keep, self.path, runner.seed)
                averaged.module.requires_grad_(False)
                averaged.avg_parameters = (
                    averaged.module.state_dict()
                    if averaged.update_buffers
                    else dict(averaged.module.named_parameters())
                )
        if is_model_wrapper(runner.model):
            # DDP reduces only the gradients it knew when it was built. The old one goes first: it
            # holds buckets as large as the model.
            runner.model = None
            gc.collect()
            runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)
        if isinstance(runner.optim_wrapper, OptimWrapper):
            regroup(
                runner.optim_wrapper, runner.param_schedulers or (), runner.cfg.optim_wrapper, model
            )


def restore_swap(model: nn.Module, config: Config, checkpoint: dict) -> bool:
    """Give a model built from a config the modules of a checkpoint written after the swap.

    For those who load weights without a runner.

    Args:
        model: changed in place.
        config: whose ``custom_hooks`` have the hook.
        checkpoint: of MMEngine.

    Returns:
        Whether it has been swapped.

    Raises:
        SettingError: the swap was another than the config's.
    """
    for hook in config.get('custom_hooks') or ():
        if isinstance(hook, dict) and hook.get('type') in ('RelationSwapHook', RelationSwapHook):
            hook = RelationSwapHook(
                **{k: v for k, v in hook.items() if k not in ('type', 'priority')}
            )
            if hook.swapped_in(checkpoint):
                swap_relation(model, hook.relation, hook.keep, hook.path)
                return True
    return False


def _unwrapped(runner: Runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
