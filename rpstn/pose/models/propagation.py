"""Joint relation guided pose semantics propagator (JRPSP): last frame's pose finds the next.

Dang, Yin, Zhang, IEEE TIP 31, 2022, figures 2 and 5. https://arxiv.org/abs/2107.03591

The authors' released code norms more than the paper says; ``norms='shared'`` is what it does.

Shapes: B clips, K joints, C channels, (h, w) heatmap cells, (kh, kw) dynamic kernel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn.utils import skip_init

from rpstn.errors import SettingError

NORMS = ('paper', 'shared')


def dynamic_depthwise_conv(features: Tensor, kernels: Tensor) -> Tensor:
    """Filter every channel of every sample with a kernel of its own, keeping the size.

    Args:
        features: (B, C, h, w).
        kernels: (B, C, kh, kw), kh and kw odd.

    Returns:
        (B, C, h, w), cross-correlation with zero padding.
    """
    if torch.onnx.is_in_onnx_export():
        return torch.ops.rpstn.dynamic_depthwise_conv(features, kernels)
    return _convolve(features, kernels)


@torch.library.custom_op('rpstn::dynamic_depthwise_conv', mutates_args=())
def _convolve_as_one_operator(features: Tensor, kernels: Tensor) -> Tensor:
    """The same as one operator, so that a trace for export has one node of it."""
    return _convolve(features, kernels)


def _convolve(features: Tensor, kernels: Tensor) -> Tensor:
    batch, channels, height, width = features.shape
    padding = tuple(side // 2 for side in kernels.shape[2:])
    if features.device.type == 'cpu':
        # Sample by sample, float32, channels-last: the CPU's depthwise kernels are many times
        # faster so than as one grouped convolution over the batch.
        dtype = torch.promote_types(features.dtype, torch.float32)
        with torch.autocast('cpu', enabled=False):
            return torch.cat(
                [
                    F.conv2d(
                        frame[None].to(dtype, memory_format=torch.channels_last),
                        kernel[:, None].to(dtype, memory_format=torch.channels_last),
                        padding=padding,
                        groups=channels,
                    )
                    for frame, kernel in zip(features, kernels)
                ]
            ).to(features.dtype)
    # One grouped convolution for the whole batch: a group is one channel of one sample.
    out = F.conv2d(
        features.reshape(1, batch * channels, height, width),
        kernels.reshape(batch * channels, 1, *kernels.shape[2:]),
        padding=padding,
        groups=batch * channels,
    )
    return out.view(batch, channels, height, width)


class Propagator(BaseModule):
    """From frame t to frame t + 1: what :class:`RPSTNHead` asks of its ``propagator``.

    A propagator answers ``forward(heatmaps, features, next_features)``, as :class:`JRPSP` does.

    Args:
        num_joints: K.
        channels: C, of the frame features.
        init_cfg: MMEngine weight initialization.
    """

    def __init__(self, num_joints: int, channels: int, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.num_joints = num_joints
        self.channels = channels

    def embed(self, features: Tensor) -> Tensor:
        """What is carried of F(I_t), (B, C, h, w), of frames after the first; here F(I_t)."""
        return features

    def check_heatmap_size(self, heatmap_size: tuple[int, int]) -> None:
        """Raise a ValueError if maps of this size, in cells, cannot be propagated."""

    def check_channels(self, *inputs: Tensor) -> None:
        """Raise a ValueError if (heatmaps, features, next features) are not of K, C, C."""
        wanted = (self.num_joints, self.channels, self.channels)
        got = tuple(tensor.shape[1] for tensor in inputs)
        if wanted != got:
            raise SettingError(
                f'{type(self).__name__} takes (heatmaps, features, next features) of '
                f'{wanted} channels, got {got}'
            )


class ReducedConv(nn.Module):
    """Conv_a and a convolution behind it as one: of features and heatmaps, each by itself.

    So the two need not be concatenated, nor share a range of 8-bit integers.

    Args:
        reduce: Conv_a, 1x1 from C + K channels to C.
        conv: from C channels to D, without padding.
    """

    of_features: nn.Conv2d
    of_heatmaps: nn.Conv2d

    def __init__(self, reduce: nn.Conv2d, conv: nn.Conv2d) -> None:
        super().__init__()
        channels = conv.in_channels
        self.channels = (channels, reduce.in_channels - channels)
        options = dict(stride=conv.stride, device=conv.weight.device, dtype=conv.weight.dtype)
        self.of_features, self.of_heatmaps = (
            skip_init(nn.Conv2d, inputs, conv.out_channels, conv.kernel_size, bias=bias, **options)
            for inputs, bias in zip(self.channels, (True, False))
        )
        with torch.no_grad():
            first, then = reduce.weight[:, :, 0, 0].double(), conv.weight.double()
            weight = torch.einsum('dcij,ce->deij', then, first)
            self.of_features.weight.copy_(weight[:, :channels])
            self.of_heatmaps.weight.copy_(weight[:, channels:])
            bias = then.sum((2, 3)) @ reduce.get_parameter('bias').double()
            self.of_features.get_parameter('bias').copy_(conv.get_parameter('bias') + bias)

    def forward(self, maps: tuple[Tensor, Tensor] | Tensor) -> Tensor:
        """Features (B, C, h, w) and heatmaps (B, K, h, w), or both in one -> (B, D, h', w')."""
        features, heatmaps = maps.split(self.channels, 1) if isinstance(maps, Tensor) else maps
        return self.of_features(features) + self.of_heatmaps(heatmaps)


@MODELS.register_module()
class JRPSP(Propagator):
    """Propagate pose semantics from frame t to frame t + 1.

    X = Conv_a([f_t, M'_t]); kernel = S(X); M_{t+1} = Conv_d(kernel (*) f_{t+1}), where S shrinks
    the map to one small kernel per channel (3x3 convolutions and poolings) and (*) is the dynamic
    depthwise convolution.

    As released: f_t = N(V(F(I_t))) for t > 1, X = N(Conv_a([f_t, M'_t])), with a 1x1 convolution V
    and one batch norm N in both places; in the variant for JHMDB also M_{t+1} = Conv_d(N(kernel
    (*) f_{t+1})). The first frame's features are F(I_1), as they are.

    Args:
        num_joints: K.
        channels: C, of the frame features. Defaults to 256, the paper's.
        norms: ``'paper'``, only those inside S, or ``'shared'``, V and N as released.
        norm_filtered: N on what the dynamic convolution answers, too; with
            ``norms='shared'`` only. Defaults to False.
        kernel_channels: of Conv_a's map and inside S, whose last convolution answers C. Defaults to
            C, the paper's.
        init_cfg: MMEngine weight initialization.

    Raises:
        SettingError: other norms, or ``norm_filtered`` or ``kernel_channels`` that do not fit them.
    """

    norm: nn.BatchNorm2d | nn.Identity
    project: nn.Conv2d | nn.Identity
    reduce: nn.Conv2d | nn.Identity

    def __init__(
        self,
        num_joints: int,
        channels: int = 256,
        norms: str = 'paper',
        norm_filtered: bool = False,
        kernel_channels: int | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(num_joints, channels, init_cfg)
        width = kernel_channels or channels
        if norms not in NORMS:
            raise SettingError(f'JRPSP: norms must be one of {NORMS}, got {norms!r}')
        if norm_filtered and norms != 'shared':
            raise SettingError(f"JRPSP: norm_filtered=True needs norms='shared', got {norms!r}")
        if norms == 'shared' and width != channels:
            raise SettingError(
                f"JRPSP: kernel_channels={width} must be channels={channels} with norms='shared', "
                'whose one norm follows both'
            )
        self.norm_filtered = norm_filtered
        shared = norms == 'shared'
        # First, before all convolutions: it follows several, so it cannot be folded into one.
        self.norm = nn.BatchNorm2d(channels) if shared else nn.Identity()
        self.project = nn.Conv2d(channels, channels, 1) if shared else nn.Identity()
        self.reduce = nn.Conv2d(channels + num_joints, width, 1)
        self.kernel = nn.Sequential(
            *self._block(width, width, padding=0),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            *self._block(width, width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            *self._block(width, width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            *self._block(width, channels),
        )
        self.predict = nn.Conv2d(channels, num_joints, 1)

    @staticmethod
    def _block(inputs: int, outputs: int, padding: int = 1) -> tuple[nn.Module, nn.Module]:
        return nn.Conv2d(inputs, outputs, 3, padding=padding), nn.BatchNorm2d(outputs)

    @staticmethod
    def kernel_size(heatmap_size: tuple[int, int]) -> tuple[int, int]:
        """Size of the dynamic kernel that S makes of a map, e.g. (64, 64) -> (7, 7).

        Args:
            heatmap_size: two sides in cells, in any order.

        Raises:
            SettingError: a side gives an even or empty kernel, which has no centre.
        """
        # One unpadded 3x3 convolution takes 2 cells, three poolings halve, rounding down.
        first, second = ((side - 2) // 8 for side in heatmap_size)
        for side, size in zip(heatmap_size, (first, second)):
            if size < 1 or size % 2 == 0:
                fits = ', '.join(f'{8 * k + 2} to {8 * k + 9}' for k in (1, 3, 5, 7, 9, 11, 13))
                raise SettingError(
                    f'JRPSP makes a kernel of {size} from a heatmap side of {side} cells; it must '
                    f'be odd. Sides that fit: {fits}, and so on (8k + 2 to 8k + 9, k odd); with '
                    f'heatmaps of a quarter of the input, e.g. inputs of 128, 192, 256 or 320'
                )
        return first, second

    def check_heatmap_size(self, heatmap_size: tuple[int, int]) -> None:
        """Raise a ValueError if S makes no valid kernel of a map of this size."""
        self.kernel_size(heatmap_size)

    def embed(self, features: Tensor) -> Tensor:
        """f_t of F(I_t), both (B, C, h, w), for frames after the first: the same in the paper."""
        return self.norm(self.project(features))

    def forward(self, heatmaps: Tensor, features: Tensor, next_features: Tensor) -> Tensor:
        """Heatmaps of the next frame.

        Args:
            heatmaps: M'_t, (B, K, h, w).
            features: f_t, (B, C, h, w).
            next_features: f_{t+1} = ``embed(F(I_{t+1}))``, (B, C, h, w).

        Returns:
            M_{t+1}, (B, K, h, w), before relation and norm.

        Raises:
            SettingError: K, C or (h, w) do not fit.
        """
        self.check_channels(heatmaps, features, next_features)
        filtered = dynamic_depthwise_conv(next_features, self.kernels(heatmaps, features))
        return self.predict(self.norm(filtered) if self.norm_filtered else filtered)

    def kernels(self, heatmaps: Tensor, features: Tensor) -> Tensor:
        """S(X) (B, C, kh, kw) of M'_t (B, K, h, w) and f_t (B, C, h, w).

        Raises:
            SettingError: S makes no valid kernel of (h, w).
        """
        height, width = features.shape[-2:]
        self.kernel_size((height, width))
        if isinstance(self.kernel[0], ReducedConv):
            return self.kernel((features, heatmaps))
        return self.kernel(self.norm(self.reduce(torch.cat([features, heatmaps], dim=1))))

    def fold_for_inference(self) -> None:
        """Make Conv_a a part of S's first convolution, in place.

        Nothing lies between the two, and the latter pads nothing, so that it is exact. All stays
        as it is with a norm between them, as released, and where it saves no multiply-adds: a 3x3
        convolution over C + K maps is to take fewer than Conv_a and one over Conv_a's maps.
        """
        reduce, first = self.reduce, self.kernel[0]
        if (
            isinstance(self.norm, nn.Identity)
            and isinstance(reduce, nn.Conv2d)
            and isinstance(first, nn.Conv2d)
            and 9 * first.in_channels > 8 * reduce.in_channels
        ):
            self.kernel[0] = ReducedConv(reduce, first)
            self.reduce = nn.Identity()
