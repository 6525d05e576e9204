"""The released network: our options against a literal re-statement in plain torch.nn."""

import importlib.util
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

from rpstn.engine.cpu import for_inference
from rpstn.pose.models.released import (
    ReleasedNetwork,
    ReleasedWeightsError,
    convert_weights,
    inspect_released,
    released_weights,
)

ROOT = Path(__file__).parents[3]
PARITY = ROOT.parent / 'shared/parity'


# The re-statement: nothing in it comes from rpstn.


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, inner: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        if stride != 1 or inner != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(inner, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x):
        shortcut = self.downsample(x) if hasattr(self, 'downsample') else x
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, inner: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        if stride != 1 or inner != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(inner, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x):
        shortcut = self.downsample(x) if hasattr(self, 'downsample') else x
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + shortcut)


BLOCKS = {
    18: (BasicBlock, 2, 2, 2, 2),
    34: (BasicBlock, 3, 4, 6, 3),
    50: (Bottleneck, 3, 4, 6, 3),
    101: (Bottleneck, 3, 4, 23, 3),
    152: (Bottleneck, 3, 8, 36, 3),
}


def resnet_parts(depth: int) -> list[nn.Module]:
    """conv1, bn1, relu, maxpool, layer1-4, deconv."""
    block, *counts = BLOCKS[depth]
    parts = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    inner = 64
    for stage, count in enumerate(counts):
        blocks = []
        for i in range(count):
            stride = 2 if stage > 0 and i == 0 else 1
            blocks.append(block(inner, 64 * 2**stage, stride))
            inner = 64 * 2**stage * block.expansion
        parts.append(nn.Sequential(*blocks))
    deconv = []
    for channels in (inner, 256, 256):
        deconv += [
            nn.ConvTranspose2d(channels, 256, 4, 2, 1, bias=False),
            nn.BatchNorm2d(256),
            nn.ReLU(),
        ]
    return [*parts, nn.Sequential(*deconv)]


class PoseNet(nn.Module):
    def __init__(self, depth: int, joints: int) -> None:
        super().__init__()
        (
            self.conv1,
            self.bn1,
            self.relu,
            self.maxpool,
            self.layer1,
            self.layer2,
            self.layer3,
            self.layer4,
            self.deconv_layers,
        ) = resnet_parts(depth)
        self.final_layer = nn.Conv2d(256, joints, 1)

    def forward(self, x):
        for part in self.children():
            x = part(x)
        return x


class Relation(nn.Module):
    def __init__(self, joints: int) -> None:
        super().__init__()
        self.g = nn.Conv2d(joints, joints, 1)
        self.W = nn.Sequential(nn.Conv2d(joints, joints, 1), nn.BatchNorm2d(joints))
        self.theta = nn.Conv2d(joints, joints, 1)
        self.phi = nn.Conv2d(joints, joints, 1)

    def forward(self, x):
        b, k, h, w = x.shape
        m = x.view(b, k, h * w)
        weights = torch.softmax(torch.bmm(m, m.permute(0, 2, 1)), dim=1)
        y = torch.bmm(weights, self.g(x).view(b, k, h * w))
        y = y.permute(0, 2, 1).contiguous().view(b, k, h, w)
        return x + self.W(y)


class Released(nn.Module):
    def __init__(self, p: int, f: int, joints: int) -> None:
        super().__init__()
        self.joints = joints
        self.pose_net = PoseNet(p, joints)
        self.fea_ext = nn.Sequential(*resnet_parts(f))
        self.conv1x1_reduce_dim = nn.Conv2d(joints + 256, 256, 1)
        self.pose_conv1x1_V = nn.Conv2d(256, 256, 1)
        self.pose_conv1x1_U = nn.Conv2d(256, joints, 1)
        self.bn_u = nn.BatchNorm2d(joints)
        self.bn = nn.BatchNorm2d(256)

        def conv(padding):
            return [nn.Conv2d(256, 256, 3, padding=padding), nn.BatchNorm2d(256)]

        def shrink():
            return [nn.ReLU(), nn.MaxPool2d(2)]

        self.dkd_param_adapter = nn.Sequential(
            *conv(0), *shrink(), *conv(1), *shrink(), *conv(1), *shrink(), *conv(1)
        )
        self.non_local_conv2d = Relation(joints)

    def forward(self, clip):
        heat = self.bn_u(self.non_local_conv2d(self.pose_net(clip[:, 0])))
        carried = self.fea_ext(clip[:, 0])
        heats = [heat]
        for t in range(1, clip.shape[1]):
            f = self.bn(self.pose_conv1x1_V(self.fea_ext(clip[:, t])))
            x = self.bn(self.conv1x1_reduce_dim(torch.cat([heat, carried], dim=1)))
            kernels = self.dkd_param_adapter(x)
            side = kernels.shape[-1]
            dynamic = torch.stack(
                [
                    F.conv2d(f[b : b + 1], kernels[b][:, None], padding=side // 2, groups=256)[0]
                    for b in range(len(f))
                ]
            )
            if self.joints == 15:
                dynamic = self.bn(dynamic)
            heat = self.bn_u(self.pose_conv1x1_U(dynamic))
            heat = self.bn_u(self.non_local_conv2d(heat))
            carried = f
            heats.append(heat)
        return torch.stack(heats, dim=1)


def released(p: int, f: int, joints: int, clip: torch.Tensor | None = None) -> Released:
    """In eval mode, random, with the running statistics of ``clip``."""
    torch.manual_seed(p + f + joints)
    with torch.device('meta'):  # without PyTorch's own start, which takes seconds
        net = Released(p, f, joints)
    net.to_empty(device='cpu')
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, std=(2 / module.weight[0].numel()) ** 0.5)
            if module.bias is not None:
                nn.init.uniform_(module.bias, -0.1, 0.1)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.1, 0.1)
            module.reset_running_stats()
            module.momentum = 1.0
    if clip is not None:
        with torch.no_grad():
            net.train()(clip)
    return net.eval()


