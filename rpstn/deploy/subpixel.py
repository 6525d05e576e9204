"""Transposed convolutions as plain ones, which engines have faster kernels for.

Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
Convolutional Neural Network", CVPR 2016, figure 2, the other way round: a transposed convolution
of stride 2 and kernel 4 is four 2x2 convolutions, one for each place of an output cell in its
input cell, with the same number of multiply-adds but for the border.

Shapes: N maps, C channels in, D channels out, (h, w) cells.
"""

from __future__ import annotations

from typing import Any, TypeGuard, TypeVar

import torch
from torch import Tensor, nn

ModuleT = TypeVar('ModuleT', bound=nn.Module)
# Output cell 2m + a draws on input cells m - 1 + a and m + a, by these taps of the kernel; a = 1
# first, see SubpixelDeconv.forward.
_TAPS = torch.tensor([[2, 0], [3, 1]])
_DOUBLING = dict(
    kernel_size=(4, 4),
    stride=(2, 2),
    padding=(1, 1),
    output_padding=(0, 0),
    dilation=(1, 1),
    groups=1,
)


class DepthToSpace(torch.autograd.Function):
    """(N, 4D, h, w), place in the cell before channel, to (N, D, 2h, 2w): one operator of ONNX."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        batch, channels, height, width = maps.shape
        phases = maps.reshape(batch, 2, 2, channels // 4, height, width)
        return phases.permute(0, 3, 4, 1, 5, 2).reshape(batch, -1, 2 * height, 2 * width)

    @staticmethod
    def symbolic(graph: Any, maps: Any) -> Any:
        return graph.op('DepthToSpace', maps, blocksize_i=2, mode_s='DCR')


class SubpixelDeconv(nn.Module):
    """A transposed convolution of kernel 4, stride 2 and padding 1: (N, C, h, w) -> (N, D, 2h, 2w).

    Args:
        deconv: whose weights it takes; see :func:`is_doubling`.
        relu: that ReLU follows, which is cheaper before the cells are interleaved.
    """

    def __init__(self, deconv: nn.ConvTranspose2d, relu: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            deconv.in_channels, 4 * deconv.out_channels, 2, padding=1, bias=deconv.bias is not None
        )
        self.activate = nn.ReLU() if relu else nn.Identity()
        with torch.no_grad():
            # (C, D, 4, 4) -> (C, D, a, i, b, j), then (a, b, D) outputs of (C, i, j).
            weight = deconv.weight[:, :, _TAPS][..., _TAPS]
            self.conv.weight.copy_(weight.permute(2, 4, 1, 0, 3, 5).flatten(0, 2))
            if deconv.bias is not None and self.conv.bias is not None:
                self.conv.bias.copy_(deconv.bias.repeat(4))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, D, 2h, 2w)."""
        # Of h + 1 by w + 1 cells, place (a, b) begins at cell (a, b). With place 1 before place 0
        # the interleaved cells are in their order already, within a margin of 1.
        return DepthToSpace.apply(self.activate(self.conv(maps)))[..., 1:-1, 1:-1]


def is_doubling(module: nn.Module) -> TypeGuard[nn.ConvTranspose2d]:
    """Whether this is a transposed convolution that :class:`SubpixelDeconv` can replace."""
    return isinstance(module, nn.ConvTranspose2d) and all(
        getattr(module, name) == value for name, value in _DOUBLING.items()
    )


def with_subpixels(model: ModuleT) -> ModuleT:
    """Replace every transposed convolution of kernel 4 and stride 2, in place.

    Args:
        model: in evaluation mode, its batch norms folded.
    """
    children = list(model.named_children())
    for place, (name, child) in enumerate(children):
        if not is_doubling(child):
            with_subpixels(child)
            continue
        # In a sequence the next module is what follows; folded batch norms have left identities.
        following = (item for item in children[place + 1 :] if type(item[1]) is not nn.Identity)
        after, activation = next(following, ('', None))
        relu = isinstance(model, nn.Sequential) and type(activation) is nn.ReLU
        model._modules[name] = SubpixelDeconv(child, relu)
        if relu:
            model._modules[after] = nn.Identity()
    return model
