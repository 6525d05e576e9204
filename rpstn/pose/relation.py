"""Joint relation extractor (JRE): what each joint's heatmap says about the others.

Dang, Yin, Zhang, "Relation-Based Associative Joint Location for Human Pose Estimation in
Videos", IEEE TIP 31, 2022, figure 3. https://arxiv.org/abs/2107.03591

Shapes: B maps, K joints, (h, w) heatmap cells.
"""
from __future__ import annotations

import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn


def joint_relation(heatmaps: Tensor) -> Tensor:
    """W_r = softmax(M M^T): how much each joint (row) draws on every joint (column).

    Args:
        heatmaps (Tensor): M, (B, K, h, w).

    Returns:
        Tensor: (B, K, K), every row sums to 1.
    """
    # In float32, also in mixed precision: sums over thousands of cells overflow float16.
    with torch.autocast(heatmaps.device.type, enabled=False):
        flat = heatmaps.flatten(2).to(torch.promote_types(heatmaps.dtype, torch.float32))
        return torch.softmax(flat @ flat.transpose(1, 2), dim=-1)


@MODELS.register_module()
class JRE(BaseModule):
    """Residual relation between joints: Z = M + Conv_o(W_r Conv_g(M)).

    Conv_o ends in a batch norm whose weight starts at 0, so the module starts as the identity
    and can be put behind any trained heatmap head without changing what it predicts.

    Args:
        num_joints (int): K, the number of heatmap channels.
        init_cfg (dict, optional): MMEngine weight initialization.
    """

    def __init__(self, num_joints: int, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.num_joints = num_joints
        self.g = nn.Conv2d(num_joints, num_joints, 1)
        self.out = nn.Sequential(
            nn.Conv2d(num_joints, num_joints, 1), nn.BatchNorm2d(num_joints))
        nn.init.zeros_(self.out[1].weight)

    def init_weights(self) -> None:
        """As BaseModule's; the identity survives an ``init_cfg`` of a surrounding head."""
        super().init_weights()
        if not self.init_cfg:
            nn.init.zeros_(self.out[1].weight)

    def relation(self, heatmaps: Tensor) -> Tensor:
        """The relation matrix W_r (B, K, K) of heatmaps (B, K, h, w)."""
        return joint_relation(heatmaps)

    def forward(self, heatmaps: Tensor) -> Tensor:
        """Z (B, K, h, w) from heatmaps M of the same shape.

        Raises:
            ValueError: the number of channels is not ``num_joints``.
        """
        if heatmaps.shape[1] != self.num_joints:
            raise ValueError(f'JRE(num_joints={self.num_joints}) takes heatmaps of '
                             f'{self.num_joints} channels, got {tuple(heatmaps.shape)}')
        g = self.g(heatmaps).flatten(2)
        related = self.relation(heatmaps).to(g.dtype) @ g
        return heatmaps + self.out(related.view_as(heatmaps))
