"""BlazePose's person detector: where people are, how large, and which way up.

Bazarevsky et al., BlazePose, CVPR Workshops 2020, https://arxiv.org/abs/2006.10204, in the form
that MediaPipe 0.10 releases (Apache-2.0): a single-shot detector (Liu et al., SSD, ECCV 2016) whose
encoder is EfficientNet-Lite0's but for its last projection. :mod:`.blazepose_detection` decodes its
answers.

Shapes: N images, A = 2254 anchors (28x28x2 of stride 8, 14x14x2 of 16, 7x7x6 of 32).
"""

from __future__ import annotations

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from rpstn.errors import SettingError

from .blazepose import RELU6, BlazePoseEncoder, SeparableResidual, doubled

DETECTOR_SIZE = 224
STRIDES = (8, 16, 32)
ANCHORS = (2, 2, 6)
"""In each cell of each stride."""
NUM_VALUES = 12
_WIDTHS = (24, 40, 80, 112, 192)
_FUSED = (96, 192)


class Fusion(nn.Module):
    """A map of half the resolution, doubled, and a finer one; their sum, through two blocks.

    Args:
        coarse: channels of the coarser map.
        fine: of the finer one.
        channels: of the result.
    """

    def __init__(self, coarse: int, fine: int, channels: int) -> None:
        super().__init__()
        self.reduce = ConvModule(coarse, channels, 1, act_cfg=RELU6)
        self.lateral = DepthwiseSeparableConvModule(
            fine, channels, 3, padding=1, dw_act_cfg=None, pw_act_cfg=RELU6
        )
        self.blocks = nn.Sequential(
            *(SeparableResidual(channels, activate=False) for _ in range(2))
        )

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(N, coarse, h, w), (N, fine, 2h, 2w) -> (N, channels, 2h, 2w)."""
        return self.blocks(self.lateral(fine) + self.reduce(doubled(coarse)))


class AnchorHead(nn.Module):
    """Scores and values of all anchors of one map's cells.

    Args:
        channels: of the map.
        anchors: in each of its cells.
    """

    def __init__(self, channels: int, anchors: int) -> None:
        super().__init__()
        common = dict(kernel_size=3, stride=2, padding=1, act_cfg=None)
        self.classifier = DepthwiseSeparableConvModule(channels // 4, anchors, **common)
        self.regressor = DepthwiseSeparableConvModule(channels // 4, anchors * NUM_VALUES, **common)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, h, w) -> (N, h * w * anchors), (N, h * w * anchors, 12), cell by cell."""
        spread = depth_to_space(features)
        scores, values = self.classifier(spread), self.regressor(spread)
        return (
            scores.permute(0, 2, 3, 1).flatten(1),
            values.permute(0, 2, 3, 1).reshape(len(values), -1, NUM_VALUES),
        )


def depth_to_space(features: Tensor) -> Tensor:
    """(N, 4C, h, w) -> (N, C, 2h, 2w), as TensorFlow has it: the quarters of the channels are the
    four pixels of each cell (PyTorch's ``pixel_shuffle`` takes four neighbouring channels).
    """
    n, channels, height, width = features.shape
    quarters = features.view(n, 2, 2, channels // 4, height, width)
    return quarters.permute(0, 3, 4, 1, 5, 2).reshape(n, channels // 4, 2 * height, 2 * width)


@MODELS.register_module()
class BlazePoseDetector(BaseModule):
    """Scores of people, their boxes and alignment points, for each anchor.

    Images are RGB in [-1, 1], 224x224.

    Args:
        init_cfg: MMEngine weight initialization, e.g. ``dict(type='Pretrained', checkpoint=...)``
            of converted weights (:func:`.blazepose_weights.detector_weights`).
    """

    def __init__(self, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.encoder = BlazePoseEncoder(_WIDTHS)
        _, fine, middle, coarse = self.encoder.channels
        self.fusions = nn.ModuleList(  # coarse to fine
            (Fusion(coarse, middle, _FUSED[1]), Fusion(_FUSED[1], fine, _FUSED[0]))
        )
        self.heads = nn.ModuleList(  # fine to coarse
            AnchorHead(channels, anchors) for channels, anchors in zip((*_FUSED, coarse), ANCHORS)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, 224, 224) -> logits of the scores (N, A), values (N, A, 12).

        The values are the box's centre x and y, width and height, and x and y of four points, in
        pixels; x and y are offsets from the anchor's. The points: the hips' centre, a point on the
        circle about the whole body, upwards, the shoulders' centre, one on that about the upper
        body.

        Raises:
            SettingError: images of another size.
        """
        if tuple(images.shape[1:]) != (3, DETECTOR_SIZE, DETECTOR_SIZE):
            raise SettingError(
                f'BlazePoseDetector takes images of shape (N, 3, {DETECTOR_SIZE}, '
                f'{DETECTOR_SIZE}), got {tuple(images.shape)}'
            )
        _, fine, middle, coarse = self.encoder(images)
        fused = self.fusions[0](coarse, middle)
        maps = (self.fusions[1](fused, fine), fused, coarse)
        scores, values = zip(*(head(features) for head, features in zip(self.heads, maps)))
        return torch.cat(scores, 1), torch.cat(values, 1)
