"""Weights that cannot be had, batch norms folded away, and what fits which machine."""

import http.server
import threading

import pytest
import torch
from mmaction.registry import MODELS as RECOGNIZERS
from mmcv.cnn import ConvModule
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.runner import Runner
from mmpose.registry import MODELS
from torch import nn

from rpstn.engine.configs import parse_settings, read_config
from rpstn.engine.cpu import PackedConv, fold_batch_norms, for_inference, pack_convolutions
from rpstn.engine.run import RunOptions, load_config
from rpstn.engine.runner import build_runner, drop_unreachable_weights, fit_machine
from rpstn.errors import SettingError
from rpstn.pose.models.propagation import ReducedConv

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
UNREACHABLE = 'http://127.0.0.1:9/x.pth'  # nothing listens on the discard port
RESNET = dict(type='ResNet', depth=18, stem_channels=8, base_channels=8)
HRNET_STAGE = dict(num_modules=1, block='BASIC')
HRNET = dict(
    type='HRNet',
    in_channels=3,
    extra=dict(
        stage1=dict(
            num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(1,), num_channels=(8,)
        ),
        stage2=dict(HRNET_STAGE, num_branches=2, num_blocks=(1, 1), num_channels=(8, 16)),
        stage3=dict(HRNET_STAGE, num_branches=3, num_blocks=(1,) * 3, num_channels=(8, 16, 32)),
        stage4=dict(HRNET_STAGE, num_branches=4, num_blocks=(1,) * 4, num_channels=(8, 16, 32, 64)),
    ),
)
ENCODERS = {
    'ResNet': RESNET,
    'HRNet': HRNET,
    'MobileNetV2': dict(type='MobileNetV2', widen_factor=0.25, out_indices=(7,)),
    'MobileNetV3': dict(type='MobileNetV3', arch='small'),
}


@pytest.fixture(autouse=True)
def mmpose_scope():
    init_default_scope('mmpose')


def pretrained(url: str) -> dict:
    return dict(type='Pretrained', checkpoint=url)


# Weights from the network.


