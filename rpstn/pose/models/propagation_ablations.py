"""Two stand-ins for JRPSP: the rows ``Cat`` and ``w/o P`` of the paper's ablation study.

Dang, Yin, Zhang, IEEE TIP 31, 2022. https://arxiv.org/abs/2107.03591

Shapes: B clips, K joints, C channels, (h, w) heatmap cells of any number.
"""

from __future__ import annotations

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

from .pretrained import load_last_layer
from .propagation import Propagator


@MODELS.register_module()
class CatPropagator(Propagator):
    """``Cat``: concatenation in place of propagation.

    M_{t+1} = Conv_d(G([f_t, M'_t, f_{t+1}])): what JRPSP makes a kernel of is handed on beside the
    next frame's features, and weights that are the same for every clip are to make the pose of it.

    The paper does not spell the layers out. Our reading: the same inputs and the same last layer
    Conv_d as in JRPSP; G is Conv_a, 1x1 from 2C + K to C, and one 3x3 convolution, each with batch
    norm and ReLU, without which 1x1 convolutions in a row would be one. So nothing but the
    dynamic convolution is missing.

    Args:
        num_joints: K.
        channels: C, of the frame features. Defaults to 256.
        init_cfg: MMEngine weight initialization.
    """

    def __init__(self, num_joints: int, channels: int = 256, init_cfg: dict | None = None) -> None:
        super().__init__(num_joints, channels, init_cfg)
        self.fuse = nn.Sequential(
            nn.Conv2d(2 * channels + num_joints, channels, 1),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        self.predict = nn.Conv2d(channels, num_joints, 1)

    def forward(self, heatmaps: Tensor, features: Tensor, next_features: Tensor) -> Tensor:
        """M_{t+1} (B, K, h, w) of M'_t (B, K, h, w), f_t and f_{t+1} (B, C, h, w).

        Raises:
            ValueError: K or C do not fit.
        """
        self.check_channels(heatmaps, features, next_features)
        return self.predict(self.fuse(torch.cat([features, heatmaps, next_features], dim=1)))


@MODELS.register_module()
class NoPropagator(Propagator):
    """``w/o P``: no propagation, M_{t+1} = Conv_d(f_{t+1}), every frame for itself.

    Args:
        num_joints: K.
        channels: C, of the frame features. Defaults to 256.
        pretrained: checkpoint of a single-frame model with these K joints in this order, whose last
            layer Conv_d starts from.
        init_cfg: MMEngine weight initialization.

    Raises:
        SettingError: ``init_weights``: the checkpoint's last layer is none of C -> K.
    """

    def __init__(
        self,
        num_joints: int,
        channels: int = 256,
        pretrained: str | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(num_joints, channels, init_cfg)
        self.pretrained = pretrained
        self.predict = nn.Conv2d(channels, num_joints, 1)

    def init_weights(self) -> None:
        """As BaseModule's; then the weights of ``pretrained``."""
        super().init_weights()
        if self.pretrained is not None:
            load_last_layer(self.predict, self.pretrained)

    def forward(self, heatmaps: Tensor, features: Tensor, next_features: Tensor) -> Tensor:
        """M_{t+1} (B, K, h, w) of f_{t+1} (B, C, h, w); the others are not looked at.

        Raises:
            ValueError: K or C do not fit.
        """
        self.check_channels(heatmaps, features, next_features)
        return self.predict(next_features)
