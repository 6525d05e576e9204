"""Mixed precision training without an accelerator."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """``torch.autocast`` to bfloat16 on the CPU, where MMEngine's AmpOptimWrapper refuses to run.

    bfloat16 has float32's range, so no loss scaling is needed.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Forward and loss in bfloat16 where that is safe."""
        with super().optim_context(model), torch.autocast('cpu', dtype=torch.bfloat16):
            yield
