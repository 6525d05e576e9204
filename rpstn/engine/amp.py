"""Mixed precision training without an accelerator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import Tensor, nn


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """``torch.autocast`` to bfloat16 on the CPU, where MMEngine's AmpOptimWrapper refuses to run.

    bfloat16 has float32's range, so no loss scaling is needed. The scores of MMAction2's heads
    become float32 at once, as their training accuracy goes through NumPy.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Forward and loss in bfloat16 where that is safe."""
        head = getattr(getattr(model, 'module', model), 'cls_head', None)
        scores_in_float = head.register_forward_hook(_to_float) if head else nullcontext()
        with (
            super().optim_context(model),
            scores_in_float,
            torch.autocast('cpu', dtype=torch.bfloat16),
        ):
            yield


def _to_float(head: nn.Module, inputs: tuple, scores: Tensor) -> Tensor:
    return scores.float() if isinstance(scores, Tensor) else scores
