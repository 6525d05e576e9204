"""RPSTN-Lite: its size, one network for P and F, any backbone, the configs."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, HOOKS, MODELS, TRANSFORMS
from torch.utils.flop_counter import FlopCounterMode

from rpstn.pose.datasets import JHMDBClipDataset
from rpstn.skeletons import get_skeleton

CONFIGS = Path(__file__).parents[2] / 'configs/lite'
TINY = dict(type='ResNet', depth=18, stem_channels=16, base_channels=16, out_indices=(0, 1, 2, 3))
# The same lines take each of these.
BACKBONES = {
    'EfficientNet-Lite0': dict(type='EfficientNetLite'),
    'MobileNetV3': dict(type='MobileNetV3', arch='small', out_indices=(0, 2, 7, 10)),
    'MobileNetV3, one map': dict(type='MobileNetV3', arch='small'),
    'CSPNeXt': dict(
        type='CSPNeXt',
        deepen_factor=0.167,
        widen_factor=0.25,
        out_indices=(1, 2, 3, 4),
        norm_cfg=dict(type='BN'),
    ),
    'ResNet': TINY,
}
# Strided 1x1 convolutions of few channels stay out of the way of a crash in torch's backward.
K, C = 5, 16


@pytest.fixture(autouse=True)
def mmpose_scope():
    init_default_scope('mmpose')


def encoder(backbone: dict = TINY, **kwargs) -> dict:
    return {
        **dict(
            type='UpsampledBackbone', backbone=backbone, input_size=(64, 64), channels=C, width=24
        ),
        **kwargs,
    }


def shared(network: dict | None = None, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(
        {
            **dict(
                type='SharedBackbone',
                encoder=network or encoder(),
                input_size=(64, 64),
                channels=C,
                num_joints=K,
            ),
            **kwargs,
        }
    )


def estimator(network: dict | None = None):
    return MODELS.build(
        dict(
            type='VideoPoseEstimator',
            backbone=dict(
                type='SharedBackbone',
                encoder=network or encoder(),
                num_joints=K,
                channels=C,
                input_size=(64, 64),
            ),
            head=dict(
                type='RPSTNHead',
                num_joints=K,
                channels=C,
                relation=dict(type='JRE'),
                propagator=dict(type='JRPSP'),
            ),
        )
    )


def load(name: str) -> Config:
    return Config.fromfile(CONFIGS / f'{name}.py')


def test_size_and_cost_of_one_streamed_frame():
    cfg = load('rpstn_lite')
    cfg.model.backbone.update(pretrained=None, input_size=(256, 256))
    cfg.model.head.decoder.update(input_size=(256, 256), heatmap_size=(64, 64))
    model = MODELS.build(cfg.model).eval()
    parameters = sum(p.numel() for p in model.parameters())
    image = torch.zeros(1, 3, 256, 256)
    with torch.no_grad():
        state = model.head.start(*model.backbone.start(image))
        with FlopCounterMode(display=False) as counter:
            heatmaps, _ = model.head.step(*state, model.backbone.encoder(image))
    multiply_adds = counter.get_total_flops() / 2
    assert heatmaps.shape == (1, 15, 64, 64)
    assert 3e6 < parameters <= 6e6
    # Counted by hand: JRPSP's convolution on 62x62 cells alone takes 64 * 64 * 9 * 62 * 62.
    assert 5e8 + 64 * 64 * 9 * 62 * 62 < multiply_adds <= 1.5e9


def test_one_network_gives_features_and_heatmaps():
    backbone = shared().eval()
    clips = torch.randn(2, 3, 3, 64, 64)
    calls = []
    backbone.encoder.backbone.register_forward_hook(lambda *a: calls.append(len(a[1][0])))
    with torch.no_grad():
        features, heatmaps = backbone(clips)
        assert calls == [6], 'each frame once'
        assert features.shape == (2, 3, C, 16, 16) and heatmaps.shape == (2, K, 16, 16)
        torch.testing.assert_close(backbone.encoder(clips[1]), features[1], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            backbone.initializer(clips[:, 0]), heatmaps, rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize('name', BACKBONES)
def test_the_same_lines_take_any_backbone(name):
    model = estimator(encoder(BACKBONES[name])).train()
    clips = torch.randn(2, 2, 3, 64, 64)
    heatmaps = model._forward(clips)
    assert heatmaps.shape == (2, 2, K, 16, 16)
    heatmaps.square().mean().backward()
    untouched = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    # What MMPose's backbone has behind the last map that is asked for is the backbone's affair.
    assert not [n for n in untouched if not n.startswith('backbone.encoder.backbone.backbone.')]


def test_backbones_without_a_neck_get_deconvolutions():
    backbone = shared(dict(TINY, out_indices=(3,))).eval()
    features, heatmaps = backbone(torch.randn(1, 2, 3, 64, 64))
    assert features.shape == (1, 2, C, 16, 16) and heatmaps.shape == (1, K, 16, 16)


def test_clip_mode_equals_one_frame_at_a_time():
    model = estimator().eval()
    torch.nn.init.normal_(model.head.relation.out[1].weight)  # JRE is not the identity
    clip = torch.randn(1, 4, 3, 64, 64)
    with torch.no_grad():
        expected = model._forward(clip)[0]
        state = model.head.start(*model.backbone.start(clip[:, 0]))
        got = [state[0]]
        for t in range(1, 4):
            state = model.head.step(*state, model.backbone.encoder(clip[:, t]))
            got.append(state[0])
    torch.testing.assert_close(torch.cat(got), expected, rtol=1e-4, atol=1e-5)


def test_a_frozen_encoder_stays_as_it_is_and_the_rest_learns():
    model = estimator(encoder(frozen=True))
    assert not any(p.requires_grad for p in model.backbone.encoder.parameters()), 'at once'
    before = {key: value.clone() for key, value in model.backbone.encoder.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        model.train()
        optimizer.zero_grad()
        heatmaps = model._forward(torch.randn(2, 3, 3, 64, 64))
        (heatmaps - 1).square().mean().backward()
        optimizer.step()
    assert all(p.grad is None for p in model.backbone.encoder.parameters())
    for key, value in model.backbone.encoder.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert all(p.grad is not None for p in model.backbone.heatmaps.parameters())
    assert all(p.grad is not None for p in model.head.propagator.parameters())


def test_a_single_frame_model_is_taken_whole(tmp_path):
    torch.manual_seed(3)
    single = MODELS.build(
        dict(
            type='TopdownPoseEstimator',
            backbone=encoder(),
            head=dict(type='HeatmapHead', in_channels=C, out_channels=15, deconv_out_channels=None),
        )
    )
    meta = JHMDBClipDataset._load_metainfo()
    torch.save(
        dict(
            state_dict=single.state_dict(),
            meta=dict(dataset_meta=dict(keypoint_id2name=meta['keypoint_id2name'])),
        ),
        tmp_path / 'single.pth',
    )
    backbone = shared(
        encoder(dict(TINY, init_cfg=dict(type='Pretrained', checkpoint='nowhere'))),
        num_joints=15,
        pretrained=dict(checkpoint=str(tmp_path / 'single.pth'), joints='jhmdb15'),
    )
    backbone.init_weights()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = single.eval().head.forward(single.extract_feat(images))
        got = backbone.eval().initializer(images)
    assert expected.std() > 0
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize(
    'build, message',
    [
        (lambda: shared().encoder(torch.zeros(1, 3, 64, 40)), 'multiples of 32, got 40x64'),
        (lambda: shared()(torch.zeros(2, 3, 64, 64)), r'\(B, T, 3, H, W\)'),
        (lambda: MODELS.build(encoder(stride=128)), 'stride=128'),
        (lambda: MODELS.build(encoder(input_size=(60, 64))), 'multiples of'),
    ],
)
def test_what_does_not_fit_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.py')), ids=lambda path: path.stem)
def test_configs_build_and_name_what_exists(path):
    cfg = Config.fromfile(path)
    if 'pretrained' in cfg.model.backbone:
        cfg.model.backbone.pretrained = None
    model = MODELS.build(cfg.model)
    assert model.head.out_channels == 15
    data = cfg.train_dataloader.dataset
    parts = {d.type: d for d in data.datasets}
    assert parts['JHMDBClipDataset'].subset == 'train', 'never the test clips'
    assert cfg.val_dataloader.dataset.subset == 'val'
    assert cfg.test_dataloader.dataset.subset == 'test'
    steps = [t for d in (data, *data.datasets, cfg.val_dataloader.dataset) for t in d.pipeline]
    steps += [t for step in steps for t in step.get('transforms', [])]
    assert all(TRANSFORMS.get(step.type) is not None for step in steps)
    assert all(DATASETS.get(d.type) is not None for d in data.datasets)
    assert all(HOOKS.get(hook.type) is not None for hook in cfg.custom_hooks)
    # One input size everywhere, of which the head decodes, and one clip length.
    sizes = {tuple(step.input_size) for step in steps if 'input_size' in step}
    sizes |= {tuple(step.encoder.input_size) for step in steps if 'encoder' in step}
    assert sizes == {tuple(int(n) for n in model.head.decoder.input_size)}
    assert {d.clip_len for d in data.datasets} == {cfg.model.head.loss.clip_len}
    assert cfg.train_cfg.max_epochs == cfg.param_scheduler[1].T_max


def test_the_twin_differs_in_relation_and_propagation_alone():
    ours, twin = (load(name).to_dict() for name in ('rpstn_lite', 'single_lite'))
    models = ours.pop('model'), twin.pop('model')
    start = twin.pop('load_from')
    ours.pop('load_from')
    assert models[0]['backbone']['pretrained']['checkpoint'] == start
    assert ours == twin
    ours, twin = models
    assert ours['backbone']['encoder'] == twin['backbone']
    assert all(ours['head'][key] == twin['head'][key] for key in ('loss', 'decoder'))
    assert twin['data_preprocessor'].pop('fold_frames') is True
    assert ours['data_preprocessor'] == twin['data_preprocessor']
    pretrain = load('single_pretrain')
    assert start == f'work_dirs/single_pretrain/epoch_{pretrain.train_cfg.max_epochs}.pth'


def test_without_jre_differs_in_jre_alone():
    ours, without = (load(name).to_dict() for name in ('rpstn_lite', 'rpstn_lite_no_jre'))
    assert ours['model']['head'].pop('relation') and not without['model']['head'].pop('relation')
    assert ours == without


@pytest.mark.parametrize('depth', [18, 50])
def test_with_a_resnet_every_frame_starts_as_the_single_frame_model(tmp_path, depth):
    single, ours = load(f'single_pretrain_resnet{depth}'), load(f'rpstn_resnet{depth}')
    start = f'work_dirs/single_pretrain_resnet{depth}/epoch_{single.train_cfg.max_epochs}.pth'
    assert single.model.backbone.depth == ours.model.backbone.encoder.depth == depth
    assert ours.model.backbone.pretrained.checkpoint == start
    assert ours.model.head.propagator.pretrained == start
    assert single.param_scheduler[1].T_max == single.train_cfg.max_epochs
    torch.manual_seed(0)
    frame = MODELS.build(single.model).eval()
    names = get_skeleton('jhmdb15').joints
    torch.save(
        dict(
            state_dict=frame.state_dict(),
            meta=dict(dataset_meta=dict(keypoint_id2name=dict(enumerate(names)))),
        ),
        tmp_path / 'single.pth',
    )
    for part in (ours.model.backbone.pretrained, ours.model.head.propagator):
        part['checkpoint' if 'checkpoint' in part else 'pretrained'] = str(tmp_path / 'single.pth')
    video = MODELS.build(ours.model)
    video.init_weights()
    clip = torch.rand(1, 2, 3, 192, 192)
    with torch.no_grad():
        expected = frame.head(frame.backbone(clip[0]))
        torch.testing.assert_close(
            video.eval()(clip, None, mode='tensor')[0], expected, rtol=1e-4, atol=1e-6
        )
    # The ResNet itself stays as it is, its deconvolutions learn on.
    assert {
        name.split('.')[2]
        for name, p in video.named_parameters()
        if p.requires_grad and name.startswith('backbone.encoder.')
    } == {'head'}
