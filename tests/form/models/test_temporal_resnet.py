"""The network over time: figure 8 layer by layer, its formula written out, and its options."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from mmaction.registry import MODELS
from torch import nn
from torch.autograd import gradcheck

from rpstn.form.models.head import TemporalHead
from rpstn.form.models.temporal_resnet import TemporalResidual, TemporalResNet1D


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def lively(module: nn.Module, seed: int = 0) -> nn.Module:
    """Norms with weights and statistics of their own, so that none can be left out unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm1d):
            for values in (norm.weight.data, norm.running_var):
                values.copy_(0.5 + torch.rand(values.shape, generator=generator))
            for values in (norm.bias.data, norm.running_mean):
                values.copy_(torch.randn(values.shape, generator=generator))
    return module


def test_figure_8():
    """conv[3, 2, 256], four times conv[3, 2, 256] and twice conv[3, 1, 256]; 300 to 10 frames."""
    network, rows, frames = TemporalResNet1D(), [], []

    def look(module, inputs, output):
        if isinstance(module, nn.Conv1d):
            rows.append((*module.kernel_size, *module.stride, module.out_channels))
        frames.append(output.shape[2])

    for module in network.modules():
        if isinstance(module, nn.Conv1d):
            module.register_forward_hook(look)
    with torch.no_grad():
        got = network.eval()(torch.randn(1, 171, 300))
    assert got.shape == (1, 256, 10)
    assert rows == [(3, 2, 256), *4 * [(3, 2, 256), (3, 1, 256), (3, 1, 256), (1, 2, 256)]]
    assert frames == [150, *4 * [75], *4 * [38], *4 * [19], *4 * [10]]


def test_every_convolution_has_a_norm_and_all_but_the_shortcuts_a_relu():
    kinds = [type(m).__name__ for m in TemporalResNet1D().modules() if not list(m.children())]
    block = ['Conv1d', 'BatchNorm1d', 'ReLU']
    assert kinds == [*block, *4 * [*block, *block, *block, 'Conv1d', 'BatchNorm1d', 'Identity']]


def test_parameters_are_those_of_the_figure():
    """Counted from it: convolutions without bias, as a norm follows, but for the last one."""
    stem = 3 * 171 * 256 + 2 * 256
    layer = 3 * (3 * 256 * 256 + 2 * 256) + (256 * 256 + 2 * 256)
    network, head = TemporalResNet1D(), TemporalHead(num_classes=7)
    assert sum(p.numel() for p in network.parameters()) == stem + 4 * layer
    total = sum(p.numel() for module in (network, head) for p in module.parameters())
    assert total == stem + 4 * layer + 256 * 7 + 7 == 2_763_271  # "about 2.8 M"


