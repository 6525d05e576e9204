"""Models that come with the package: packed, checked, loaded, refused."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from rpstn.checkpoints import ModelError
from rpstn.engine.loading import joint_names, load_model
from rpstn.engine.shipped import FOLDER, from_pretrained, shipped_files
from rpstn.files import sha256
from rpstn.skeletons import get_skeleton

from lite_evaluation import evaluate, jhmdb_clips
from lite_predictors import label_predictor, seen_crops
from pack_lite import pack

TEXT = """
codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
model = dict(
    type='VideoPoseEstimator',
    data_preprocessor=dict(type='ClipDataPreprocessor', mean=[127.] * 3, std=[128.] * 3),
    backbone=dict(
        type='SharedBackbone', num_joints=15, channels=16, input_size=(64, 64),
        pretrained='nowhere.pth',
        encoder=dict(type='UpsampledBackbone', channels=16, width=16, input_size=(64, 64),
                     backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8,
                                   out_indices=(0, 1, 2, 3),
                                   init_cfg=dict(type='Pretrained', checkpoint='nowhere.pth')))),
    head=dict(type='RPSTNHead', num_joints=15, channels=16, relation=dict(type='JRE'),
              propagator=dict(type='JRPSP'), decoder=codec))
test_dataloader = dict(dataset=dict(
    type='JHMDBClipDataset', data_root='jhmdb', clip_len=3, pipeline=[
        dict(type='LoadClip'), dict(type='ClipBBox'),
        dict(type='ForEachFrame', transforms=[
            dict(type='TopdownAffine', input_size=codec['input_size'])]),
        dict(type='PackClipInputs')]))
train_dataloader = test_dataloader
"""


@pytest.fixture
def trained(tmp_path) -> tuple[Path, Path]:
    """Config and checkpoint of a small network, as training leaves them."""
    init_default_scope('mmpose')
    config, checkpoint = tmp_path / 'small.py', tmp_path / 'epoch_1.pth'
    config.write_text(TEXT)
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config).model)
    half = model.backbone.encoder.backbone  # as BlazePose's weights are released
    half.load_state_dict({name: value.half() for name, value in half.state_dict().items()})
    torch.save(dict(state_dict=model.state_dict(), optimizer=dict(step=7)), checkpoint)
    return config, checkpoint


@pytest.fixture
def packed(trained, tmp_path) -> Path:
    pack(*trained, name='small', folder=tmp_path / 'weights', about=dict(epochs='1'))
    return tmp_path / 'weights'


def test_what_was_packed_is_what_was_trained(trained, packed):
    whole, loaded = load_model(*trained), from_pretrained('small', folder=packed)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    theirs = whole.state_dict()
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, theirs[name]), name
    assert loaded.dataset_meta['keypoint_id2name'][2] == 'head'
    assert loaded.cfg.test_dataloader.dataset.pipeline[2].transforms[0].input_size == [64, 64]


def test_the_files_are_small_plain_and_safe(trained, packed):
    description = json.loads((packed / 'small.json').read_text())
    weights = packed / 'small.pt'
    saved = torch.load(weights, weights_only=True)  # which is what refuses anything executable
    assert set(saved) == {'state_dict'}
    for name, value in saved['state_dict'].items():
        if value.is_floating_point() and 'encoder.backbone.backbone' in name:
            assert value.dtype == torch.float16, name
    assert saved['state_dict']['head.propagator.kernel.0.weight'].dtype == torch.float32
    assert weights.stat().st_size < trained[1].stat().st_size
    assert description['bytes'] == weights.stat().st_size
    assert description['sha256'] == sha256(weights) and description['about'] == dict(epochs='1')
    model = load_model(*trained)
    assert description['parameters'] >= sum(p.numel() for p in model.parameters())
    assert 'nowhere' not in (packed / 'small.json').read_text()
    assert 'train_dataloader' not in description['config']
    assert sorted(path.name for path in packed.iterdir()) == ['small.json', 'small.pt']


def _flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    'spoil, message',
    [
        (lambda f: _flip_a_bit(f / 'small.pt'), 'its sha256 must be'),
        (lambda f: (f / 'small.pt').write_bytes(b'version https'), 'bytes, got 13'),
        (lambda f: (f / 'small.pt').unlink(), 'small.pt: the weights'),
        (lambda f: (f / 'small.json').write_text('{'), 'small.json: damaged'),
        (lambda f: (f / 'small.json').write_text('{"format": 1}'), "KeyError: 'sha256'"),
        (
            lambda f: (f / 'small.json').write_text(
                (f / 'small.json').read_text().replace('"format": 1', '"format": 9')
            ),
            'got 9',
        ),
    ],
)
def test_other_files_are_refused(packed, spoil, message):
    shipped_files('small', packed)
    spoil(packed)
    with pytest.raises(ModelError, match=message):
        from_pretrained('small', folder=packed)


def test_a_model_that_is_not_there(packed):
    with pytest.raises(ModelError, match=r"no model called 'lite'.*there: small.*training_lite"):
        from_pretrained('lite', folder=packed)
    with pytest.raises(ModelError, match='there: none'):
        from_pretrained('lite', folder=packed / 'nothing')


def test_what_cannot_be_shipped_is_not_written(trained, tmp_path):
    config, checkpoint = trained
    with pytest.raises(ModelError, match='MB packed, at most 0.001 MB'):
        pack(config, checkpoint, folder=tmp_path / 'w', largest_mb=0.001)
    saved = torch.load(checkpoint, weights_only=True)
    saved['state_dict'].popitem(last=False)
    torch.save(saved, checkpoint)
    with pytest.raises(ModelError, match='does not fit'):
        pack(config, checkpoint, folder=tmp_path / 'w')
    assert not list((tmp_path / 'w').glob('*'))


def test_the_shipped_lite():
    model = from_pretrained('lite')
    assert model.head.out_channels == 33 and model.backbone.input_size == (256, 256)
    assert tuple(joint_names(model.dataset_meta)) == get_skeleton('blazepose33').joints
    assert seen_crops(model) == 'label poses'
    assert (FOLDER / 'lite.pt').stat().st_size <= 15e6


def test_the_shipped_lite_finds_people_in_real_videos():
    """Three clips of the test part; docs/model_zoo.md has all."""
    try:
        dataset = jhmdb_clips('test')
    except FileNotFoundError as error:
        pytest.skip(str(error))
    model = from_pretrained('lite')
    row = evaluate('lite', seen_crops(model), label_predictor(model), dataset, every=9)
    assert row.clean['torso_PCK@0.2/mean'] > 0.45
    assert row.clean['bbox_PCK@0.2/mean'] > 0.75
