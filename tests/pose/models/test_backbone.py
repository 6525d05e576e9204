"""The image networks F and P: what they see, their shapes, refusals, weights of other models."""

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from rpstn.pose import RPSTNBackbone

RESNET = dict(type='ResNet', depth=18, stem_channels=8, base_channels=8)
HRNET = dict(
    type='HRNet',
    in_channels=3,
    extra=dict(
        stage1=dict(
            num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(1,), num_channels=(8,)
        ),
        stage2=dict(
            num_modules=1, num_branches=2, block='BASIC', num_blocks=(1, 1), num_channels=(8, 16)
        ),
        stage3=dict(
            num_modules=1,
            num_branches=3,
            block='BASIC',
            num_blocks=(1, 1, 1),
            num_channels=(8, 16, 32),
        ),
        stage4=dict(
            num_modules=1,
            num_branches=4,
            block='BASIC',
            num_blocks=(1, 1, 1, 1),
            num_channels=(8, 16, 32, 64),
        ),
    ),
)
BACKBONES = {
    'ResNet': RESNET,
    'HRNet': HRNET,
    'MobileNetV2': dict(type='MobileNetV2', widen_factor=0.25, out_indices=(7,)),
    'MobileNetV3': dict(type='MobileNetV3', arch='small'),
    'CSPNeXt': dict(
        type='CSPNeXt',
        deepen_factor=0.167,
        widen_factor=0.125,
        out_indices=(4,),
        norm_cfg=dict(type='BN'),
    ),
    'ResNet, all stages': dict(RESNET, out_indices=(0, 1, 2, 3)),
}


@pytest.fixture(autouse=True)
def mmpose_scope():
    init_default_scope('mmpose')  # as a runner does


def build(encoder: dict = RESNET, **kwargs) -> RPSTNBackbone:
    torch.manual_seed(0)
    kwargs = dict(dict(num_joints=5, channels=16, input_size=(64, 64)), **kwargs)
    return MODELS.build(dict(type='RPSTNBackbone', encoder=encoder, **kwargs))


