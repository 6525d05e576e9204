"""Running fast on a CPU."""

from __future__ import annotations

import copy
import ctypes
import sys
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

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


def fold_batch_norms(model: nn.Module) -> nn.Module:
    """Fold every batch norm that directly follows a convolution into it, in place.

    Covers transposed convolutions, too, which ``mmcv.cnn.fuse_conv_bn`` leaves; see
    :func:`convolutions_with_norms` for which are left.

    Args:
        model: in evaluation mode, and used for inference only from here on.

    Returns:
        The same model.
    """
    for parent, convolution, norm in list(convolutions_with_norms(model)):
        parent._modules[convolution] = _folded(parent, convolution, norm)
        parent._modules[norm] = nn.Identity()  # kept, as callers index and name it
    return model


def round_folded_weights(model: nn.Module, dtype: torch.dtype = torch.bfloat16) -> nn.Module:
    """Give convolutions weights that are exact in ``dtype`` once batch norms are folded, in place.

    What is then computed in that type differs from float32 by the rounding of activations alone.
    In evaluation batch norms become shifts; in training they do what they did.

    Args:
        model: in evaluation mode, batch norms not folded.
        dtype: of fewer digits than float32.

    Returns:
        The same model.
    """
    with torch.no_grad():
        for parent, name, norm_name in convolutions_with_norms(model):
            convolution, norm = parent._modules[name], parent._modules[norm_name]
            folded = _folded(parent, name, norm_name)
            convolution.weight.copy_(folded.weight)
            if convolution.bias is not None:
                convolution.bias.zero_()
            shift = folded.bias
            if norm.affine:  # its deviation becomes its scale: divided and multiplied by the same
                norm.weight.copy_(norm.weight.abs().clamp(min=(2 * norm.eps) ** 0.5))
                shift = shift - norm.bias
            norm.running_mean.copy_(-shift)
            norm.running_var.copy_(
                (norm.weight.square() if norm.affine else torch.ones_like(shift)) - norm.eps
            )
        for module in model.modules():
            if isinstance(module, nn.modules.conv._ConvNd):
                module.weight.copy_(module.weight.to(dtype))
    return model


def convolutions_with_norms(model: nn.Module) -> Iterator[tuple[nn.Module, str, str]]:
    """Convolutions that a batch norm directly follows, which can be folded into them.

    Follows the order of registration within each module, as ``mmcv.cnn.fuse_conv_bn`` does, and
    leaves out a module of MMCV's that norms before it convolves, a norm without statistics of its
    own, and one behind a transposed convolution in groups.

    Yields:
        The module that has both, the names of convolution and norm.
    """
    convolution = None
    order = getattr(model, 'order', ())  # of MMCV's ConvModule
    if 'conv' in order and 'norm' in order and order.index('norm') < order.index('conv'):
        return
    for name, child in model.named_children():
        if isinstance(child, (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)):
            convolution = name
            continue
        if not isinstance(child, nn.modules.batchnorm._BatchNorm) or convolution is None:
            yield from convolutions_with_norms(child)
        elif child.running_mean is not None and not (
            isinstance(model._modules[convolution], nn.ConvTranspose2d)
            and model._modules[convolution].groups > 1
        ):
            yield model, convolution, name
        convolution = None


def _folded(parent: nn.Module, convolution: str, norm: str) -> nn.Module:
    child = parent._modules[convolution]
    return fuse_conv_bn_eval(
        child, parent._modules[norm], transpose=isinstance(child, nn.ConvTranspose2d)
    )


def channels_last(model: nn.Module) -> nn.Module:
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
        model.to(memory_format=torch.channels_last)
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
            (1, *conv.kernel_size),
            (1, *conv.stride),
            (0, *conv.padding),
            (1, *conv.dilation),
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


def convolve_channels_last(model: nn.Module) -> nn.Module:
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


def for_inference(model: nn.Module) -> nn.Module:
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
        if hasattr(module, 'fold_for_inference'):
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
        self.packed = None

    def forward(self, x: Tensor) -> Tensor:
        if self.packed is None:  # the best layout depends on the input's size
            self.packed = torch.ops.mkldnn._reorder_convolution_weight(
                self.weight.to(self.dtype), *self.settings, x.shape
            )
            self.weight = None
        return torch.ops.mkldnn._convolution_pointwise(
            x.to(self.dtype), self.packed, self.bias, *self.settings, 'none', [], ''
        )


def pack_convolutions(model: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
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


def _packed(model: nn.Module, dtype: torch.dtype) -> nn.Module:
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