def ours(weights: dict, network: ReleasedNetwork) -> nn.Module:
    """Our network of the config for these weights, with them, in eval mode."""
    init_default_scope('mmpose')
    config = Config.fromfile(ROOT / 'configs' / network.config)
    config.merge_from_dict(network.options)
    # The size of the input changes no weight, but building runs the backbones once.
    config.model.backbone.input_size, config.model.head.decoder = (64, 64), None
    model = MODELS.build(config.model)
    model.load_state_dict(convert_weights(weights, model)[0], strict=True)
    return model.eval()


@pytest.fixture(scope='module')
def small() -> dict[str, torch.Tensor]:
    """Weights of the smallest network of Penn's joints."""
    return dict(released(18, 18, 13).state_dict())


@pytest.mark.parametrize(
    'p,f,joints,side,frames', [(18, 18, 15, 128, 3), (50, 18, 15, 64, 2), (101, 50, 13, 64, 2)]
)
def test_the_converted_network_answers_as_the_re_statement(p, f, joints, side, frames):
    clip = torch.randn(2, frames, 3, side, side)
    net = released(p, f, joints, clip).double()
    clip, weights = clip.double(), dict(net.state_dict())
    network = inspect_released(weights)
    assert network == ReleasedNetwork(p, f, joints, 'jhmdb' if joints == 15 else 'penn')
    model = ours(weights, network).double()
    with torch.no_grad():
        expected, heatmaps = net(clip), model(clip, None, mode='tensor')
    assert heatmaps.shape == (2, frames, joints, side // 4, side // 4)
    assert expected.std() > 0.1 and expected[:, 1].sub(expected[:, 0]).abs().max() > 0.1
    torch.testing.assert_close(heatmaps, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize('p,f', [(34, 152), (152, 34), (101, 101)])
def test_depths_are_found_by_names_and_shapes(p, f):
    with torch.device('meta'):
        weights = Released(p, f, 13).state_dict()
    network = inspect_released(weights)
    assert (network.initializer_depth, network.encoder_depth) == (p, f)
    init_default_scope('mmpose')
    config = Config.fromfile(ROOT / 'configs' / network.config)
    config.merge_from_dict(network.options)
    assert (config.model.backbone.encoder.depth, config.model.backbone.initializer.depth) == (f, p)
    assert config.model.backbone.encoder.init_cfg is None


def test_the_re_statement_answers_as_the_release():
    """So that what the converted network is compared with is known to be right."""
    if not PARITY.is_dir():
        pytest.skip(f'{PARITY} is absent')
    spec = importlib.util.spec_from_file_location('fill_weights', PARITY / 'fill_weights.py')
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    net = Released(18, 18, 13).eval()
    net.load_state_dict(fill.released_state_dict('penn_r18_r18'), strict=True)
    with torch.no_grad():
        difference = (net(fill.clip()) - fill.expected('penn_r18_r18')).abs().max().item()
    assert difference < 1e-4


def test_each_option_matters():
    """Without one of the three differences the answers are others."""
    clip = torch.randn(2, 2, 3, 64, 64)
    weights = dict(released(18, 18, 15, clip).state_dict())
    model = ours(weights, inspect_released(weights))
    plain = ours(weights, inspect_released(weights, 'penn'))
    with torch.no_grad():
        expected = model(clip, None, mode='tensor')

        def change() -> list[float]:
            """Of the first and of the second frame's heatmaps."""
            return (model(clip, None, mode='tensor') - expected).abs().amax((0, 2, 3, 4)).tolist()

        without = plain(clip, None, mode='tensor') - expected
        assert without[:, 0].abs().max() == 0 and without[:, 1].abs().max() > 1e-2
        model.head.norms = 'paper'
        assert change()[0] == 0 and change()[1] > 1e-2
        model.head.norms = 'shared'
        model.head.relation.layout = 'paper'
        assert min(change()) > 1e-2


def test_it_stays_the_same_when_rearranged_for_inference(small):
    """Norms that serve several places are folded into none of them."""
    model = ours(small, inspect_released(small))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    clip = torch.randn(1, 3, 3, 64, 64)
    with torch.no_grad():
        expected = model(clip, None, mode='tensor')
        fast = for_inference(model)(clip, None, mode='tensor')
    torch.testing.assert_close(fast, expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())


def test_data_parallel_prefix_and_state_dict_are_taken_off(small):
    forms = [small, {f'module.{k}': v for k, v in small.items()}]
    for form in [*forms, *(dict(state_dict=form, epoch=3, optimizer={}) for form in forms)]:
        weights = released_weights(form)
        assert list(weights) == list(small)
        assert all(weights[name] is small[name] for name in small)


def test_unused_weights_are_reported_and_the_model_is_left_as_it_is(small):
    model = ours(small, inspect_released(small))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    old = {k: v for k, v in small.items() if not k.endswith('num_batches_tracked')}
    converted, unused = convert_weights(old, model)
    assert unused == [
        f'non_local_conv2d.{name}.{kind}'
        for name in ('theta', 'phi')
        for kind in ('weight', 'bias')
    ]
    assert all(value.dtype == before[name].dtype for name, value in converted.items())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert converted['head.norm.num_batches_tracked'] == 0
    # heatmaps first in the release, last here
    torch.testing.assert_close(
        converted['head.propagator.reduce.weight'][:, 256:],
        small['conv1x1_reduce_dim.weight'][:, :13],
        rtol=0,
        atol=0,
    )


@pytest.mark.parametrize(
    'saved,words',
    [
        ([1, 2], 'list'),
        ({}, 'dict'),
        (dict(state_dict=3), 'int'),
        (dict(model=nn.Identity()), 'model'),
        ({3: torch.zeros(1)}, 'not all of it are weights: 3'),
    ],
)
def test_what_is_no_state_dict_is_refused(saved, words):
    with pytest.raises(ReleasedWeightsError, match=words):
        released_weights(saved)


def changed(weights: dict, drop: tuple = (), **new) -> dict:
    kept = {k: v for k, v in weights.items() if not k.startswith(drop)} if drop else dict(weights)
    return {**kept, **{name.replace('__', '.'): value for name, value in new.items()}}


def test_other_networks_are_refused_by_name(small):
    with pytest.raises(ReleasedWeightsError, match='13 .penn. or 15 .jhmdb. joints.* has 17'):
        inspect_released(changed(small, pose_net__final_layer__weight=torch.zeros(17, 256, 1, 1)))
    with pytest.raises(ReleasedWeightsError, match=r'pose_net.final_layer.weight is missing'):
        inspect_released(dict(conv1=torch.zeros(1)))
    with pytest.raises(ReleasedWeightsError, match='fea_ext.4 and on have 2, 2, 1, 2 basic.*152'):
        inspect_released(changed(small, ('fea_ext.6.1.',)))
    with pytest.raises(ReleasedWeightsError, match="penn.*jhmdb.*'coco'"):
        inspect_released(small, 'coco')
    wrong = changed(
        small,
        ('bn_u.bias', 'pose_conv1x1_V'),
        extra__weight=torch.zeros(1),
        bn__weight=torch.zeros(128),
    )
    model = ours(small, inspect_released(small))
    with pytest.raises(ReleasedWeightsError) as caught:
        convert_weights(wrong, model)
    text = str(caught.value)
    assert '\n' not in text
    assert '3 missing: ' in text and 'pose_conv1x1_V.weight' in text and 'bn_u.bias' in text
    assert '1 unexpected: extra.weight' in text
    assert '1 of another shape: bn.weight (128,) in place of (256,)' in text


@pytest.mark.parametrize(
    'name,data', [('penn', 'PennActionDataset'), ('jhmdb', 'JHMDBClipDataset')]
)
def test_the_configs_differ_from_ours_in_what_the_release_does(name, data):
    ours, theirs = (
        Config.fromfile(ROOT / f'configs/{kind}_{name}.py').to_dict()
        for kind in ('rpstn', 'released')
    )
    a, b = ours['model'], theirs['model']
    assert b['data_preprocessor'].pop('mean') == [0.0] * 3
    assert b['data_preprocessor'].pop('std') == [255.0] * 3
    assert b['head'].pop('norms') == 'shared'
    assert b['head']['relation'].pop('layout') == 'released'
    assert b['head']['propagator'].pop('norms') == 'shared'
    assert b['head']['propagator'].pop('norm_filtered', False) is (name == 'jhmdb')
    assert b['backbone'].pop('initializer')['depth'] == 101
    for key in ('mean', 'std'):
        a['data_preprocessor'].pop(key)
    assert a == b
    for part in ('train', 'val', 'test'):
        mine, their = (c[f'{part}_dataloader']['dataset'] for c in (ours, theirs))
        pipeline = their.pop('pipeline')
        mine.pop('pipeline')
        assert mine == their and their['type'] == data
        assert pipeline[1] == dict(type='ClipBBox', mode='frame', padding=1.0)
        assert dict(type='TopdownStretch', input_size=(256, 256)) in pipeline[2]['transforms']
        assert (part == 'train') == any(
            t['type'] == 'RandomFlip' for t in pipeline[2]['transforms']
        )
    assert ours['optim_wrapper'] == theirs['optim_wrapper']
