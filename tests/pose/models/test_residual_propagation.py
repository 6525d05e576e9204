"""JRPSP with a shortcut: where it starts, what it computes, what it starts from."""

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from rpstn.pose import ResidualJRPSP
from rpstn.pose.models.propagation import JRPSP, dynamic_depthwise_conv

K, C = 5, 16


@pytest.fixture(autouse=True)
def mmpose_scope():
    init_default_scope('mmpose')


def module(**kwargs) -> ResidualJRPSP:
    torch.manual_seed(0)
    return ResidualJRPSP(K, C, **kwargs)


def maps():
    torch.manual_seed(1)
    return torch.randn(2, K, 32, 32), torch.randn(2, C, 32, 32), torch.randn(2, C, 32, 32)


def last_layers(propagator) -> tuple:
    return propagator.carry.change, propagator.carry.gate


@pytest.mark.parametrize('carry', [False, True])
def test_it_starts_as_its_last_layer(carry):
    for training in (False, True):
        propagator = module(carry=carry).train(training)
        heatmaps, features, following = maps()
        torch.testing.assert_close(
            propagator(heatmaps, features, following), propagator.predict(following)
        )


def test_it_learns_to_look_back():
    propagator = module(carry=True).train()
    propagator(*maps()).square().mean().backward()
    last = propagator.kernel[-1].weight, *(layer.weight for layer in last_layers(propagator))
    for weight in last:
        assert weight.grad.abs().max() > 0
        torch.nn.init.constant_(weight, 0.1)
    propagator.zero_grad()
    propagator(*maps()).square().mean().backward()
    assert all(
        p.grad.abs().max() > 0
        for name, p in propagator.named_parameters()
        if not name.startswith('kernel') or 'bias' not in name
    )


def test_beside_jrpsp_it_adds_the_features():
    ours, plain = module().eval(), JRPSP(K, C).eval()
    torch.nn.init.normal_(ours.kernel[-1].weight)
    plain.load_state_dict(ours.state_dict())
    heatmaps, features, following = maps()
    kernel = ours.kernel(ours.reduce(torch.cat([features, heatmaps], 1)))
    filtered = dynamic_depthwise_conv(following, kernel)
    torch.testing.assert_close(plain(heatmaps, features, following), plain.predict(filtered))
    torch.testing.assert_close(
        ours(heatmaps, features, following), ours.predict(following + filtered)
    )


def test_only_carry_knows_where_a_joint_was():
    """Heatmaps moved by some cells, of frames that look alike everywhere."""
    moved = []
    for carry in (False, True):
        propagator = module(carry=carry).eval()
        for part in (propagator.kernel[-1], *(last_layers(propagator) if carry else ())):
            torch.nn.init.constant_(part.weight, 1.0)
        features = torch.ones(1, C, 64, 64)
        answers = []
        for at in (22, 30):  # 8 cells: S's three poolings do not see the difference
            heatmaps = torch.zeros(1, K, 64, 64)
            heatmaps[:, :, 30:34, at : at + 4] = 1
            answers.append(propagator(heatmaps, features, features)[..., 24:40, 16:40])
        moved.append(
            (answers[0][..., :16] - answers[1][..., 8:24]).abs().max()
            / (answers[0][..., :16] - answers[1][..., :16]).abs().max().clamp(min=1e-9)
        )
    assert moved[1] < 1e-3 < moved[0]


def test_the_gate_is_between_what_is_seen_and_what_was_there():
    propagator = module(carry=True).eval()
    heatmaps, features, following = maps()
    seen = propagator.predict(following)
    bias = torch.linspace(-2.0, 8.0, K)
    bias[-1] = 30.0  # shut: all of it is the last frame's
    propagator.carry.gate.bias.data = bias
    found = propagator(heatmaps, features, following)
    for k in range(K):
        share = torch.tanh(bias[k])
        torch.testing.assert_close(found[:, k], (1 - share) * seen[:, k] + share * heatmaps[:, k])
    torch.testing.assert_close(found[:, -1], heatmaps[:, -1])


