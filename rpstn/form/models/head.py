"""Classification over time. B clips, M persons, C channels, T frames."""

from __future__ import annotations

from typing import Any

import torch
from mmaction.models.heads import BaseHead
from mmaction.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class TemporalHead(BaseHead):
    """Adaptive average pooling and conv[1, 1, num_classes] (Ogata et al., figure 8).

    Loss, label smoothing (``label_smooth_eps``), class weights (``loss_cls=dict(
    type='CrossEntropyLoss', class_weight=[...])``) and several labels at once
    (``multi_class=True`` with ``BCELossWithLogits``) are those of MMAction2's BaseHead.

    Args:
        num_classes: number of classes.
        in_channels: C, the channels of the backbone.
        dropout: before the convolution; the paper has none.
        multi_class: several classes may hold at once; scores are then independent
            probabilities.
        topk: accuracies to log while training.
        average_clips: how to average over the clips of a sequence: ``'prob'`` or ``'score'``.
        kwargs: see MMAction2's BaseHead.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 256,
        dropout: float = 0.0,
        multi_class: bool = False,
        topk: int | tuple[int, ...] = 1,
        average_clips: str = 'prob',
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_classes,
            in_channels,
            multi_class=multi_class,
            topk=topk,
            average_clips=average_clips,
            **kwargs,
        )
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.classify = nn.Conv1d(in_channels, num_classes, 1)

    def forward(self, x: Tensor, **kwargs: Any) -> Tensor:
        """Features (B, M, C, T) -> class scores (B, num_classes), the mean over persons."""
        persons = x.shape[1]
        pooled = self.pool(x.flatten(0, 1))
        scores = self.classify(self.dropout(pooled)).unflatten(0, (-1, persons)).mean(1).squeeze(-1)
        # BaseHead's accuracy knows no bfloat16, and losses lose digits in half precision.
        return scores.to(torch.promote_types(scores.dtype, torch.float32))

    def average_clip(self, cls_scores: Tensor, num_segs: int = 1) -> Tensor:
        """Scores (B * num_segs, classes) -> (B, classes), by sigmoid where labels are several."""
        if not self.multi_class or self.average_clips != 'prob':
            return super().average_clip(cls_scores, num_segs)
        return cls_scores.sigmoid().unflatten(0, (-1, num_segs)).mean(1)
