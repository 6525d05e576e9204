"""BlazePose's landmarks drawn beside its features: where they lie, and that nothing is trained."""

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

from rpstn.pose import BlazePose, BlazePoseHead, GuidedBlazePose
from rpstn.pose.models.blazepose_tflite import TFLiteError
from rpstn.pose.models.blazepose_weights import landmark_weights


def random_network(**kwargs) -> GuidedBlazePose:
    """With weights that let an image come through, and landmarks all over the crop."""
    torch.manual_seed(0)
    network = GuidedBlazePose(**kwargs)
    for conv in (m for m in network.modules() if isinstance(m, nn.Conv2d)):
        nn.init.kaiming_normal_(conv.weight, mode='fan_in')
    nn.init.zeros_(network.head.landmarks.weight)
    nn.init.uniform_(network.head.landmarks.bias, 0, 256)
    return network


def test_landmarks_are_drawn_where_a_loop_draws_them():
    network = random_network(sigma=1.5)
    (out,) = network(torch.rand(2, 3, 256, 256))
    assert out.shape == (2, 48 + 33, 64, 64)
    places = network.head.landmarks.bias.view(39, 5)[:33, :2].tolist()
    for k in (0, 15, 32):
        x, y = places[k]
        for row in range(64):
            for column in range(64):
                # The middle of a cell of 4x4 pixels, from the crop's corner.
                distance = np.hypot(4 * column + 2 - x, 4 * row + 2 - y) / 4
                assert float(out[1, 48 + k, row, column]) == pytest.approx(
                    np.exp(-(distance**2) / (2 * 1.5**2)), abs=1e-5
                )


def test_features_and_landmarks_are_those_of_the_two_parts():
    network = random_network()
    nn.init.kaiming_normal_(network.head.landmarks.weight)
    images = torch.rand(2, 3, 256, 256)
    (out,) = network(images)
    backbone, head = BlazePose().eval(), BlazePoseHead().eval()
    backbone.load_state_dict(network.backbone.state_dict())
    head.load_state_dict(network.head.state_dict())
    with torch.no_grad():
        maps = backbone(images)
        landmarks = head(maps).landmarks[:, :33, :2]
    torch.testing.assert_close(out[:, :48], maps[0])
    # Inside of the map by a margin, the mean of a Gaussian's cells is its place.
    drawn = out[:, 48:]
    inside = ((landmarks > 30) & (landmarks < 226)).all(-1)
    assert inside.any()
    cells = torch.arange(64.0)
    x, y = ((drawn.sum(axis) * cells).sum(-1) / drawn.sum((2, 3)) for axis in (2, 3))
    found = 4 * torch.stack([x, y], -1) + 2
    torch.testing.assert_close(found[inside], landmarks[inside], atol=0.1, rtol=0)


def test_it_is_never_trained():
    network = random_network().train()
    assert not any(module.training for module in network.modules())
    assert not any(p.requires_grad for p in network.parameters())
    init_default_scope('mmpose')
    neck = MODELS.build(
        dict(type='UpsampledBackbone', channels=16, width=16, backbone=dict(type='GuidedBlazePose'))
    ).train()
    before = {key: value.clone() for key, value in neck.backbone.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in neck.parameters() if p.requires_grad], lr=0.1)
    neck(torch.rand(1, 3, 256, 256))[0].square().mean().backward()
    optimizer.step()
    assert all(torch.equal(v, before[k]) for k, v in neck.backbone.state_dict().items())
    assert all(p.grad is None for p in neck.backbone.parameters())
    assert all(p.grad is not None for p in neck.smooth.parameters())


def test_the_releases_weights_load_by_name(tmp_path):
    try:
        weights = landmark_weights()
    except TFLiteError as error:
        pytest.skip(str(error))
    path = tmp_path / 'full.pth'
    torch.save(dict(state_dict=weights), path)
    given = dict(type='Pretrained', checkpoint=str(path))
    network = MODELS.build(dict(type='GuidedBlazePose', init_cfg=given))
    network.init_weights()
    ours = network.state_dict()
    assert set(ours) == set(weights)
    assert all(torch.equal(ours[key], value.float()) for key, value in weights.items())
