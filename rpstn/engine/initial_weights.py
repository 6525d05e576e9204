"""``init_cfg=dict(type='Pretrained', checkpoint=...)``: weights that fit, at least some of them.

MMEngine's own only warns where a checkpoint fits nothing, and trains from random weights.
"""

from __future__ import annotations

from collections import OrderedDict

from mmengine.model.weight_init import PretrainedInit, update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from mmengine.runner.checkpoint import load_state_dict
from torch import nn

from rpstn.checkpoints import ModelError, read_checkpoint, weights_of


@WEIGHT_INITIALIZERS.register_module(name='Pretrained', force=True)
class FittingPretrainedInit(PretrainedInit):
    """In the place of MMEngine's, with its arguments."""

    def __call__(self, module: nn.Module) -> None:
        """Load a module; of weights that do not fit MMEngine's warning tells.

        Raises:
            ModelError: the checkpoint is missing, damaged or of another structure, or none of its
                weights fits.
        """
        weights = weights_of(read_checkpoint(self.checkpoint))
        if self.prefix is not None:
            prefix = self.prefix.removesuffix('.') + '.'
            within = {key: value for key, value in weights.items() if key.startswith(prefix)}
            weights = OrderedDict((key.removeprefix(prefix), v) for key, v in within.items())
        own = {key: value.shape for key, value in module.state_dict().items()}
        if not any(own.get(key) == value.shape for key, value in weights.items()):
            under = '' if self.prefix is None else f' under {self.prefix}'
            raise ModelError(
                f'{self.checkpoint}: none of its {len(weights)} weights{under} fits '
                f'{type(module).__name__}, whose first is {next(iter(own), "none")}'
            )
        load_state_dict(module, weights, strict=False, logger='current')
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=self._get_init_info())
