"""The two image networks of RPSTN: frame encoder F and pose initializer P.

Dang, Yin, Zhang, IEEE TIP 31, 2022, figure 2: backbone and deconvolutions, as in Simple
Baselines (Xiao et al., ECCV 2018), of which P is one, whole, and F one without its last layer.

Shapes: B clips, T frames, K joints, C channels, (H, W) input pixels, (h, w) heatmap cells.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Protocol

import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor

from rpstn.errors import SettingError

from .pretrained import load_single_frame


def probe_backbone(backbone: torch.nn.Module, input_size: tuple[int, int]) -> tuple[int, int]:
    """Channels and stride of a backbone's last feature map, found by running it once.

    Args:
        backbone: takes (N, 3, H, W), returns a tensor or a sequence of them.
        input_size: (W, H) pixels.

    Returns:
        Channels, stride in pixels.

    Raises:
        SettingError: the map's sides are not the input's divided by one whole number.
    """
    training = backbone.training
    backbone.eval()  # batch statistics stay as they are
    width, height = input_size
    try:
        with torch.no_grad():
            out = backbone(torch.zeros(1, 3, height, width))
    except RuntimeError as error:  # e.g. HRNet cannot add up branches of odd sizes
        raise SettingError(
            f'{type(backbone).__name__} cannot take a {width}x{height} input '
            f'({error}): choose input sides that are multiples of 32'
        ) from error
    backbone.train(training)
    out = out[-1] if isinstance(out, (tuple, list)) else out
    channels, rows, columns = out.shape[1:]
    stride = height // rows
    if (rows * stride, columns * stride) != (height, width):
        raise SettingError(
            f'{type(backbone).__name__} makes a {columns}x{rows} map of a {width}x{height} input: '
            f'choose input sides that are multiples of {2 ** (max(stride, 1) - 1).bit_length()}'
        )
    return channels, stride


class ClipBackbone(Protocol):
    """What :class:`VideoPoseEstimator` asks of its backbone, as :class:`RPSTNBackbone` has it."""

    num_joints: int
    """K."""
    channels: int
    """C."""
    heatmap_stride: int
    """Input pixels per heatmap cell."""
    input_size: tuple[int, int]
    """(W, H) pixels."""

    @property
    def encoder(self) -> Callable[[Tensor], Tensor]:
        """F: features (N, C, h, w) of images (N, 3, H, W)."""

    def start(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, C, h, w) and heatmaps (N, K, h, w) of first frames (N, 3, H, W)."""

    def __call__(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, C, h, w) and the first frames' heatmaps (B, K, h, w) of clips."""


def encode_frames(backbone: ClipBackbone, clips: Tensor) -> Tensor:
    """Features (B, T, C, h, w) of clips (B, T, 3, H, W) by ``backbone.encoder``.

    Raises:
        SettingError: the input is not a batch of clips.
    """
    if clips.ndim != 5 or clips.shape[2] != 3:
        raise SettingError(
            f'{type(backbone).__name__} takes clips of shape (B, T, 3, H, W), got '
            f'{tuple(clips.shape)}'
        )
    # All frames in one batch: they depend on each other only in the head.
    return backbone.encoder(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])


