"""JRPSP against figure 5 of the paper."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from rpstn.errors import SettingError
from rpstn.pose import JRPSP, ResidualJRPSP
from rpstn.pose.models.propagation import ReducedConv, dynamic_depthwise_conv


def test_shapes_of_the_paper():
    propagator = JRPSP(13)
    stages = propagator.reduce(torch.randn(2, 269, 64, 64))
    sides = []
    for layer in propagator.kernel:
        stages = layer(stages)
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.MaxPool2d)):
            sides.append(stages.shape[-1])
    assert sides == [62, 31, 31, 15, 15, 7, 7]
    assert stages.shape == (2, 256, 7, 7)


@pytest.mark.parametrize('size', [(64, 64), (32, 32), (48, 32), (32, 48), (80, 64)])
def test_any_fitting_heatmap_size(size):
    propagator = JRPSP(5, channels=8)
    heatmaps, features = torch.randn(2, 5, *size), torch.randn(2, 8, *size)
    assert propagator(heatmaps, features, features).shape == (2, 5, *size)
    kernels = propagator.kernel(propagator.reduce(torch.cat([features, heatmaps], 1)))
    assert kernels.shape[-2:] == propagator.kernel_size(size)


@pytest.mark.parametrize('side', range(4, 100))
def test_kernel_size_is_what_the_layers_make_or_is_refused(side):
    layers = [
        layer
        for layer in JRPSP(1, channels=1).kernel
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.MaxPool2d))
    ]
    made, x = 0, torch.zeros(1, 1, side, side)
    try:
        for layer in layers:
            x = layer(x)
        made = x.shape[-1]
    except RuntimeError:  # nothing left to convolve
        made = 0
    if made % 2:
        assert JRPSP.kernel_size((side, side)) == (made, made)
    else:
        with pytest.raises(ValueError, match=f'{side} cells.*58 to 65'):
            JRPSP.kernel_size((side, side))


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_dynamic_convolution_equals_a_loop_over_samples_and_channels(memory_format):
    features = torch.randn(3, 4, 9, 11).to(memory_format=memory_format)
    kernels = torch.randn(3, 4, 5, 3)
    expected = torch.stack(
        [
            torch.cat(
                [
                    F.conv2d(
                        features[b : b + 1, c : c + 1],
                        kernels[b : b + 1, c : c + 1],
                        padding=(2, 1),
                    )
                    for c in range(4)
                ],
                dim=1,
            )[0]
            for b in range(3)
        ]
    )
    torch.testing.assert_close(dynamic_depthwise_conv(features, kernels), expected)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float32, torch.float64])
def test_a_whole_model_in_another_precision(dtype):
    propagator = JRPSP(2, channels=4).to(dtype).eval()
    maps, features = torch.randn(1, 2, 32, 32, dtype=dtype), torch.randn(1, 4, 32, 32, dtype=dtype)
    assert propagator(maps, features, features).dtype == dtype


def test_wrong_channels_are_named():
    with pytest.raises(ValueError, match=r'\(13, 8, 8\).*\(13, 8, 16\)'):
        JRPSP(13, channels=8)(
            torch.zeros(1, 13, 32, 32), torch.zeros(1, 8, 32, 32), torch.zeros(1, 16, 32, 32)
        )


# As released.


def test_the_papers_propagator_has_no_norm_and_no_layer_more():
    assert not any(name.startswith(('norm', 'project')) for name in JRPSP(3, 8).state_dict())
    features = torch.randn(2, 8, 16, 16)
    assert JRPSP(3, 8).embed(features) is features


@pytest.mark.parametrize('filtered', [False, True])
def test_the_released_norm_serves_every_place(filtered):
    torch.manual_seed(0)
    propagator = JRPSP(3, channels=8, norms='shared', norm_filtered=filtered).eval()
    norm = propagator.norm
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    torch.nn.init.normal_(norm.weight)

    def n(x):
        scale = (norm.weight / (norm.running_var + norm.eps).sqrt())[:, None, None]
        return (x - norm.running_mean[:, None, None]) * scale + norm.bias[:, None, None]

    maps, first, second = torch.randn(2, 3, 32, 32), *torch.randn(2, 2, 8, 32, 32)
    f = n(F.conv2d(second, propagator.project.weight, propagator.project.bias))
    torch.testing.assert_close(propagator.embed(second), f)
    kernels = propagator.kernel(n(propagator.reduce(torch.cat([first, maps], 1))))
    x = dynamic_depthwise_conv(f, kernels)
    expected = propagator.predict(n(x) if filtered else x)
    torch.testing.assert_close(propagator(maps, first, propagator.embed(second)), expected)


@pytest.mark.parametrize('kind', [JRPSP, ResidualJRPSP])
@pytest.mark.parametrize('size', [(16, 16), (32, 48)])
def test_conv_a_folded_into_s_changes_no_answer(kind, size):
    torch.manual_seed(0)
    propagator = kind(3, channels=25).eval()
    torch.nn.init.normal_(propagator.kernel[-1].weight)  # which may start at 0
    heatmaps, features = torch.randn(2, 3, *size), torch.randn(2, 2, 25, *size)
    expected = propagator(heatmaps, *features)
    propagator.fold_for_inference()
    assert isinstance(propagator.kernel[0], ReducedConv)
    torch.testing.assert_close(propagator(heatmaps, *features), expected)
    propagator.fold_for_inference()  # there is nothing left to fold
    torch.testing.assert_close(propagator(heatmaps, *features), expected)
    # A propagator of your own may call the layers one by one.
    both = torch.cat([features[0], heatmaps], dim=1)
    torch.testing.assert_close(
        propagator.kernel(propagator.reduce(both)), propagator.kernels(heatmaps, features[0])
    )


def test_conv_a_folded_keeps_its_type():
    propagator = JRPSP(3, channels=25).double().eval()
    propagator.fold_for_inference()
    maps = torch.randn(1, 3, 16, 16).double(), *torch.randn(2, 1, 25, 16, 16).double()
    assert propagator(*maps).dtype == torch.float64


@pytest.mark.parametrize(
    'options',
    [
        dict(norms='shared'),  # a norm follows it
        dict(channels=24),  # 24 + 3 + 9 x 24 multiply-adds, as 9 x (24 + 3) in their place
    ],
)
def test_conv_a_is_left_apart(options):
    propagator = JRPSP(3, **{'channels': 64, **options})
    propagator.fold_for_inference()
    assert isinstance(propagator.reduce, torch.nn.Conv2d)


def test_other_norms_are_refused():
    with pytest.raises(ValueError, match=r"'paper', 'shared'.*'batch'"):
        JRPSP(3, norms='batch')
    with pytest.raises(ValueError, match="norm_filtered=True needs norms='shared'"):
        JRPSP(3, norm_filtered=True)


# A narrow S.


def test_as_many_kernel_channels_as_channels_are_the_plain_propagator():
    plain, ours = JRPSP(3, channels=8).eval(), JRPSP(3, channels=8, kernel_channels=8).eval()
    ours.load_state_dict(plain.state_dict())
    maps = torch.randn(2, 3, 32, 32), *torch.randn(2, 2, 8, 32, 32)
    assert torch.equal(ours(*maps), plain(*maps))


def test_a_narrow_s_filters_all_channels():
    torch.manual_seed(0)
    propagator = JRPSP(3, channels=8, kernel_channels=4).eval()
    assert [m.weight.shape[:2] for m in propagator.kernel if isinstance(m, torch.nn.Conv2d)] == [
        (4, 4),
        (4, 4),
        (4, 4),
        (8, 4),
    ]
    heatmaps, features, following = torch.randn(2, 3, 16, 16), *torch.randn(2, 2, 8, 16, 16)
    reduce = propagator.reduce
    mixed = torch.einsum(
        'oc,nchw->nohw', reduce.weight[:, :, 0, 0], torch.cat([features, heatmaps], dim=1)
    )
    kernels = propagator.kernel(mixed + reduce.bias[:, None, None])
    side = kernels.shape[-1] // 2
    padded, filtered = F.pad(following, (side,) * 4), torch.zeros_like(following)
    for row in range(2 * side + 1):
        for column in range(2 * side + 1):
            seen = padded[..., row : row + 16, column : column + 16]
            filtered += kernels[:, :, row, column, None, None] * seen
    torch.testing.assert_close(
        propagator(heatmaps, features, following),
        propagator.predict(filtered),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize('width, folded', [(25, True), (12, False)])
def test_conv_a_is_folded_where_that_saves_multiply_adds(width, folded):
    propagator = JRPSP(2, channels=25, kernel_channels=width).eval()
    maps = torch.randn(1, 2, 32, 32), *torch.randn(2, 1, 25, 32, 32)
    costs = []
    for _ in range(2):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            propagator(*maps)
        costs.append(counter.get_total_flops())
        propagator.fold_for_inference()
    assert isinstance(propagator.kernel[0], ReducedConv) == folded
    assert (costs[1] < costs[0]) == folded and costs[1] <= costs[0]


def test_a_narrow_s_has_no_norm_to_share():
    with pytest.raises(SettingError, match="kernel_channels=4 must be channels=8 with norms='sha"):
        JRPSP(3, channels=8, kernel_channels=4, norms='shared')
