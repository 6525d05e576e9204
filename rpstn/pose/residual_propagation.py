"""JRPSP that starts as the single-frame model and learns what the last frame adds to it.

Dang, Yin, Zhang, IEEE TIP 31, 2022, figures 2 and 5, with a shortcut as in residual networks
(He et al., CVPR 2016) and as JRE has: for data too few to learn the propagation from nothing.

Shapes: B clips, K joints, C channels, (h, w) heatmap cells.
"""
from __future__ import annotations

import torch
from mmengine.registry import MODELS
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from . import propagation
from .propagation import JRPSP

_LAST = 'head.final_layer.'


@MODELS.register_module()
class ResidualJRPSP(JRPSP):
    """:class:`JRPSP` with M_{t+1} = Conv_d(f_{t+1} + kernel (*) f_{t+1} + carry(X)).

    X = [f_t, M'_t, f_{t+1}]. The kernel is the same in all cells, so what it filters finds a joint
    by its looks, but cannot say where it was. ``carry``, depthwise separable convolutions, can: a
    joint that something hides now stays about where the last frame had it.

    The last batch norms of S, which the kernel comes out of, and of carry start with weight 0, so
    that M_{t+1} = Conv_d(f_{t+1}) at first. With ``pretrained``, Conv_d starts as the last layer
    of a single-frame model: where F is that model's network, too (:class:`SharedBackbone`), every
    frame starts with its heatmaps.

    Args:
        num_joints (int): K.
        channels (int): C.
        carry (bool): with the last summand. Defaults to False.
        pretrained (str, optional): checkpoint of a single-frame model with these K joints in this
            order, whose ``head.final_layer`` Conv_d starts from.
        init_cfg (dict, optional): MMEngine weight initialization.

    Raises:
        ValueError: ``init_weights``: the checkpoint's last layer is none of C -> K.
    """

    def __init__(self, num_joints: int, channels: int = 256, carry: bool = False,
                 pretrained: str | None = None, init_cfg: dict | None = None) -> None:
        super().__init__(num_joints, channels, init_cfg=init_cfg)
        self.pretrained = pretrained
        self.carry = _carry(2 * channels + num_joints, channels) if carry else None
        self._start_at_identity()

    def _start_at_identity(self) -> None:
        nn.init.zeros_(self.kernel[-1].weight)
        if self.carry is not None:
            nn.init.zeros_(self.carry[-1].weight)

    def init_weights(self) -> None:
        """As BaseModule's; then the start above, which an ``init_cfg`` around it cannot undo."""
        super().init_weights()
        if not self.init_cfg:
            self._start_at_identity()
        if self.pretrained is None:
            return
        saved = CheckpointLoader.load_checkpoint(self.pretrained, 'cpu', logger='silent')
        weights = saved.get('state_dict', saved)
        last = {name: weights.get(f'{_LAST}{name}') for name in ('weight', 'bias')}
        wanted = {name: tuple(value.shape) for name, value in self.predict.state_dict().items()}
        got = {name: None if value is None else tuple(value.shape) for name, value in last.items()}
        if got != wanted:
            raise ValueError(f'{self.pretrained}: {_LAST}weight and bias must have the shapes '
                             f'{wanted}, got {got}')
        self.predict.load_state_dict(last)

    def forward(self, heatmaps: Tensor, features: Tensor, next_features: Tensor) -> Tensor:
        """Heatmaps of the next frame, (B, K, h, w); see :meth:`JRPSP.forward`."""
        self.check_channels(heatmaps, features, next_features)
        self.kernel_size(tuple(features.shape[-2:]))
        kernel = self.kernel(self.reduce(torch.cat([features, heatmaps], dim=1)))
        # By its module, where an export finds it.
        found = next_features + propagation.dynamic_depthwise_conv(next_features, kernel)
        if self.carry is not None:
            found = found + self.carry(torch.cat([features, heatmaps, next_features], dim=1))
        return self.predict(found)


def _carry(inputs: int, channels: int) -> nn.Sequential:
    """(B, inputs, h, w) -> (B, channels, h, w); a cell sees 13 x 13."""
    layers = [nn.Conv2d(inputs, channels, 1, bias=False), nn.BatchNorm2d(channels)]
    for _ in range(2):
        layers += [nn.ReLU(inplace=True),
                   nn.Conv2d(channels, channels, 7, padding=3, groups=channels, bias=False),
                   nn.BatchNorm2d(channels),
                   nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)]
    return nn.Sequential(*layers)