@pytest.fixture
def server():
    """A local web server that has ``/there.pth`` and nothing else; yields address and requests."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            requests.append(self.path)
            self.send_response(200 if self.path == '/there.pth' else 404)
            self.end_headers()

        def log_message(self, *args) -> None:
            pass

    with http.server.HTTPServer(('127.0.0.1', 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f'http://127.0.0.1:{served.server_port}', requests
        served.shutdown()
        thread.join()


def test_unreachable_weights_are_dropped_wherever_they_are_named(caplog):
    cfg = Config(
        dict(
            model=dict(
                type='VideoPoseEstimator',
                backbone=dict(
                    type='RPSTNBackbone',
                    num_joints=13,
                    encoder=dict(RESNET, init_cfg=pretrained(UNREACHABLE)),
                    initializer=dict(RESNET, init_cfg=pretrained('local.pth')),
                    initializer_init=pretrained(UNREACHABLE),
                ),
                necks=[dict(type='X', init_cfg=pretrained(UNREACHABLE.replace('x.pth', 'y.pth')))],
                head=dict(init_cfg=[dict(type='Normal', layer='Conv2d', std=0.1)]),
            )
        )
    )
    with caplog.at_level('WARNING', logger='mmengine'):
        dropped = drop_unreachable_weights(cfg)
    assert sorted(dropped) == [UNREACHABLE] * 2 + [UNREACHABLE.replace('x.pth', 'y.pth')]
    backbone = cfg.model.backbone
    assert backbone.encoder.init_cfg is backbone.initializer_init is None
    assert cfg.model.necks[0].init_cfg is None
    assert backbone.initializer.init_cfg.checkpoint == 'local.pth'
    assert cfg.model.head.init_cfg[0].type == 'Normal'
    model = MODELS.build(backbone.encoder)
    model.init_weights()  # MMPose's ResNet starts at random then


def test_reachable_weights_stay_and_missing_files_of_a_server_do_not(server):
    address, requests = server
    cfg = Config(
        dict(
            model=dict(
                a=dict(type='ResNet', init_cfg=pretrained(f'{address}/there.pth')),
                b=dict(type='ResNet', init_cfg=pretrained(f'{address}/missing.pth')),
                c=dict(type='ResNet', init_cfg=pretrained(f'{address}/there.pth')),
            )
        )
    )
    assert drop_unreachable_weights(cfg) == [f'{address}/missing.pth']
    assert cfg.model.a.init_cfg.checkpoint == cfg.model.c.init_cfg.checkpoint
    assert sorted(requests) == ['/missing.pth', '/there.pth']  # each asked for once


def test_a_file_in_torchs_cache_needs_no_server(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setattr(torch.hub, '_hub_dir', None)
    cfg = Config(dict(model=dict(type='ResNet', init_cfg=pretrained(UNREACHABLE))))
    (tmp_path / 'hub/checkpoints').mkdir(parents=True)
    source = MODELS.build(RESNET)
    torch.save(source.state_dict(), tmp_path / 'hub/checkpoints/x.pth')
    assert drop_unreachable_weights(cfg) == []
    # MMEngine really takes it from there.
    model = MODELS.build(dict(RESNET, init_cfg=cfg.model.init_cfg))
    model.init_weights()
    assert torch.equal(model.conv1.weight, source.conv1.weight)


# Configs.


def test_options_replace_settings_of_the_config(tmp_path, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    (tmp_path / 'some.py').write_text(
        "model = dict(depth=50, sizes=[1, 2])\nvisualization = dict(type='X', enable=False)\n"
        'default_hooks = dict(visualization=visualization)\n'
    )
    cfg = load_config(
        tmp_path / 'some.py',
        RunOptions(
            cfg_options=parse_settings(
                ['model.depth=18', 'model.sizes=7,2', 'train_cfg.max_epochs=2'], '--cfg-options'
            ),
            show_dir='drawn',
            interval=3,
        ),
    )
    assert cfg.model == dict(depth=18, sizes=[7, 2]) and cfg.train_cfg.max_epochs == 2
    assert cfg.launcher == 'none' and cfg.work_dir == 'work_dirs/some'
    assert cfg.default_hooks.visualization == dict(
        type='X', enable=True, show=False, interval=3, out_dir='drawn'
    )
    assert load_config(tmp_path / 'some.py', RunOptions(work_dir='mine')).work_dir == 'mine'


@pytest.mark.parametrize(
    ('text', 'settings', 'message'),
    [
        ('model = dict(', {}, r'some\.py: the config cannot be read: SyntaxError'),
        ("_base_ = 'other.py'", {}, r'some\.py: the config cannot be read: FileNotFoundError'),
        (
            "custom_imports = dict(imports=['nowhere'], allow_failed_imports=False)",
            {},
            "the config cannot be read: ModuleNotFoundError: No module named 'nowhere'",
        ),
        ('model = [1]', {'modle.depth': 3}, r'got modle\.depth; is model meant'),
        ('model = [1, 2]', {'model.depth.deep': 3}, r'model\.depth\.deep has no place'),
    ],
)
def test_a_config_that_cannot_be_read_is_one_line(tmp_path, text, settings, message):
    (tmp_path / 'some.py').write_text(text)
    with pytest.raises(SettingError, match=message) as error:
        read_config(tmp_path / 'some.py', settings)
    assert '\n' not in str(error.value)


def test_settings_are_key_and_value():
    assert parse_settings(['a.b=1', 'c=[x,y]', 'd=='], ' --smooth') == {
        'a.b': 1,
        'c': ['x', 'y'],
        'd': '=',
    }
    for pair in ('min_cutoff', '=1'):
        with pytest.raises(SettingError, match=f"--smooth must be key=value, got '{pair}'"):
            parse_settings([pair], '--smooth')


def test_drawing_needs_a_hook(tmp_path, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    (tmp_path / 'some.py').write_text('model = dict()')
    with pytest.raises(SettingError, match=r'default_hooks\.visualization is not set'):
        load_config(tmp_path / 'some.py', RunOptions(show_dir='drawn'))
    with pytest.raises(SettingError, match=r'other\.py: no such config file'):
        load_config(tmp_path / 'other.py')


@pytest.mark.skipif(torch.cuda.is_available(), reason='this machine has a GPU')
def test_without_a_gpu_processes_talk_by_gloo():
    cfg = Config(
        dict(
            env_cfg=dict(dist_cfg=dict(backend='nccl'), cudnn_benchmark=False),
            find_unused_parameters=True,
        )
    )
    fit_machine(cfg)
    assert cfg.env_cfg == dict(dist_cfg=dict(backend='gloo'), cudnn_benchmark=False)
    assert cfg.model_wrapper_cfg.device_ids is None
    assert cfg.model_wrapper_cfg.find_unused_parameters


@MODELS.register_module(force=True)
class Network(BaseModel):
    """Layers in a model that a runner takes."""

    def __init__(self, layers: list[dict], **kwargs) -> None:
        super().__init__(**kwargs)
        self.network = nn.Sequential(
            *(getattr(nn, layer.pop('kind'))(**layer) for layer in map(dict, layers))
        )

    def forward(self, *args, **kwargs):
        raise NotImplementedError


def runner_of(work_dir, *layers: dict) -> Runner:
    return build_runner(
        Config(
            dict(
                default_scope='mmpose',
                model=dict(type='Network', layers=layers),
                work_dir=str(work_dir),
                visualizer=dict(
                    type='PoseLocalVisualizer',
                    name='visualizer',
                    vis_backends=[dict(type='LocalVisBackend')],
                ),
                experiment_name=work_dir.name,
            )
        )
    )


def test_convolutions_are_laid_out_channels_last_where_that_works(tmp_path):
    def strides(*layers: dict) -> tuple[int, ...]:
        return runner_of(tmp_path, *layers).model.network[0].weight.stride()

    first = dict(kind='Conv2d', in_channels=4, out_channels=5, kernel_size=3)
    assert strides(first) == (36, 1, 12, 4)
    assert strides(first, dict(first, stride=(2, 1))) == (36, 1, 12, 4)
    assert strides(first, dict(first, kind='Conv3d')) == (36, 9, 3, 1)
    # torch 2.13 dies of a segmentation fault in the backward pass of such a layer.
    assert strides(first, dict(first, kernel_size=1, stride=(2, 1))) == (36, 9, 3, 1)


def test_every_run_of_a_process_logs_into_its_own_folder(tmp_path):
    for name in ('first', 'second'):
        runner = runner_of(tmp_path / name)
        runner.visualizer.add_scalar('loss', 1.0, step=1)
        assert len(list((tmp_path / name).glob('*/vis_data/scalars.json'))) == 1


# Batch norms folded into convolutions.


def shaken(model: nn.Module) -> nn.Module:
    """In evaluation mode, with weights and statistics as if trained."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, NORMS) and module.affine:
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
        if isinstance(module, NORMS) and module.track_running_stats:
            module.running_mean.normal_(std=0.3)
            module.running_var.uniform_(0.5, 2)
    return model.eval()


