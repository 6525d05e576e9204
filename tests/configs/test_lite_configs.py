"""RPSTN-Lite: its size, one network for P and F, any backbone, the configs."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, HOOKS, MODELS, TRANSFORMS
from torch.utils.flop_counter import FlopCounterMode

from rpstn.engine.loading import joint_names
from rpstn.engine.shipped import shipped_files
from rpstn.skeletons import get_skeleton

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs/lite'
NAMES = dict(enumerate(get_skeleton('blazepose33').joints))
TINY = dict(type='ResNet', depth=18, stem_channels=16, base_channels=16, out_indices=(0, 1, 2, 3))
# The same lines take each of these.
BACKBONES = {
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


def multiply_adds(call, *inputs) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call(*inputs)
    return counter.get_total_flops() // 2


def without_weights(cfg: Config) -> Config:
    """The same config, which reads no file."""
    if 'pretrained' in cfg.model.backbone:
        cfg.model.backbone.pretrained = None
        cfg.model.head.propagator.pop('pretrained', None)
    return cfg


def test_size_and_cost_of_one_streamed_frame():
    image, costs = torch.zeros(1, 3, 256, 256), {}
    for name in ('rpstn_lite_readout', 'single_lite'):
        model = MODELS.build(without_weights(load(name)).model).eval()
        with torch.no_grad():
            state = model.head.start(*model.backbone.start(image))
            encoded = state[1][:, :64]
            assert model.head.step(*state, encoded)[0].shape == (1, 33, 64, 64)
        costs[name] = multiply_adds(model.head.step, *state, encoded)
        assert 3e6 < sum(p.numel() for p in model.parameters()) < 3.5e6
        # What is trained is small: the rest is BlazePose's, and the neck's.
        assert sum(p.numel() for p in model.parameters() if p.requires_grad) < 0.15e6
        assert 3.5e8 < multiply_adds(model.backbone.encoder, image) < 4.5e8
    # By hand: the last layer alone, and S's first two convolutions with their narrower maps.
    assert costs['single_lite'] == 64 * 33 * 64 * 64
    assert 97 * 32 * 64 * 64 + 32 * 32 * 9 * 62 * 62 < costs['rpstn_lite_readout'] < 1.2e8


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


# Narrow, its last map of a quarter of the input.
BRANCHES = [(1, 'BOTTLENECK', 4)] + [(n, 'BASIC', n) for n in (2, 3, 4)]
HRNET = dict(
    type='HRNet',
    extra={
        f'stage{number}': dict(
            num_modules=1,
            num_branches=branches,
            block=block,
            num_blocks=(1,) * branches,
            num_channels=tuple(8 * 2**n for n in range(branches)),
        )
        for number, (branches, block, _) in enumerate(BRANCHES, 1)
    },
)


@pytest.mark.parametrize('network', [dict(TINY, out_indices=(3,)), HRNET], ids=['ResNet', 'HRNet'])
def test_backbones_without_a_neck_get_what_they_lack(network):
    backbone = shared(network).eval()
    features, heatmaps = backbone(torch.randn(1, 2, 3, 64, 64))
    assert features.shape == (1, 2, C, 16, 16) and heatmaps.shape == (1, K, 16, 16)


@pytest.mark.parametrize('kernel', [3, 7])
def test_the_necks_depthwise_convolutions_have_the_kernel_asked_for(kernel):
    network = MODELS.build(encoder(kernel=kernel)).eval()
    depthwise = [
        m for m in network.smooth.modules() if isinstance(m, torch.nn.Conv2d) and m.groups > 1
    ]
    assert len(depthwise) == 4 and {m.kernel_size for m in depthwise} == {(kernel, kernel)}
    assert network(torch.randn(1, 3, 64, 64))[0].shape == (1, C, 16, 16)


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


def save(model: torch.nn.Module, path: Path) -> str:
    """As training leaves a model of BlazePose's landmarks."""
    meta = dict(dataset_meta=dict(keypoint_id2name=NAMES))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return str(path)