def test_changes_are_added_to_what_is_seen():
    propagator = module(carry=True).eval()
    heatmaps, features, following = maps()
    added = torch.randn(K)
    propagator.carry.change.bias.data = added
    torch.testing.assert_close(
        propagator(heatmaps, features, following),
        propagator.predict(following) + added[:, None, None],
    )


def test_carry_on_maps_of_half_the_size_answers_in_full():
    propagator = module(carry=dict(width=6, stride=2)).eval()
    heatmaps, features, following = maps()
    seen = propagator.predict(following)
    torch.testing.assert_close(propagator(heatmaps, features, following), seen)
    for part in propagator.carry.layers, propagator.carry.change:
        for parameter in part.parameters():
            torch.nn.init.normal_(parameter)
    added = propagator(heatmaps, features, following) - seen
    # Interpolated from 2 x 2 cells: smooth, where maps of full size would be as rough as noise.
    rough = (added[..., 1:] - added[..., :-1]).abs().mean()
    assert 0 < rough < 0.6 * added.std()
    assert propagator.carry.layers[0].out_channels == 6


def test_a_narrow_kernel_network_answers_for_all_channels():
    propagator = module(kernel_channels=6).eval()
    heatmaps, features, following = maps()
    kernels = propagator.kernels(heatmaps, features)
    assert propagator.reduce.out_channels == 6 and kernels.shape[1] == C
    torch.testing.assert_close(
        propagator(heatmaps, features, following), propagator.predict(following)
    )


@pytest.mark.parametrize('norms', ['paper', 'none'])
def test_every_frame_starts_with_the_single_frame_models_heatmaps(tmp_path, norms):
    network = dict(type='ResNet', depth=18, stem_channels=16, base_channels=16)
    single = MODELS.build(
        dict(
            type='TopdownPoseEstimator',
            backbone=network,
            head=dict(
                type='HeatmapHead', in_channels=128, out_channels=K, deconv_out_channels=(C,) * 3
            ),
        )
    )
    path = str(tmp_path / 'single.pth')
    torch.save(
        dict(
            state_dict=single.state_dict(),
            meta=dict(
                dataset_meta=dict(
                    keypoint_id2name=dict(
                        enumerate(['head', 'neck', 'belly', 'left_knee', 'right_knee'])
                    )
                )
            ),
        ),
        path,
    )
    model = MODELS.build(
        dict(
            type='VideoPoseEstimator',
            backbone=dict(
                type='SharedBackbone',
                encoder=network,
                num_joints=K,
                channels=C,
                input_size=(64, 64),
                pretrained=dict(
                    checkpoint=path, joints=['head', 'neck', 'belly', 'left_knee', 'right_knee']
                ),
            ),
            head=dict(
                type='RPSTNHead',
                num_joints=K,
                channels=C,
                relation=dict(type='JRE'),
                norms=norms,
                propagator=dict(type='ResidualJRPSP', carry=True, pretrained=path),
            ),
        )
    )
    model.init_weights()
    clip = torch.randn(1, 3, 3, 64, 64)
    with torch.no_grad():
        got = model.eval()._forward(clip)[0]
        alone = single.eval().head.forward(single.extract_feat(clip[0]))
        expected = alone if norms == 'none' else model.head.norm(alone)
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-7)
    assert alone.std() > 0


def test_another_last_layer_is_refused(tmp_path):
    path = tmp_path / 'other.pth'
    torch.save(
        {
            'head.final_layer.weight': torch.zeros(K, C + 1, 1, 1),
            'head.final_layer.bias': torch.zeros(K),
        },
        path,
    )
    with pytest.raises(ValueError, match=r'other.pth: head.final_layer.*\(5, 17, 1, 1\)'):
        module(pretrained=str(path)).init_weights()
