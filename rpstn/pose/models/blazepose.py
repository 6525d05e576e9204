"""BlazePose's image network: MediaPipe's pose features as an MMPose backbone.

Bazarevsky et al., BlazePose, CVPR Workshops 2020, https://arxiv.org/abs/2006.10204, in the form
that MediaPipe 0.10 releases as "full" (Apache-2.0): an encoder of inverted residuals (Sandler et
al., MobileNetV2, CVPR 2018) at strides 2 to 32, laid out as EfficientNet-Lite0's, and a top-down
pathway to stride 4 as a feature pyramid's (Lin et al., CVPR 2017).

Batch norms are folded into the convolutions, as in the release, so these networks are meant to
start from its weights (:mod:`.blazepose_weights`), not from random ones.

Shapes: N images, (H, W) input pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmengine.model import BaseModule
from mmpose.models.backbones.base_backbone import BaseBackbone
from mmpose.models.backbones.utils import InvertedResidual
from mmpose.registry import MODELS
from torch import Tensor, nn

from rpstn.errors import SettingError

RELU6 = dict(type='ReLU6')
# Of each of the strides 4, 8, 16, 32: kernel and width of its blocks, of which the first one halves
# the map. Widths are indices, as the detector has the same layout with others.
_STAGES = (
    ((3, 0), (3, 0)),
    ((5, 1), (5, 1)),
    ((3, 2), (3, 2), (3, 2), (5, 3), (5, 3), (5, 3)),
    ((5, 4), (5, 4), (5, 4), (5, 4)),
)
_STEM, _FIRST = 24, 16
_WIDTHS = (24, 32, 64, 88, 144)
_PYRAMID = 48
_LARGEST_STRIDE = 32


class BlazePoseEncoder(BaseModule):
    """Inverted residuals at strides 2 to 32; the last one ends before its projection.

    Args:
        widths: channels of the blocks at strides 4, 8, 16 (first and second half) and 32.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        common = dict(norm_cfg=None, act_cfg=RELU6)
        self.stem = nn.Sequential(
            ConvModule(3, _STEM, 3, stride=2, padding=1, **common),
            InvertedResidual(_STEM, _FIRST, _STEM, with_expand_conv=False, **common),
        )
        stages: list[nn.Sequential] = []
        channels, expansion = _FIRST, 4
        for blocks in _STAGES:
            stage = nn.Sequential()
            for number, (kernel, width) in enumerate(blocks):
                stage.append(
                    InvertedResidual(
                        channels,
                        widths[width],
                        channels * expansion,
                        kernel,
                        stride=1 if number else 2,
                        **common,
                    )
                )
                channels, expansion = widths[width], 6
            stages.append(stage)
        hidden = channels * expansion
        stages[-1].append(ConvModule(channels, hidden, 1, **common))
        stages[-1].append(ConvModule(hidden, hidden, 3, padding=1, groups=hidden, **common))
        self.stages = nn.ModuleList(stages)
        self.channels = (widths[0], widths[1], widths[3], hidden)
        """Of the four maps."""

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> maps (N, channels, H / stride, W / stride) of the strides 4 to 32."""
        features, maps = self.stem(images), []
        for stage in self.stages:
            features = stage(features)
            maps.append(features)
        return maps


def doubled(features: Tensor) -> Tensor:
    """(N, C, h, w) -> (N, C, 2h, 2w), bilinear, between the centres of pixels."""
    return F.interpolate(features, scale_factor=2, mode='bilinear', align_corners=False)


class SamePad(nn.Module):
    """TensorFlow's 'SAME' padding of a stride-2 convolution on an even side: one less in front.

    Args:
        kernel: side of the convolution's kernel, odd.
    """

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.before, self.after = (kernel - 2) // 2, (kernel - 1) // 2

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H + kernel - 2, W + kernel - 2)."""
        return F.pad(images, (self.before, self.after) * 2)


class SeparableResidual(nn.Module):
    """ReLU6(x + pointwise(depthwise(x))); at stride 2 the shortcut is a maximum over 2x2.

    Args:
        channels: of input and output.
        stride: 1 or 2.
        activate: ReLU6 between the two.
    """

    def __init__(self, channels: int, stride: int = 1, activate: bool = True) -> None:
        super().__init__()
        self.pad = SamePad(3) if stride == 2 else nn.Identity()
        self.shortcut = nn.MaxPool2d(2) if stride == 2 else nn.Identity()
        self.convs = DepthwiseSeparableConvModule(
            channels,
            channels,
            3,
            stride=stride,
            padding=2 - stride,
            dw_act_cfg=RELU6 if activate else None,
            pw_act_cfg=None,
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h / stride, w / stride)."""
        return F.relu6(self.shortcut(features) + self.convs(self.pad(features)))


@MODELS.register_module()
class BlazePose(BaseBackbone):
    """BlazePose's encoder and top-down pathway: maps of 48, 48, 48 and 864 channels at the strides
    4, 8, 16 and 32, the first of which MediaPipe's heatmaps are one 1x1 convolution away from.

    Images are RGB in [0, 1]: ``mean=[0] * 3, std=[255] * 3, bgr_to_rgb=True``. The weights were
    trained on 256x256 crops that are centred on the hips, turned so that the trunk is upright, and
    sized by the farthest landmark. MMPose's heads take the last map, so ``out_indices=(0,)`` is
    what a heatmap head wants.

    Args:
        out_indices: which of the four maps are returned, ascending. Defaults to all.
        frozen: weights stay as they are while training. Defaults to False.
        init_cfg: ``dict(type='Pretrained', checkpoint=..., prefix='backbone.')`` takes converted
            weights; MMEngine's.

    Raises:
        SettingError: ``out_indices`` name no map.

    Example:
        >>> import torch
        >>> maps = BlazePose()(torch.zeros(1, 3, 256, 256))
        >>> for features in maps:
        ...     print(*features.shape[1:])
        48 64 64
        48 32 32
        48 16 16
        864 8 8
    """

    def __init__(
        self,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not out_indices or list(out_indices) != sorted(set(out_indices) & set(range(4))):
            raise SettingError(
                f'BlazePose: out_indices must be ascending and among 0 to 3, '
                f'got {tuple(out_indices)}'
            )
        self.out_indices = tuple(out_indices)
        self.frozen = frozen
        self.encoder = BlazePoseEncoder(_WIDTHS)
        self.laterals = nn.ModuleList(  # coarse to fine
            DepthwiseSeparableConvModule(channels, _PYRAMID, 3, padding=1, act_cfg=RELU6)
            for channels in reversed(self.encoder.channels)
        )
        self.train(self.training)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) -> the maps asked for, fine to coarse.

        Raises:
            SettingError: H or W is no multiple of 32, so that maps would not fit upon each other.
        """
        height, width = images.shape[-2:]
        if height % _LARGEST_STRIDE or width % _LARGEST_STRIDE:
            raise SettingError(
                f'BlazePose takes images whose sides are multiples of {_LARGEST_STRIDE}, '
                f'got {width}x{height}'
            )
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            *finer, coarsest = self.encoder(images)
            merged, maps = self.laterals[0](coarsest), [coarsest]
            for lateral, features in zip(self.laterals[1:], reversed(finer)):
                merged = doubled(merged) + lateral(features)
                maps.insert(0, merged)
            return tuple(maps[index] for index in self.out_indices)

    def train(self, mode: bool = True) -> BlazePose:
        """As Module's; if frozen, all stays in evaluation mode, without gradients."""
        super().train(mode and not self.frozen)
        if self.frozen:
            self.requires_grad_(False)
        return self