def test_a_single_frame_model_is_taken_whole(tmp_path):
    torch.manual_seed(3)
    single = MODELS.build(
        dict(
            type='TurnedPoseEstimator',
            backbone=encoder(),
            head=dict(type='HeatmapHead', in_channels=C, out_channels=33, deconv_out_channels=None),
        )
    )
    backbone = shared(
        encoder(dict(TINY, init_cfg=dict(type='Pretrained', checkpoint='nowhere'))),
        num_joints=33,
        pretrained=dict(checkpoint=save(single, tmp_path / 'single.pth'), joints='blazepose33'),
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
        (lambda: MODELS.build(encoder(kernel=4)), 'kernel must be odd, got 4'),
        (lambda: MODELS.build(encoder(input_size=(60, 64))), 'multiples of'),
    ],
)
def test_what_does_not_fit_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def leaves(dataset: dict) -> list[dict]:
    """Of data sets within data sets the innermost."""
    inner = dataset.get('datasets') or [dataset[k] for k in ('dataset',) if k in dataset]
    return [leaf for one in inner for leaf in leaves(one)] if inner else [dataset]


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.py')), ids=lambda path: path.stem)
def test_configs_build_and_name_what_exists(path):
    cfg = without_weights(Config.fromfile(path))
    model = MODELS.build(cfg.model)
    assert model.head.out_channels == 33
    train = leaves(cfg.train_dataloader.dataset)
    # Never the clips that are validated on, nor those of the tables.
    assert [(d.data_root, d.labels) for d in train] == [
        ('jhmdb/ReCompress_Videos', 'teacher_blazepose/train'),
        ('jhmdb_unlabelled', 'teacher_blazepose/unlabelled'),
    ]
    held_out = [loader.dataset for loader in (cfg.val_dataloader, cfg.test_dataloader)]
    assert {d.labels for d in held_out} == {'teacher_blazepose/val'}
    assert all(d.type == 'TeacherClipDataset' for d in (*train, *held_out))
    steps = [t for d in (*train, *held_out) for t in d.pipeline]
    steps += [t for step in steps for t in step.get('transforms', [])]
    assert all(TRANSFORMS.get(step.type) is not None for step in steps)
    assert all(DATASETS.get(d.type) is not None for d in cfg.train_dataloader.dataset.datasets)
    assert all(HOOKS.get(hook.type) is not None for hook in cfg.custom_hooks)
    # One input size everywhere, of which the head decodes, one skeleton, and one clip length.
    sizes = {tuple(step.input_size) for step in steps if 'input_size' in step}
    sizes |= {tuple(step.encoder.input_size) for step in steps if 'encoder' in step}
    sizes |= {TRANSFORMS.build(s).input_size for s in steps if s.type == 'ClipBody'}
    assert sizes == {tuple(int(n) for n in model.head.decoder.input_size)} == {(256, 256)}
    assert {step.joints for step in steps if 'joints' in step} == {'blazepose33'}
    assert {d.clip_len for d in train} == {cfg.model.head.loss.clip_len}
    assert cfg.train_cfg.max_epochs == cfg.param_scheduler[1].T_max
    assert cfg.train_cfg.max_epochs % cfg.train_cfg.val_interval == 0, 'the last one is judged'


def test_crops_are_as_crooked_and_late_in_training_alone():
    cfg = load('rpstn_lite')
    for train in leaves(cfg.train_dataloader.dataset):
        occluders, flip, crop = train.pipeline[1:4]
        assert (occluders.type, flip.type) == ('ClipOccluders', 'ForEachFrame')
        assert crop.lag and crop.rotate_factor and crop.shift_factor
        assert crop.padding == cfg.upright.padding
    (crop,) = (s for s in cfg.test_dataloader.dataset.pipeline if s.type == 'ClipBody')
    assert crop == cfg.upright and not {'lag', 'rotate_factor', 'shift_factor'} & set(crop)


def test_the_teachers_clips_are_in_one_part_alone():
    limbs = 'jhmdb/ReCompress_Videos'
    roots = dict(train=limbs, val=limbs, unlabelled='jhmdb_unlabelled')
    options = {
        part: dict(type='TeacherClipDataset', data_root=root, labels=f'teacher_blazepose/{part}')
        for part, root in roots.items()
    } | dict(test=dict(type='JHMDBClipDataset', subset='test'))
    try:
        parts = {part: DATASETS.build(dict(given, clip_len=8)) for part, given in options.items()}
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert joint_names(parts['train'].metainfo) == list(NAMES.values())
    names = [{clip.name for clip in part.sequences} for part in parts.values()]
    assert min(map(len, names)) > 20
    assert len(set.union(*names)) == sum(map(len, names))


def without_scores(config: dict) -> dict:
    """The config with the codec that its map from peaks to scores is put on."""
    decoder = config['model']['head']['decoder']
    assert decoder['type'] == 'CalibratedHeatmap' and len(decoder.pop('knots')) == 7
    decoder['type'] = 'MSRAHeatmap'
    return config


def test_the_twin_differs_in_relation_scores_and_propagation_alone():
    ours, twin = (load(name).to_dict() for name in ('rpstn_lite', 'single_lite'))
    start = ours['model']['backbone']['pretrained']['checkpoint']
    assert twin['model']['head'].pop('relation') is None and ours['model']['head'].pop('relation')
    assert ours['model']['head'].pop('propagator').pop('pretrained') == start
    assert twin['model']['head'].pop('propagator') == dict(type='NoPropagator', pretrained=start)
    assert without_scores(twin) == ours
    pretrain = load('single_pretrain')
    assert start == f'work_dirs/single_pretrain/epoch_{pretrain.train_cfg.max_epochs}.pth'
    # It is the same network, and sees its images alike.
    theirs, ours = pretrain.model.to_dict(), load('rpstn_lite').model.to_dict()
    assert (
        ours['backbone']['encoder'].pop('frozen')
        and ours['backbone']['encoder'] == theirs['backbone']
    )
    assert theirs['data_preprocessor'].pop('fold_frames') is True
    assert theirs['data_preprocessor'] == ours['data_preprocessor']
    assert theirs['head']['decoder'] == ours['head']['decoder']