def assert_same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Within 1e-5 of the largest value."""
    assert theirs.abs().max() > 0 and theirs.std() > 0
    scale = theirs.abs().max()
    torch.testing.assert_close(ours / scale, theirs / scale, rtol=0, atol=1e-5)


@pytest.mark.parametrize('name', ENCODERS)
def test_a_model_for_inference_answers_the_same(name):
    model = shaken(
        MODELS.build(
            dict(
                type='VideoPoseEstimator',
                backbone=dict(
                    type='RPSTNBackbone',
                    num_joints=5,
                    channels=48,
                    input_size=(64, 64),
                    encoder=ENCODERS[name],
                ),
                head=dict(
                    type='RPSTNHead',
                    num_joints=5,
                    channels=48,
                    relation=dict(type='JRE'),
                    propagator=dict(type='JRPSP'),
                ),
            )
        )
    )
    before = {key: value.clone() for key, value in model.state_dict().items()}
    fast = for_inference(model)
    clip = torch.randn(2, 3, 3, 64, 64)
    with torch.no_grad():
        features, initial = model.backbone(clip)
        fast_features, fast_initial = fast.backbone(clip)
        assert_same(fast_features, features)
        assert_same(fast_initial, initial)
        assert_same(fast(clip, None, mode='tensor'), model(clip, None, mode='tensor'))
    norms = [
        sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) for network in (model, fast)
    ]
    assert norms[0] > 40 and norms[1] == 1  # the head's last one follows no convolution
    assert isinstance(fast.head.propagator.kernel[0], ReducedConv)
    assert not any(p.requires_grad for p in fast.parameters())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize('name', ENCODERS)
def test_packed_convolutions_answer_the_same(name):
    if not hasattr(torch.ops.mkldnn, '_reorder_convolution_weight'):
        pytest.skip('torch has no oneDNN here')
    fast = for_inference(shaken(nn.Sequential(MODELS.build(ENCODERS[name]))))
    packed = pack_convolutions(fast)
    assert sum(isinstance(m, PackedConv) for m in packed.modules()) > 15
    assert not any(isinstance(m, PackedConv) for m in fast.modules())
    assert {p.data_ptr() for p in packed.parameters()} <= {p.data_ptr() for p in fast.parameters()}
    for size in ((1, 3, 64, 64), (3, 3, 96, 64)):  # packed for the first
        images = torch.randn(size)
        with torch.no_grad():
            for ours, theirs in zip(packed(images), fast(images)):
                assert_same(ours, theirs)


def test_packed_convolutions_in_bfloat16_are_close():
    fast = for_inference(shaken(nn.Sequential(MODELS.build(ENCODERS['ResNet']))))
    packed = pack_convolutions(fast, torch.bfloat16)
    if packed is fast:
        pytest.skip('no oneDNN, or no bfloat16, here')
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        found = packed(images)
    with torch.no_grad():
        for ours, theirs in zip(found, fast(images), strict=True):
            assert ours.dtype == torch.bfloat16
            assert 0 < (ours - theirs).abs().max() < 0.05 * theirs.abs().max()


class Odd(nn.Module):
    """Norms that must not be folded, or not so."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_first = ConvModule(
            4, 4, 3, padding=1, norm_cfg=dict(type='BN'), order=('norm', 'conv', 'act')
        )
        self.activated = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(), nn.BatchNorm2d(4))
        self.transposed = nn.Sequential(nn.ConvTranspose2d(4, 6, 4, 2), nn.BatchNorm2d(6))
        self.grouped = nn.Sequential(
            nn.ConvTranspose2d(6, 8, 4, 2, groups=2),
            nn.BatchNorm2d(8),
            nn.Conv2d(8, 8, 3, groups=8),
            nn.BatchNorm2d(8, affine=False),
        )
        self.of_the_batch = nn.Sequential(
            nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8, track_running_stats=False)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.transposed(self.activated(self.norm_first(x)))
        return self.of_the_batch(self.grouped(x))


