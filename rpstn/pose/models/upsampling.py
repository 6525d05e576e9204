"""Any MMPose backbone with a light neck behind it: one feature map at a quarter of the input.

In place of Simple Baselines' deconvolutions of 256 channels, the backbone's maps are merged from
coarse to fine as in feature pyramids (Lin et al., CVPR 2017), by bilinear upsampling, 1x1
convolutions and depthwise-separable ones (Howard et al., MobileNets, 2017).

Shapes: N images, C channels, (H, W) input pixels, (h, w) heatmap cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from rpstn.errors import SettingError


def probe_maps(backbone: nn.Module, input_size: tuple[int, int]) -> list[tuple[int, int]]:
    """(channels, stride) of every feature map of a backbone, found by running it once.

    Args:
        backbone: takes (N, 3, H, W), returns a tensor or a sequence of them.
        input_size: (W, H) pixels.

    Raises:
        SettingError: a map's sides are not the input's divided by one whole number.
    """
    width, height = input_size
    training = backbone.training
    backbone.eval()  # batch statistics stay as they are
    with torch.no_grad():
        outs = backbone(torch.zeros(1, 3, height, width))
    backbone.train(training)
    found = []
    for out in outs if isinstance(outs, (tuple, list)) else [outs]:
        channels, rows, columns = out.shape[1:]
        stride = max(height // rows, 1)
        if (rows * stride, columns * stride) != (height, width):
            raise SettingError(
                f'{type(backbone).__name__} makes a {columns}x{rows} map of a '
                f'{width}x{height} input: choose input sides that are multiples of '
                f'{2 ** (stride - 1).bit_length()}'
            )
        found.append((channels, stride))
    return found


def conv_norm(
    inputs: int, outputs: int, kernel: int = 1, groups: int = 1, activate: bool = True
) -> list[nn.Module]:
    """Convolution of the same size, batch norm and, with ``activate``, ReLU."""
    return [
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        *([nn.ReLU(inplace=True)] if activate else []),
    ]


class SeparableConv(nn.Sequential):
    """Depthwise and pointwise convolution, each with batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 5) -> None:
        super().__init__(
            *conv_norm(inputs, inputs, kernel, groups=inputs), *conv_norm(inputs, outputs)
        )


@MODELS.register_module()
class UpsampledBackbone(BaseModule):
    """A backbone and a light upsampling neck, as one MMPose backbone.

    It stands wherever a config takes a backbone: in :class:`RPSTNBackbone`, or with MMPose's
    heatmap head alone.

    Args:
        backbone: any MMPose backbone; of several maps of one stride the last one is used,
            and of one map all upsampling starts from it.
        channels: C of the returned map. Defaults to 64.
        width: channels on the way there. Defaults to 128.
        stride: input pixels per cell of the returned map. Defaults to 4.
        input_size: (W, H) pixels, to find the maps' strides with.
        kernel: side of the depthwise convolutions. Defaults to 5.
        frozen: weights and statistics stay as they are while training. Defaults to False.
        init_cfg: MMEngine weight initialization.

    Raises:
        SettingError: the backbone's coarsest stride is no number of doublings from ``stride``, or
            an even kernel.
    """

    def __init__(
        self,
        backbone: dict,
        channels: int = 64,
        width: int = 128,
        stride: int = 4,
        input_size: tuple[int, int] = (256, 256),
        kernel: int = 5,
        frozen: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if kernel % 2 == 0:
            raise SettingError(f'UpsampledBackbone: kernel must be odd, got {kernel}')
        self.frozen = frozen
        self.backbone = MODELS.build(backbone)
        self.channels, self.stride = channels, stride
        maps = probe_maps(self.backbone, input_size)
        # Stride -> position and channels of the last map that has it.
        levels = {s: (i, c) for i, (c, s) in enumerate(maps) if s >= stride}
        coarsest = max(levels, default=0)
        steps = (coarsest // stride).bit_length() - 1 if coarsest else 0
        if coarsest != stride << steps:
            raise SettingError(
                f'{type(self.backbone).__name__} has maps of strides '
                f'{[s for _, s in maps]}, from none of which stride={stride} is '
                'reached by doublings'
            )
        self.coarsest = coarsest
        strides = [stride << n for n in range(steps, -1, -1)]  # coarse to fine
        # Positions of the maps that are merged, coarse to fine; None where there is none.
        self.first = levels[coarsest][0]
        self.taken = [levels[s][0] if s in levels else None for s in strides]
        self.laterals = nn.ModuleList(
            nn.Sequential(*conv_norm(levels[s][1], width, activate=False))
            if s in levels
            else nn.Identity()
            for s in strides
        )
        self.smooth = nn.ModuleList(
            SeparableConv(width, channels if s == stride else width, kernel) for s in strides
        )
        self.train(self.training)

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """(N, 3, H, W) -> one map (N, C, h, w), in a tuple, as MMPose's backbones give it.

        Raises:
            SettingError: H or W is no multiple of the backbone's greatest stride, so that maps
                would not fit upon each other.
        """
        height, width = images.shape[-2:]
        if height % self.coarsest or width % self.coarsest:
            raise SettingError(
                f'UpsampledBackbone of {type(self.backbone).__name__} takes images '
                f'whose sides are multiples of {self.coarsest}, got {width}x{height}'
            )
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            outs = self.backbone(images)
            return (self.merge(outs if isinstance(outs, (tuple, list)) else (outs,)),)

    def train(self, mode: bool = True) -> UpsampledBackbone:
        """As Module's; if frozen, all stays in evaluation mode, without gradients."""
        super().train(mode and not self.frozen)
        if self.frozen:
            self.requires_grad_(False)
        return self

    def merge(self, maps: Sequence[Tensor]) -> Tensor:
        """The backbone's maps, coarse to fine, to one (N, C, h, w)."""
        (_, lateral, smooth), *finer = zip(self.taken, self.laterals, self.smooth)
        merged = smooth(F.relu(lateral(maps[self.first])))
        for taken, lateral, smooth in finer:
            merged = F.interpolate(merged, scale_factor=2, mode='bilinear', align_corners=False)
            if taken is not None:
                merged = merged + lateral(maps[taken])
            merged = smooth(F.relu(merged))
        return merged