@MODELS.register_module()
class FrameNetwork(BaseModule):
    """A backbone with MMPose's heatmap head behind it, applied to single frames.

    Its parameters are named as those of MMPose's ``TopdownPoseEstimator``, so the checkpoint of a
    single-frame model loads by ``init_cfg=dict(type='Pretrained', checkpoint=...)``.

    Args:
        backbone: any MMPose backbone; its last feature map is used.
        channels: C of the upsampled features.
        num_joints: K heatmaps behind the features; None returns the features.
        heatmap_stride: input pixels per heatmap cell; reached by stride-2 deconvolutions.
        input_size: (W, H) pixels.
        init_cfg: MMEngine weight initialization.
    """

    def __init__(
        self,
        backbone: dict,
        channels: int = 256,
        num_joints: int | None = None,
        heatmap_stride: int = 4,
        input_size: tuple[int, int] = (256, 256),
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.backbone = MODELS.build(backbone)
        in_channels, stride = probe_backbone(self.backbone, input_size)
        doublings = (stride // heatmap_stride).bit_length() - 1
        if stride != heatmap_stride * 2 ** max(doublings, 0):
            fits = [stride >> n for n in range(stride.bit_length()) if stride % (1 << n) == 0]
            width, height = input_size
            raise SettingError(
                f'{type(self.backbone).__name__} has stride {stride} on a {width}x{height} input, '
                f'from which heatmap_stride={heatmap_stride} is no number of doublings away: use '
                f'one of {fits}, or input sides that are multiples of '
                f'{2 ** (stride - 1).bit_length()}'
            )
        self.stride = stride
        upsample = dict(
            deconv_out_channels=(channels,) * doublings, deconv_kernel_sizes=(4,) * doublings
        )
        if doublings == 0 and num_joints is None and in_channels != channels:
            # A backbone of high resolution, e.g. HRNet; P stays as MMPose has it.
            upsample.update(conv_out_channels=(channels,), conv_kernel_sizes=(1,))
        self.head = MODELS.build(
            dict(
                type='HeatmapHead',
                in_channels=in_channels,
                out_channels=num_joints or channels,
                final_layer=None if num_joints is None else dict(kernel_size=1),
                **upsample,
            )
        )

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, C or K, h, w).

        Raises:
            SettingError: H or W is no multiple of the backbone's stride, so that h and w would not
                be theirs divided by ``heatmap_stride``.
        """
        height, width = images.shape[-2:]
        if height % self.stride or width % self.stride:
            raise SettingError(
                f'{type(self.backbone).__name__} takes images whose sides are '
                f'multiples of {self.stride}, got {width}x{height}'
            )
        out = self.backbone(images)
        return self.head.forward(out if isinstance(out, (tuple, list)) else (out,))


@MODELS.register_module()
class RPSTNBackbone(BaseModule):
    """Features of every frame of a clip, and heatmaps of its first.

    Args:
        encoder: MMPose backbone config of F.
        num_joints: K.
        initializer: MMPose backbone config of P. Defaults to the encoder's.
        channels: C. Defaults to 256.
        heatmap_stride: input pixels per heatmap cell. Defaults to 4.
        input_size: (W, H) pixels. Defaults to (256, 256).
        encoder_init, initializer_init: ``init_cfg`` of the whole networks F and
            P, e.g. ``dict(type='Pretrained', checkpoint='single_frame.pth')``.
        pretrained: checkpoint of a single-frame model of other joints, e.g.
            of ``configs/pretrain_mpii.py``, whose backbone and deconvolutions both P and F start
            from; it must fit. ``dict(checkpoint=..., joints='penn13')`` takes the last layer's
            rows of joints of the same name for P, too (:func:`load_single_frame`).
        init_cfg: MMEngine weight initialization.

    Raises:
        SettingError: ``pretrained`` comes with one of the other two; ``init_weights``: it does not
            fit.
    """

    def __init__(
        self,
        encoder: dict,
        num_joints: int,
        initializer: dict | None = None,
        channels: int = 256,
        heatmap_stride: int = 4,
        input_size: tuple[int, int] = (256, 256),
        encoder_init: dict | None = None,
        initializer_init: dict | None = None,
        pretrained: str | dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if pretrained is not None:
            if encoder_init is not None or initializer_init is not None:
                raise SettingError(
                    'pretrained stands for both encoder_init and initializer_init: '
                    'give it, or these'
                )
            # All of their weights come from there; ImageNet's need not be read, or downloaded.
            encoder = {**encoder, 'init_cfg': None}
            initializer = initializer and {**initializer, 'init_cfg': None}
        self.pretrained = pretrained
        self.num_joints = num_joints
        self.channels = channels
        self.heatmap_stride = heatmap_stride
        self.input_size = (input_size[0], input_size[1])
        common: dict[str, Any] = dict(
            channels=channels, heatmap_stride=heatmap_stride, input_size=input_size
        )
        self.encoder = FrameNetwork(encoder, init_cfg=encoder_init, **common)
        self.initializer = FrameNetwork(
            copy.deepcopy(initializer or encoder),
            num_joints=num_joints,
            init_cfg=initializer_init,
            **common,
        )

    def init_weights(self) -> None:
        """As MMEngine's; then the weights of ``pretrained``."""
        super().init_weights()
        if self.pretrained is not None:
            given = (
                dict(checkpoint=self.pretrained)
                if isinstance(self.pretrained, str)
                else self.pretrained
            )
            load_single_frame(dict(P=self.initializer, F=self.encoder), **given)

    def start(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, C, h, w) and heatmaps (N, K, h, w) of first frames (N, 3, H, W)."""
        return self.encoder(images), self.initializer(images)

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Encode clips (B, T, 3, H, W).

        Returns:
            Features (B, T, C, h, w) and the first frames' heatmaps
            (B, K, h, w).

        Raises:
            SettingError: the input is not a batch of clips.
        """
        return encode_frames(self, clips), self.initializer(clips[:, 0])