def shake_norms(model: torch.nn.Module) -> None:
    """Statistics of batch norms as if trained."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)


def test_features_of_a_clip_are_those_of_each_frame_alone():
    backbone = build().eval()
    clips = torch.randn(2, 3, 3, 64, 64)
    features, _ = backbone(clips)
    scale = features.abs().max()  # small at random weights
    for b in range(2):
        for t in range(3):
            alone = backbone.encoder(clips[b, t][None])[0]
            torch.testing.assert_close(features[b, t] / scale, alone / scale, rtol=0, atol=1e-4)
    assert not torch.allclose(features[0, 0] / scale, features[0, 1] / scale, atol=0.1)


def test_the_initializer_sees_the_first_frame_only():
    backbone = build().eval()
    clips = torch.randn(2, 3, 3, 64, 64)
    _, heatmaps = backbone(clips)
    torch.testing.assert_close(heatmaps, backbone.initializer(clips[:, 0]))
    others = torch.cat([clips[:, :1], torch.randn(2, 2, 3, 64, 64)], dim=1)
    assert torch.equal(backbone(others)[1], heatmaps)
    clips.requires_grad_()
    backbone(clips)[1].sum().backward()
    assert clips.grad[:, 0].abs().sum() > 0 and clips.grad[:, 1:].abs().sum() == 0


def test_encoder_and_initializer_share_no_weights():
    backbone = build()
    ours = {id(p) for p in backbone.encoder.parameters()}
    assert not any(id(p) in ours for p in backbone.initializer.parameters())


@pytest.mark.parametrize('name', BACKBONES)
@pytest.mark.parametrize('input_size', [(64, 64), (64, 96)])
def test_shapes_with_any_backbone_of_mmpose(name, input_size):
    backbone = build(BACKBONES[name], input_size=input_size).eval()
    width, height = input_size
    features, heatmaps = backbone(torch.randn(1, 2, 3, height, width))
    assert features.shape == (1, 2, 16, height // 4, width // 4)
    assert heatmaps.shape == (1, 5, height // 4, width // 4)


@pytest.mark.parametrize('stride', [32, 16, 8, 4, 2, 1])
def test_any_power_of_two_down_from_the_backbones_stride(stride):
    features, heatmaps = build(heatmap_stride=stride).eval()(torch.randn(1, 1, 3, 64, 64))
    assert features.shape[-2:] == heatmaps.shape[-2:] == (64 // stride, 64 // stride)


def test_the_initializer_may_be_another_backbone():
    backbone = build(initializer=HRNET)
    assert type(backbone.encoder.backbone).__name__ == 'ResNet'
    assert type(backbone.initializer.backbone).__name__ == 'HRNet'
    features, heatmaps = backbone(torch.randn(2, 2, 3, 64, 64))
    assert features.shape[-2:] == heatmaps.shape[-2:]


def test_probing_leaves_the_backbone_as_it_was():
    network = build().encoder
    assert network.backbone.training
    assert all(
        int(m.num_batches_tracked) == 0
        for m in network.modules()
        if isinstance(m, torch.nn.BatchNorm2d)
    )


@pytest.mark.parametrize(
    'encoder, options, message',
    [
        (RESNET, dict(heatmap_stride=3), r'stride 32 .*heatmap_stride=3 .*\[32, 16, 8, 4, 2, 1\]'),
        (RESNET, dict(heatmap_stride=64), r'heatmap_stride=64 .*\[32, 16, 8, 4, 2, 1\]'),
        (HRNET, dict(heatmap_stride=8), r'stride 4 .*heatmap_stride=8 .*\[4, 2, 1\]'),
        (RESNET, dict(input_size=(90, 64)), r'90x64 input: .*multiples of 32'),
        (RESNET, dict(input_size=(100, 100)), r'100x100 input.*multiples of 32'),
        (RESNET, dict(input_size=(112, 112)), r'112x112 input.*multiples of 32'),
        (HRNET, dict(input_size=(70, 64)), r'70x64 input.*multiples of 32'),
    ],
)
def test_sizes_that_do_not_fit_are_refused_with_some_that_do(encoder, options, message):
    with pytest.raises(ValueError, match=message):
        build(encoder, **options)


@pytest.mark.parametrize('shape', [(2, 3, 64, 64), (2, 4, 1, 64, 64), (3, 64, 64)])
def test_images_in_place_of_clips_are_refused(shape):
    with pytest.raises(ValueError, match=r'\(B, T, 3, H, W\), got \(' + str(shape[0])):
        build()(torch.zeros(shape))


def test_clips_whose_heatmaps_would_have_another_stride_are_refused():
    backbone = build()
    with pytest.raises(ValueError, match='multiples of 32, got 100x64'):
        backbone(torch.zeros(2, 1, 3, 64, 100))
    assert backbone(torch.zeros(2, 1, 3, 96, 64))[0].shape[-2:] == (24, 16)


@pytest.mark.parametrize('name', ['ResNet', 'HRNet'])
def test_weights_of_a_single_frame_model_load(name, tmp_path):
    """Backbone, deconvolutions and last layer of a TopdownPoseEstimator become P, and F's."""
    torch.manual_seed(1)
    deconvolutions = (16,) * 3 if name == 'ResNet' else None  # HRNet's head: a last layer only
    single = MODELS.build(
        dict(
            type='TopdownPoseEstimator',
            backbone=BACKBONES[name],
            head=dict(
                type='HeatmapHead',
                in_channels=64 if name == 'ResNet' else 8,
                out_channels=5,
                deconv_out_channels=deconvolutions,
                deconv_kernel_sizes=(4, 4, 4) if deconvolutions else None,
            ),
        )
    )
    for parameter in single.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    shake_norms(single)
    torch.save(dict(state_dict=single.state_dict()), tmp_path / 'single.pth')
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'single.pth'))

    backbone = build(BACKBONES[name], channels=16, encoder_init=init, initializer_init=init)
    backbone.init_weights()

    saved = single.state_dict()
    assert backbone.initializer.state_dict().keys() == saved.keys()
    features = backbone.encoder.state_dict()  # no last layer, but 8 to C = 16 channels on HRNet
    assert [key for key in saved if key not in features] == [
        'head.final_layer.weight',
        'head.final_layer.bias',
    ]
    for loaded in (backbone.initializer.state_dict(), features):
        for key in saved.keys() & loaded.keys():
            assert torch.equal(loaded[key], saved[key]), key
    image = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(
        backbone.eval()(image[:, None])[1], single.eval().head(single.extract_feat(image))
    )
