"""Recognition from what skeletons look like over time.

B sequences, S clips of each, M persons, T frames, V joints, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmaction.models import BaseRecognizer
from mmaction.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional

from rpstn.errors import SettingError


@MODELS.register_module()
class TemporalDistanceRecognizer(BaseRecognizer):
    """Skeletons -> representation -> network over time -> classes.

    With :class:`DistanceMatrices` and :class:`TemporalResNet1D` it is the method of Ogata et
    al., CVPRW 2019. It takes what MMAction2's skeleton pipelines give (``FormatGCNInput``,
    ``PackActionInputs``), and works with every backbone over (N, C, T).

    A missing joint is NaN in the input. Whatever is computed from it is NaN, and is masked here:
    it becomes the average feature, which is 0 behind the normalization.

    Args:
        representation: config of a module (N, T, V, D) -> (N, C, T) such as
            :class:`DistanceMatrices`, or several, whose channels are concatenated.
        backbone: its ``in_channels`` must be the sum of the channels of the representations.
        cls_head: such as :class:`TemporalHead`.
        kwargs: see MMAction2's BaseRecognizer.
    """

    def __init__(
        self, representation: dict | Sequence[dict], backbone: dict, cls_head: dict, **kwargs: Any
    ) -> None:
        super().__init__(backbone=backbone, cls_head=cls_head, **kwargs)
        parts = [representation] if isinstance(representation, dict) else representation
        modules = [MODELS.build(part) for part in parts]
        self.representations = nn.ModuleList(modules)
        channels = [module.out_channels for module in modules]
        if sum(channels) != self.backbone.in_channels:
            raise SettingError(
                f'backbone.in_channels must be {sum(channels)}, the channels of the '
                f'representation ({" + ".join(map(str, channels))}), '
                f'got {self.backbone.in_channels}'
            )
        self.normalize = MaskedNorm(sum(channels))

    def represent(self, joints: Tensor) -> Tensor:
        """Joints (N, T, V, D) -> normalized features (N, C, T) without NaN."""
        # In float32 under mixed precision, too: differences of coordinates cancel.
        with torch.autocast(joints.device.type, enabled=False):
            joints = joints.float()
            return self.normalize(torch.cat([part(joints) for part in self.representations], 1))

    def extract_feat(self, inputs: Tensor, stage: str = 'backbone', **kwargs: Any) -> tuple:
        """Input (B, S, M, T, V, C) -> features (B * S, M, C, T'), or scores by ``stage='head'``."""
        if inputs.ndim != 6:
            raise SettingError(
                'TemporalDistanceRecognizer takes (B, clips, M, T, V, C), as '
                f'FormatGCNInput gives it, got shape {tuple(inputs.shape)}'
            )
        persons = inputs.shape[2]
        x = self.backbone(self.represent(inputs.flatten(0, 2))).unflatten(0, (-1, persons))
        if stage == 'backbone':
            return x, {}
        return self.cls_head(x), {}


class MaskedNorm(nn.Module):
    """Batch normalization without weights that leaves NaN out and turns it into 0, the average.

    Args:
        channels: C.
        eps, momentum: as in ``torch.nn.BatchNorm1d``.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.register_buffer('running_mean', torch.zeros(channels))
        self.register_buffer('running_var', torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T) with NaN -> (N, C, T) without."""
        missing = torch.isnan(x)
        if not missing.any():
            return functional.batch_norm(
                x,
                self.running_mean,
                self.running_var,
                training=self.training,
                momentum=self.momentum,
                eps=self.eps,
            )
        x = x.masked_fill(missing, 0)
        mean, var = (
            self._measure(x, ~missing) if self.training else (self.running_mean, self.running_var)
        )
        normalized = (x - mean[:, None]) / (var[:, None] + self.eps).sqrt()
        return normalized.masked_fill(missing, 0)

    def _measure(self, x: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (C,) of what is known, which also move the running ones."""
        count = known.sum((0, 2))
        mean = x.sum((0, 2)) / count.clamp(min=1)
        squares = (x - mean[:, None]).masked_fill(~known, 0).square().sum((0, 2))
        with torch.no_grad():
            pace = self.momentum * (count > 1)
            self.running_mean.lerp_(mean, pace)
            self.running_var.lerp_(squares / (count - 1).clamp(min=1), pace)
        return mean, squares / count.clamp(min=1)
