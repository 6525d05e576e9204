"""The network over time of Ogata et al., "Temporal Distance Matrices for Squat Classification".

N clips, C channels, T frames.
"""

from __future__ import annotations

from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from rpstn.errors import SettingError


def conv_bn(
    in_channels: int, channels: int, kernel_size: int, stride: int, relu: bool = True
) -> nn.Sequential:
    """Conv, BN and, unless told otherwise, ReLU; T frames become ceil(T / stride)."""
    # The BN behind it makes a bias of the convolution meaningless.
    conv = nn.Conv1d(in_channels, channels, kernel_size, stride, kernel_size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm1d(channels), *([nn.ReLU(inplace=True)] * relu))


class TemporalResidual(nn.Module):
    """Three convolutions, the first of stride 2, beside a strided 1x1 shortcut.

    The sum has no ReLU behind it (figure 8).

    Args:
        channels: C.
        kernel_size: of the three.
        dropout: share of channels that is dropped, over the whole clip, before the sum.
    """

    def __init__(self, channels: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(conv_bn(channels, channels, kernel_size, stride) for stride in (2, 1, 1))
        )
        self.shortcut = conv_bn(channels, channels, 1, 2, relu=False)
        self.dropout = nn.Dropout1d(dropout) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T) -> (N, C, ceil(T / 2))."""
        return self.dropout(self.layers(x)) + self.shortcut(x)


@MODELS.register_module()
class TemporalResNet1D(BaseModule):
    """Residual network over time; the defaults are figure 8 of the paper.

    conv[3, 2, 256] BN ReLU, then four residual layers of conv[3, 2, 256], conv[3, 1, 256],
    conv[3, 1, 256], each with BN and ReLU, and a shortcut conv[1, 2, 256] with BN: 300 frames
    become 150, 75, 38, 19, 10. With 171 input channels it has 2.8 M parameters.

    Args:
        in_channels: features of a frame, 171 for the distances of 19 joints.
        channels: width of every layer.
        num_layers: residual layers.
        kernel_size: of all convolutions but the shortcuts; odd.
        dropout: see :class:`TemporalResidual`; the paper has none.
        init_cfg: initialization, see MMEngine's BaseModule.
    """

    def __init__(
        self,
        in_channels: int = 171,
        channels: int = 256,
        num_layers: int = 4,
        kernel_size: int = 3,
        dropout: float = 0.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise SettingError(f'kernel_size must be odd, got {kernel_size}')
        self.in_channels, self.out_channels = in_channels, channels
        self.stem = conv_bn(in_channels, channels, kernel_size, 2)
        self.layers = nn.Sequential(
            *(TemporalResidual(channels, kernel_size, dropout) for _ in range(num_layers))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, in_channels, T) -> (N, channels, ceil(T / 2 ** (num_layers + 1)))."""
        return self.layers(self.stem(x))
