"""Running fast on a CPU."""

from __future__ import annotations

import copy
import ctypes
import sys
from collections.abc import Iterator
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.fusion import fuse_conv_bn_eval

ModuleT = TypeVar('ModuleT', bound=nn.Module)
Convolution = nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let the C library keep freed memory for the next tensor.

    By default glibc gives every freed tensor of some megabytes back to the system, and the next
    one of the same size pays for fresh, zeroed pages: up to a fifth of a convolution network's
    time. The process keeps its peak memory in return.

    Returns:
        Whether it could be set (Linux with glibc).
    """
    if not sys.platform.startswith('linux'):
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:  # musl
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGE)) and bool(mallopt(_M_TRIM_THRESHOLD, _LARGE))


class NormedConvolution(NamedTuple):
    """A convolution that a batch norm directly follows, and what both are called."""

    parent: nn.Module
    """The module that has both."""
    name: str
    convolution: Convolution
    norm_name: str
    norm: _BatchNorm

    def folded(self) -> _ConvNd:
        """Both in one convolution."""
        transposed = isinstance(self.convolution, nn.ConvTranspose2d)
        return fuse_conv_bn_eval(self.convolution, self.norm, transpose=transposed)


@runtime_checkable
class Foldable(Protocol):
    """A module that folds what it knows of itself, see :func:`for_inference`."""

    def fold_for_inference(self) -> None:
        """Make several layers one, in place, which answers the same."""


def fold_batch_norms(model: ModuleT) -> ModuleT:
    """Fold every batch norm that directly follows a convolution into it, in place.

    Covers transposed convolutions, too, which ``mmcv.cnn.fuse_conv_bn`` leaves; see
    :func:`convolutions_with_norms` for which are left.

    Args:
        model: in evaluation mode, and used for inference only from here on.

    Returns:
        The same model.
    """
    for found in list(convolutions_with_norms(model)):
        found.parent._modules[found.name] = found.folded()
        found.parent._modules[found.norm_name] = nn.Identity()  # kept: callers index and name it
    return model


def convolutions_with_norms(model: nn.Module) -> Iterator[NormedConvolution]:
    """Convolutions that a batch norm directly follows, which can be folded into them.

    Follows the order of registration within each module, as ``mmcv.cnn.fuse_conv_bn`` does, and
    leaves out a module of MMCV's that norms before it convolves, a norm without statistics of its
    own, and one behind a transposed convolution in groups.
    """
    convolution: Convolution | None = None
    convolution_name = ''
    order = getattr(model, 'order', ())  # of MMCV's ConvModule
    if 'conv' in order and 'norm' in order and order.index('norm') < order.index('conv'):
        return
    for name, child in model.named_children():
        if isinstance(child, Convolution):
            convolution, convolution_name = child, name
            continue
        if not isinstance(child, _BatchNorm) or convolution is None:
            yield from convolutions_with_norms(child)
        elif child.running_mean is not None and not (
            isinstance(convolution, nn.ConvTranspose2d) and convolution.groups > 1
        ):
            yield NormedConvolution(model, convolution_name, convolution, name, child)
        convolution = None


def channels_last(model: ModuleT) -> ModuleT:
    """Lay convolution weights out channels-last, in place, where that is safe.

    Two-dimensional convolutions run up to twice as fast so. A model with a 3D convolution stays
    as it is, for which there is no such layout, and so does one in which torch 2.13 crashes on a
    CPU: in the backward pass of a strided 1x1 convolution of less than 16 input channels.
    """

    def safe(module: nn.Module) -> bool:
        if isinstance(module, nn.Conv2d):
            return (
                module.in_channels >= 16
                or set(module.kernel_size) != {1}
                or set(module.stride) == {1}
            )
        return not isinstance(module, (nn.Conv3d, nn.ConvTranspose3d))

    if all(safe(module) for module in model.modules()):
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stubs
    return model


class ChannelsLastConv1d(nn.Module):
    """A convolution over time whose frames, rather than channels, are contiguous in memory.

    For one short clip torch's own layout ends in a slow kernel; there is no channels-last for
    three dimensions, so this is a 2D convolution of height 1. (N, C, T) -> (N, C', T').

    Args:
        conv: with zero padding, whose weights it takes.
    """

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            conv.in_channels,
            conv.out_channels,
            (1, conv.kernel_size[0]),
            (1, conv.stride[0]),
            conv.padding if isinstance(conv.padding, str) else (0, conv.padding[0]),
            (1, conv.dilation[0]),
            conv.groups,
            conv.bias is not None,
        )
        self.conv.load_state_dict(
            {
                name: value[:, :, None] if name == 'weight' else value
                for name, value in conv.state_dict().items()
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return self.conv(x).squeeze(2)


def convolve_channels_last(model: ModuleT) -> ModuleT:
    """Replace every Conv1d with zero padding by :class:`ChannelsLastConv1d`, in place."""
    for name, child in model.named_children():
        if (
            type(child) is nn.Conv1d
            and child.padding_mode == 'zeros'
            and not isinstance(child.padding, str)
        ):
            model._modules[name] = ChannelsLastConv1d(child)
        else:
            convolve_channels_last(child)
    return model


def for_inference(model: ModuleT) -> ModuleT:
    """A copy of a model that answers the same, faster: layers folded into others, channels-last.

    Besides batch norms that follow a convolution, modules fold what they know of themselves, by a
    method ``fold_for_inference``, such as :meth:`rpstn.pose.JRPSP.fold_for_inference`.

    Args:
        model: any MMPose estimator or MMAction2 recognizer.

    Returns:
        In evaluation mode, without gradients.
    """
    model = fold_batch_norms(copy.deepcopy(model).eval())
    for module in model.modules():
        if isinstance(module, Foldable):
            module.fold_for_inference()
    return channels_last(convolve_channels_last(model)).requires_grad_(False)


def has_bfloat16() -> bool:
    """Whether PyTorch has fast kernels of bfloat16 for this processor: on x86 from AVX-512 on.

    With AVX2 alone a 3x3 convolution was seen to take a hundred times as long as in float32.
    """
    supported = getattr(torch.ops.mkldnn, '_is_mkldnn_bf16_supported', None)
    return supported is not None and supported()


class PackedConv(nn.Module):
    """A convolution whose weights lie as oneDNN wants them, not to be rearranged in every call.

    Args:
        conv: with zero padding.
        dtype: of the computation, and of what it answers.
    """

    def __init__(self, conv: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.bias = None if conv.bias is None else conv.bias.detach().to(dtype)
        self.weight = conv.weight.detach()
        self.settings = conv.padding, conv.stride, conv.dilation, conv.groups
        self.packed = False

    def forward(self, x: Tensor) -> Tensor:
        if not self.packed:  # the best layout depends on the input's size
            self.weight = torch.ops.mkldnn._reorder_convolution_weight(
                self.weight.to(self.dtype), *self.settings, x.shape
            )
            self.packed = True
        return torch.ops.mkldnn._convolution_pointwise(
            x.to(self.dtype), self.weight, self.bias, *self.settings, 'none', [], ''
        )


def pack_convolutions(model: ModuleT, dtype: torch.dtype = torch.float32) -> ModuleT:
    """A copy of a model on the CPU, faster where few images are computed at a time.

    It shares other weights with the model, and can neither be saved nor exported.

    Args:
        model: as :func:`for_inference` gives it.
        dtype: float32, or bfloat16 where the computation is autocast to it.

    Returns:
        With a :class:`PackedConv` for every plain convolution; the model itself where
        torch has no oneDNN, or the processor no bfloat16.
    """
    if not hasattr(torch.ops.mkldnn, '_reorder_convolution_weight') or (
        dtype == torch.bfloat16 and not has_bfloat16()
    ):
        return model
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return _packed(copy.deepcopy(model, shared), dtype)


def _packed(model: ModuleT, dtype: torch.dtype) -> ModuleT:
    for name, child in model.named_children():
        if (
            type(child) is nn.Conv2d
            and child.groups == 1
            and child.padding_mode == 'zeros'
            and not isinstance(child.padding, str)
        ):
            model._modules[name] = PackedConv(child, dtype)
        else:
            _packed(child, dtype)
    return model