@pytest.mark.parametrize('kernel_size', [1, 3, 5])
def test_the_formula_written_out(kernel_size):
    network = lively(TemporalResNet1D(6, 8, num_layers=2, kernel_size=kernel_size)).eval()
    weights = iter(network.parameters())
    norms = iter(m for m in network.modules() if isinstance(m, nn.BatchNorm1d))

    def conv_bn(x, stride):
        weight, scale, shift = next(weights), next(weights), next(weights)
        norm = next(norms)
        x = F.conv1d(x, weight, stride=stride, padding=weight.shape[2] // 2)
        x = (x - norm.running_mean[:, None]) / (norm.running_var[:, None] + norm.eps).sqrt()
        return x * scale[:, None] + shift[:, None]

    x = torch.randn(3, 6, 37)
    with torch.no_grad():
        got = network(x)
        x = conv_bn(x, 2).relu()
        for _ in range(2):
            y = x
            for stride in (2, 1, 1):
                y = conv_bn(y, stride).relu()
            x = y + conv_bn(x, 2)
    torch.testing.assert_close(got, x, rtol=1e-4, atol=1e-5)
    assert (got < 0).float().mean() > 0.1  # no ReLU behind the sum
    assert next(weights, None) is None and next(norms, None) is None


@given(st.integers(1, 80), st.integers(0, 4), st.sampled_from([1, 3, 7]))
@settings(max_examples=30, deadline=None)
def test_any_number_of_frames_is_halved_and_rounded_up(frames, num_layers, kernel_size):
    network = TemporalResNet1D(3, 4, num_layers, kernel_size).eval()
    expected = frames
    for _ in range(num_layers + 1):
        expected = -(-expected // 2)
    assert network(torch.randn(2, 3, frames)).shape == (2, 4, expected)


def test_a_frame_sees_as_far_as_kernels_reach():
    """Widths of the stem and of a layer, summed by hand: 3, then 3 + 2 * (2 + 2 * (2 + 2))."""
    network = TemporalResNet1D(2, 4, num_layers=1, kernel_size=3).eval()
    x = torch.randn(1, 2, 101, requires_grad=True)
    network(x)[0, :, 12].sum().backward()
    seen = x.grad.abs().sum((0, 1)).nonzero()[:, 0]
    # Output 12 stands at frame 4 * 12; the last two convolutions reach 2 * 4 frames away, the
    # first of the layer 2, the stem 1.
    assert 48 - 11 <= seen.min() < 48 < seen.max() <= 48 + 11
    # A kernel of 1 sees the frame it stands at.
    network = TemporalResNet1D(2, 4, num_layers=1, kernel_size=1).eval()
    x.grad = None
    network(x)[0, :, 12].sum().backward()
    assert x.grad.abs().sum((0, 1)).nonzero()[:, 0].tolist() == [48]


def test_options_change_depth_width_and_kernel():
    network = TemporalResNet1D(26, channels=32, num_layers=2, kernel_size=5)
    assert (network.in_channels, network.out_channels) == (26, 32)
    assert network(torch.randn(2, 26, 64)).shape == (2, 32, 8)
    convs = [m for m in network.modules() if isinstance(m, nn.Conv1d)]
    assert [m.kernel_size[0] for m in convs] == [5, 5, 5, 5, 1, 5, 5, 5, 1]
    assert sum(p.numel() for p in network.parameters()) == (
        5 * 26 * 32 + 64 + 2 * (3 * (5 * 32 * 32 + 64) + 32 * 32 + 64)
    )
    for kernel_size in (4, 0, -1):
        with pytest.raises(ValueError, match=f'kernel_size must be odd, got {kernel_size}'):
            TemporalResNet1D(kernel_size=kernel_size)


def test_dropout_takes_whole_channels_of_the_residual_in_training_alone():
    layer = lively(TemporalResidual(64, 3, dropout=0.5))
    x = torch.randn(8, 64, 20)
    for norm in (m for m in layer.modules() if isinstance(m, nn.BatchNorm1d)):
        norm.eval()  # so that training differs by dropout alone
    with torch.no_grad():
        residual = layer(x) - layer.shortcut(x)
        layer.dropout.eval()
        whole = layer(x) - layer.shortcut(x)
    dropped = (residual.abs() < 1e-5).all(2)
    assert 0.4 < dropped[whole.abs().amax(2) > 1e-3].float().mean() < 0.6
    torch.testing.assert_close(residual[~dropped], 2 * whole[~dropped], atol=1e-4, rtol=1e-4)
    # Figure 8 has none.
    assert not [m for m in TemporalResNet1D().modules() if isinstance(m, nn.Dropout1d)]
    network = TemporalResNet1D(3, 8, 2, dropout=0.3)
    assert [m.p for m in network.modules() if isinstance(m, nn.Dropout1d)] == [0.3, 0.3]


def test_gradients_are_exact_and_reach_every_parameter():
    network = lively(TemporalResNet1D(2, 3, num_layers=1)).double().eval()
    assert gradcheck(network, torch.randn(2, 2, 7).double().requires_grad_())
    network = TemporalResNet1D(5, 8, num_layers=3)
    (network(torch.randn(4, 5, 32)) * torch.randn(4, 8, 2)).sum().backward()
    assert all(p.grad.abs().max() > 0 for p in network.parameters())


def test_one_clip_is_seen_as_among_others():
    network = lively(TemporalResNet1D(5, 8)).eval()
    x = torch.randn(4, 5, 32)
    torch.testing.assert_close(network(x)[2:3], network(x[2:3]), rtol=1e-4, atol=1e-5)


def test_it_is_registered_and_loads_what_it_stored():
    config = dict(type='TemporalResNet1D', in_channels=4, channels=8, num_layers=1, dropout=0.1)
    first, second = MODELS.build(dict(config)), MODELS.build(dict(config))
    second.load_state_dict(lively(first).state_dict(), strict=True)
    x = torch.randn(2, 4, 9)
    torch.testing.assert_close(first.eval()(x), second.eval()(x))
    pretrained = MODELS.build(dict(config, init_cfg=dict(type='Constant', layer='Conv1d', val=0.5)))
    pretrained.init_weights()
    assert (pretrained.stem[0].weight == 0.5).all()