def test_without_jre_differs_in_jre_and_scores_alone():
    ours, without = (load(name).to_dict() for name in ('rpstn_lite', 'rpstn_lite_no_jre'))
    assert ours['model']['head'].pop('relation') and not without['model']['head'].pop('relation')
    assert without_scores(without) == ours


def test_what_ships_differs_in_its_readout_and_scores_alone():
    ships, trained = (load(name).to_dict() for name in ('rpstn_lite_readout', 'rpstn_lite'))
    assert ships['model']['head'].pop('readout')['type'] == 'TokenRelation'
    decoder = ships['model']['head']['decoder']
    assert decoder.pop('type') == 'CalibratedHeatmap' and len(decoder.pop('knots')) == 7
    decoder['type'] = 'MSRAHeatmap'
    assert ships == trained and 'readout' not in trained['model']['head']


def test_the_config_that_ships_is_the_one_in_the_package():
    config, _ = shipped_files()
    ships = json.loads(json.dumps(load('rpstn_lite_readout').model.head.decoder))
    assert config.model.head.decoder == ships


def check_start(single: Config, ours: Config, folder: Path) -> torch.nn.Module:
    """The model of a config, once it was seen to start as the single-frame one."""
    torch.manual_seed(0)
    frame = MODELS.build(single.model).eval()
    saved = save(frame, folder / 'single.pth')
    ours.model.backbone.pretrained.checkpoint = ours.model.head.propagator.pretrained = saved
    video = MODELS.build(ours.model)
    video.init_weights()
    clip = torch.rand(1, 2, 3, 256, 256)
    with torch.no_grad():
        expected = frame.head(frame.backbone(clip[0]))
        found = video.eval()(clip, None, mode='tensor')[0]
    assert expected.shape == (2, 33, 64, 64) and expected.std() > 0
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    return video


STARTS = {
    'rpstn_lite': 'single_pretrain',
    'rpstn_lite_readout': 'single_pretrain',
    'rpstn_lite_no_jre': 'single_pretrain',
    'single_lite': 'single_pretrain',
    'rpstn_resnet18': 'single_pretrain_resnet18',
    'rpstn_resnet50': 'single_pretrain_resnet50',
}


@pytest.mark.parametrize('name', STARTS)
def test_every_frame_starts_as_the_single_frame_model(tmp_path, name):
    single, ours = load(STARTS[name]), load(name)
    start = f'work_dirs/{STARTS[name]}/epoch_{single.train_cfg.max_epochs}.pth'
    assert ours.model.backbone.pretrained.checkpoint == start
    assert ours.model.head.propagator.pretrained == start
    video = check_start(single, ours, tmp_path)
    # BlazePose and the neck stay as they are, a ResNet, too, whose deconvolutions learn on.
    video.train()
    learning = {
        name.split('.')[2]
        for name, p in video.named_parameters()
        if p.requires_grad and name.startswith('backbone.encoder.')
    }
    assert learning == ({'head'} if 'resnet' in name else set())


def blocks(section: str) -> list[str]:
    """The Python of one section of docs/training_lite.md."""
    text = (ROOT / 'docs/training_lite.md').read_text(encoding='utf-8')
    part = text.partition(f'## {section}\n')[2].partition('\n## ')[0]
    return [block.partition('```')[0] for block in part.split('```python\n')[1:]]


def test_the_page_puts_rpstn_on_another_network(tmp_path):
    single, video = blocks('RPSTN on another pose network of MMPose')
    for name, text in (('single_pretrain_mine', single), ('rpstn_mine', video)):
        (base,) = (line for line in text.splitlines() if line.startswith('_base_'))
        there = base.split("'")[1]
        (tmp_path / f'{name}.py').write_text(text.replace(there, str(CONFIGS / there)))
    single, ours = (
        Config.fromfile(tmp_path / f'{n}.py') for n in ('single_pretrain_mine', 'rpstn_mine')
    )
    assert single.model.backbone.backbone.type == 'CSPNeXt'
    assert single.model.backbone.backbone == ours.model.backbone.encoder.backbone
    assert single.model.data_preprocessor.mean == ours.model.data_preprocessor.mean
    start = f'work_dirs/single_pretrain_mine/epoch_{single.train_cfg.max_epochs}.pth'
    assert ours.model.backbone.pretrained.checkpoint == start
    assert ours.model.head.propagator.pretrained == start
    check_start(single, ours, tmp_path)
