"""Heatmap losses over the frames of clips.

Shapes: B clips, T frames, K joints, (h, w) heatmap cells.
"""

from __future__ import annotations

from typing import Any

import torch
from mmpose.models.losses import KeypointMSELoss
from mmpose.registry import MODELS
from torch import Tensor

from rpstn.errors import SettingError


@MODELS.register_module()
class TemporalMSELoss(KeypointMSELoss):
    """MMPose's mean squared error, and that of how heatmaps change from frame to frame.

    L = mean w (P - G)^2 + a mean w' (dP - dG)^2, with dP_t = P_{t+1} - P_t and w' = w_t w_{t+1}: an
    error that stays the same costs what it did, one that jumps costs more. It takes the folded
    frames of clips, (B*T, K, h, w), as RPSTN's head and MMPose's single-frame heads both have
    them.

    Args:
        clip_len: T, of the batch; that of ``train_dataloader.dataset.clip_len``.
        temporal_weight: a. Defaults to 0.5; 0 is KeypointMSELoss.
        **kwargs: of :class:`KeypointMSELoss`; ``use_target_weight`` is True here by default.

    Raises:
        SettingError: T is less than 1; forward: B*T frames are not whole clips.
    """

    def __init__(self, clip_len: int, temporal_weight: float = 0.5, **kwargs: Any) -> None:
        if clip_len < 1:
            raise SettingError(f'TemporalMSELoss: clip_len must be at least 1, got {clip_len}')
        super().__init__(**{'use_target_weight': True, **kwargs})
        self.clip_len = clip_len
        self.temporal_weight = temporal_weight

    def forward(
        self,
        output: Tensor,
        target: Tensor,
        target_weights: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Loss of heatmaps (B*T, K, h, w) with targets of this shape and weights (B*T, K)."""
        loss = super().forward(output, target, target_weights, mask)
        if not self.temporal_weight or self.clip_len == 1:
            return loss
        if len(output) % self.clip_len:
            raise SettingError(
                f'TemporalMSELoss(clip_len={self.clip_len}) takes whole clips, got '
                f'{len(output)} frames'
            )
        error = self._clips(output.float() - target)
        change = torch.square(error[:, 1:] - error[:, :-1])
        if target_weights is not None:
            weights = self._clips(target_weights)
            change = change * (weights[:, 1:] * weights[:, :-1])[..., None, None]
        return loss + self.loss_weight * self.temporal_weight * change.mean()

    def _clips(self, frames: Tensor) -> Tensor:
        return frames.unflatten(0, (-1, self.clip_len))
