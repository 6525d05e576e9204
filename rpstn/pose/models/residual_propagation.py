"""JRPSP that starts as the single-frame model and learns what the last frame adds to it.

Dang, Yin, Zhang, IEEE TIP 31, 2022, figures 2 and 5, with a shortcut as in residual networks
(He et al., CVPR 2016) and as JRE has: for data too few to learn the propagation from nothing.

Shapes: B clips, K joints, C channels, (h, w) heatmap cells.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor, nn

from . import propagation
from .pretrained import load_last_layer
from .propagation import JRPSP
from .upsampling import conv_norm


@MODELS.register_module()
class ResidualJRPSP(JRPSP):
    """:class:`JRPSP` with a shortcut, N_{t+1} = Conv_d(f_{t+1} + kernel (*) f_{t+1}).

    The kernel is the same in all cells, so what it filters finds a joint by its looks, but cannot
    say where it was. With ``carry``, depthwise separable convolutions over [f_t, M'_t, f_{t+1}]
    can: they give of each joint and cell a change c of N_{t+1} and a gate g in (-1, 1), with
    M_{t+1} = N_{t+1} + c + g (M'_t - N_{t+1} - c), as the update gate of a GRU does (Cho et al.,
    EMNLP 2014): a joint that something hides now stays about where the last frame had it.

    The last batch norm of S, which the kernel comes out of, and the last layers of carry start
    with weight 0, so that M_{t+1} = Conv_d(f_{t+1}) at first. With ``pretrained``, Conv_d starts
    as the last layer of a single-frame model: where F is that model's network, too
    (:class:`SharedBackbone`), every frame starts with its heatmaps.

    Args:
        num_joints: K.
        channels: C.
        carry: with what cells hold on to, as above; or options of it: ``width``, channels inside (C
            by default), and ``stride``, 2 for maps of half the size inside (1 by default). Defaults
            to False.
        kernel_channels: see :class:`JRPSP`.
        pretrained: checkpoint of a single-frame model with these K joints in this
            order, whose ``head.final_layer`` Conv_d starts from.
        init_cfg: MMEngine weight initialization.

    Raises:
        SettingError: ``init_weights``: the checkpoint's last layer is none of C -> K.
    """

    def __init__(
        self,
        num_joints: int,
        channels: int = 256,
        carry: bool | dict = False,
        kernel_channels: int | None = None,
        pretrained: str | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(num_joints, channels, kernel_channels=kernel_channels, init_cfg=init_cfg)
        self.pretrained = pretrained
        options = carry if isinstance(carry, dict) else {}
        self.carry = _Carry(num_joints, channels, **options) if carry is not False else None
        self._start_at_identity()

    def _start_at_identity(self) -> None:
        nn.init.zeros_(self.kernel[-1].get_parameter('weight'))
        if self.carry is not None:
            self.carry.start_at_nothing()

    def init_weights(self) -> None:
        """As BaseModule's; then the start above, which an ``init_cfg`` around it cannot undo."""
        super().init_weights()
        if not self.init_cfg:
            self._start_at_identity()
        if self.pretrained is not None:
            load_last_layer(self.predict, self.pretrained)

    def forward(self, heatmaps: Tensor, features: Tensor, next_features: Tensor) -> Tensor:
        """Heatmaps of the next frame, (B, K, h, w); see :meth:`JRPSP.forward`."""
        self.check_channels(heatmaps, features, next_features)
        # By its module, where an export finds it.
        seen = self.predict(
            next_features
            + propagation.dynamic_depthwise_conv(next_features, self.kernels(heatmaps, features))
        )
        if self.carry is None:
            return seen
        change, gate = self.carry(torch.cat([features, heatmaps, next_features], dim=1))
        seen = seen + change
        return seen + gate * (heatmaps - seen)


class _Carry(nn.Module):
    """(B, 2 C + K, h, w) -> changes and gates, both (B, K, h, w); a cell sees 13 x 13.

    With stride 2 all is computed on means of 2 x 2 cells, of which one sees 13 x 13, and
    interpolated.
    """

    def __init__(
        self, num_joints: int, channels: int, width: int | None = None, stride: int = 1
    ) -> None:
        super().__init__()
        width = width or channels
        self.stride = stride
        layers = conv_norm(2 * channels + num_joints, width)
        for _ in range(2):
            layers += conv_norm(width, width, 7, groups=width, activate=False)
            layers += conv_norm(width, width)
        self.layers = nn.Sequential(*layers)
        self.change = nn.Conv2d(width, num_joints, 1)
        self.gate = nn.Conv2d(width, num_joints, 1)

    def start_at_nothing(self) -> None:
        for parameter in (*self.change.parameters(), *self.gate.parameters()):
            nn.init.zeros_(parameter)

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        if self.stride == 1:
            hidden = self.layers(states)
            return self.change(hidden), self.gate(hidden).tanh()
        size = states.shape[-2:]
        hidden = self.layers(F.avg_pool2d(states, self.stride))
        # The gate's tanh after the interpolation, so that it is as sharp as it can be.
        change, gate = (
            F.interpolate(out, size=size, mode='bilinear', align_corners=False)
            for out in (self.change(hidden), self.gate(hidden))
        )
        return change, gate.tanh()