def test_only_norms_that_follow_a_convolution_are_folded():
    model = shaken(Odd())
    x = torch.randn(2, 4, 8, 8)
    with torch.no_grad():
        expected = model(x)
        folded = fold_batch_norms(model)
        assert_same(folded(x), expected)
    left = {name for name, module in folded.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert left == {'norm_first.bn', 'activated.2', 'grouped.1', 'of_the_batch.1'}


class OverTime(nn.Module):
    """Convolutions over time of every kind."""

    def __init__(self) -> None:
        super().__init__()
        self.strided = nn.Sequential(
            nn.Conv1d(6, 8, 3, 2, 1, bias=False), nn.BatchNorm1d(8), nn.ReLU(inplace=True)
        )
        self.grouped = nn.Sequential(
            nn.Conv1d(8, 12, 5, groups=4, dilation=2, padding=4), nn.BatchNorm1d(12)
        )
        self.circular = nn.Conv1d(12, 4, 3, padding=1, padding_mode='circular')
        self.same = nn.Conv1d(4, 4, 4, padding='same')

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.same(self.circular(self.grouped(self.strided(x)) + self.strided(x)[:, :1]))


@pytest.mark.parametrize('frames', [1, 2, 31])
def test_convolutions_over_time_answer_the_same(frames):
    model = shaken(OverTime())
    x = torch.randn(2, 6, frames)
    fast = for_inference(model)
    with torch.no_grad():
        assert_same(fast(x), model(x))
        assert_same(fast(x.transpose(1, 2).contiguous().transpose(1, 2)), model(x))
    assert not any(isinstance(module, nn.BatchNorm1d) for module in fast.modules())
    # Circular and unsymmetric padding stay as torch has them.
    assert [name for name, module in fast.named_modules() if type(module) is nn.Conv1d] == [
        'circular',
        'same',
    ]


@pytest.mark.parametrize('config', ['tdm_squat', 'form_squat', 'stgcn_squat'])
def test_a_recognizer_for_inference_answers_the_same(config):
    cfg = Config.fromfile(f'configs/{config}.py')
    with DefaultScope.overwrite_default_scope('mmaction'):
        model = shaken(RECOGNIZERS.build(cfg.model))
    clips = torch.randn(2, 1, 1, 64, 19, 3)
    with torch.no_grad():
        expected = model(clips, stage='head')
        scores = for_inference(model)(clips, stage='head')
    assert_same(scores, expected)
