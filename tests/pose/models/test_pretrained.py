"""Single-frame models of MPII and COCO: trained by their configs, and what RPSTN takes of them."""

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from rpstn.checkpoints import ModelError
from rpstn.engine.run import RunOptions, train
from rpstn.skeletons import get_skeleton

ROOT = Path(__file__).parents[3]
SMALL = dict(depth=18, stem_channels=8, base_channels=8, init_cfg=None)
MPII = (
    'right_ankle right_knee right_hip left_hip left_knee left_ankle pelvis thorax upper_neck '
    'head_top right_wrist right_elbow right_shoulder left_shoulder left_elbow '
    'left_wrist'
).split()


def write_mpii(root: Path) -> dict:
    people = []
    for n in range(2):
        rng = np.random.default_rng(n)
        cv2.imwrite(str(root / f'{n}.jpg'), rng.integers(0, 255, (120, 160, 3), np.uint8))
        people.append(
            dict(
                image=f'{n}.jpg',
                center=[80, 60],
                scale=0.6,
                joints=rng.uniform(20, 100, (16, 2)).tolist(),
                joints_vis=[1] * 16,
            )
        )
    (root / 'labels.json').write_text(json.dumps(people))
    return dict(data_root=str(root), ann_file='labels.json', data_prefix=dict(img=''))


def write_coco(root: Path) -> dict:
    images, people = [], []
    for n in range(2):
        rng = np.random.default_rng(n)
        cv2.imwrite(str(root / f'{n}.jpg'), rng.integers(0, 255, (120, 160, 3), np.uint8))
        images.append(dict(id=n, file_name=f'{n}.jpg', width=160, height=120))
        joints = np.concatenate([rng.uniform(20, 100, (17, 2)), np.full((17, 1), 2)], 1)
        people.append(
            dict(
                id=n,
                image_id=n,
                category_id=1,
                iscrowd=0,
                bbox=[15, 15, 90, 90],
                area=8100,
                num_keypoints=17,
                keypoints=joints.ravel().tolist(),
            )
        )
    (root / 'labels.json').write_text(
        json.dumps(dict(images=images, annotations=people, categories=[dict(id=1, name='person')]))
    )
    return dict(data_root=str(root), ann_file='labels.json', data_prefix=dict(img=''))


@pytest.fixture(scope='module')
def trained(tmp_path_factory) -> dict[str, Path]:
    """Checkpoints of one step of each pretraining config, with a small backbone."""
    paths = {}
    for name, write in (('mpii', write_mpii), ('coco', write_coco)):
        folder = tmp_path_factory.mktemp(name)
        config = folder / 'small.py'
        loader = dict(batch_size=2, num_workers=0, persistent_workers=False, dataset=write(folder))
        config.write_text(f"""
_base_ = '{ROOT}/configs/pretrain_{name}.py'
model = dict(backbone={SMALL}, head=dict(in_channels=64))
train_dataloader = {loader}
train_cfg = dict(max_epochs=1)
default_hooks = dict(checkpoint=dict(interval=1))
""")
        train(config, RunOptions(work_dir=str(folder / 'work')), validate=False)
        paths[name] = folder / 'work/epoch_1.pth'
    return paths


@pytest.fixture
def logged(caplog):
    """What MMEngine's current logger said."""
    init_default_scope('mmpose')
    logger = MMLogger.get_instance('test_pretrained')
    MMLogger._instance_dict.move_to_end('test_pretrained')
    logger.setLevel(logging.INFO)
    logger.addHandler(caplog.handler)
    yield lambda: [r.getMessage() for r in caplog.records]
    logger.removeHandler(caplog.handler)


def rpstn(config: str, *lines: str, **encoder):
    """The backbone of a config with the given command-line options, its weights initialized."""
    cfg = Config.fromfile(ROOT / f'configs/{config}.py')
    cfg.model.backbone.encoder.update(SMALL, **encoder)
    values = (line.split('=', 1) for line in lines)
    cfg.merge_from_dict({key: int(value) if value.isdigit() else value for key, value in values})
    torch.manual_seed(3)
    backbone = MODELS.build(cfg.model.backbone)
    backbone.init_weights()
    return backbone


def load(path: Path) -> dict:
    return torch.load(path, map_location='cpu', weights_only=True)


@pytest.mark.parametrize(
    'data, config, joints',
    [
        ('mpii', 'rpstn_penn', 13),
        ('mpii', 'rpstn_jhmdb', 15),
        ('coco', 'rpstn_penn', 13),
        ('coco', 'rpstn_posetrack18', 17),
    ],
)
def test_one_line_takes_all_but_the_last_layer(trained, logged, data, config, joints):
    backbone = rpstn(config, f'model.backbone.pretrained={trained[data]}')
    saved = load(trained[data])['state_dict']
    last = {'head.final_layer.weight', 'head.final_layer.bias'}
    taken = saved.keys() - last
    initializer, encoder = (n.state_dict() for n in (backbone.initializer, backbone.encoder))
    assert initializer.keys() == saved.keys() and encoder.keys() == taken
    assert any(key.startswith('head.deconv_layers.6') for key in taken)
    for network in (initializer, encoder):
        for key in taken:
            assert torch.equal(network[key], saved[key]), key
    # Not even where the joints are as many: COCO's 17 are not PoseTrack's.
    assert initializer['head.final_layer.weight'].shape[0] == joints
    rows = min(joints, len(saved['head.final_layer.weight']))
    assert not torch.equal(
        initializer['head.final_layer.weight'][:rows], saved['head.final_layer.weight'][:rows]
    )
    p, f = (next(line for line in logged() if line.startswith(name)) for name in ('P: ', 'F: '))
    count = len(saved['head.final_layer.weight'])
    assert f'of its own: head.final_layer.weight ({joints}, 256, 1, 1)' in p
    assert 'of its own: nothing' in f
    assert all(f'not taken: head.final_layer.weight ({count}, 256, 1, 1)' in x for x in (p, f))


def test_rows_of_joints_of_the_same_name(trained, logged):
    backbone = rpstn(
        'rpstn_penn',
        f'model.backbone.pretrained.checkpoint={trained["mpii"]}',
        'model.backbone.pretrained.joints=penn13',
    )
    fresh = rpstn('rpstn_penn', f'model.backbone.pretrained={trained["mpii"]}')
    saved = load(trained['mpii'])
    names = saved['meta']['dataset_meta']['keypoint_id2name']
    assert [names[k] for k in range(16)] == MPII
    for key in ('head.final_layer.weight', 'head.final_layer.bias'):
        ours = backbone.initializer.state_dict()[key]
        for k, name in enumerate(get_skeleton('penn13').joints):
            expected = (
                saved['state_dict'][key][MPII.index(name)]
                if name != 'head'
                else fresh.initializer.state_dict()[key][k]
            )
            assert torch.equal(ours[k], expected), name
    line = next(line for line in logged() if line.startswith('P: '))
    assert line.endswith('left_ankle, right_ankle, new: head')


def test_other_forms_of_checkpoints(trained, logged, tmp_path):
    saved = load(trained['mpii'])['state_dict']
    expected = rpstn('rpstn_penn', f'model.backbone.pretrained={trained["mpii"]}').state_dict()
    old = {
        f'module.{k.replace("head.", "keypoint_head.", 1)}': v
        for k, v in saved.items()
        if not k.endswith('num_batches_tracked')
    }
    for content in (dict(saved), dict(state_dict=old)):
        torch.save(content, tmp_path / 'other.pth')
        backbone = rpstn('rpstn_penn', f'model.backbone.pretrained={tmp_path / "other.pth"}')
        for key, value in backbone.state_dict().items():
            assert torch.equal(value, expected[key]) or key.endswith('num_batches_tracked'), key


def test_a_checkpoint_that_does_not_fit_is_an_error(trained, logged, tmp_path):
    line = f'model.backbone.pretrained={trained["mpii"]}'
    with pytest.raises(
        ValueError,
        match=r'epoch_1.pth does not fit P, .*ResNet of depth 50: it '
        r'lacks \d+ weights, the first backbone\.layer1\.0\.conv3\.weight',
    ):
        rpstn('rpstn_penn', line, depth=50)
    with pytest.raises(ValueError, match=r'of another shape are \d+ weights, the first backbone'):
        rpstn('rpstn_penn', line, base_channels=16)
    with pytest.raises(
        ValueError,
        match=r'deconv_layers\.0\.weight \(64, 256, 4, 4\) for '
        r'\(64, 32, 4, 4\)',
    ):
        rpstn('rpstn_penn', line, 'model.backbone.channels=32')
    deeper = load(trained['mpii'])['state_dict']
    deeper['backbone.layer3.2.conv1.weight'] = torch.zeros(32, 32, 3, 3)
    torch.save(deeper, tmp_path / 'deeper.pth')
    with pytest.raises(
        ValueError,
        match=r'the network lacks 1 weights, the first '
        r'backbone\.layer3\.2\.conv1\.weight \(32, 32, 3, 3\)',
    ):
        rpstn('rpstn_penn', f'model.backbone.pretrained={tmp_path / "deeper.pth"}')
    torch.save(dict(state_dict={}), tmp_path / 'empty.pth')
    with pytest.raises(ValueError, match=r'empty.pth does not fit P.*It must hold a single-frame'):
        rpstn('rpstn_penn', f'model.backbone.pretrained={tmp_path / "empty.pth"}')
    with pytest.raises(ModelError, match='nowhere.pth: no such checkpoint file'):
        rpstn('rpstn_penn', 'model.backbone.pretrained=nowhere.pth')


def test_nothing_is_changed_by_one_that_fits_a_network_only(trained, logged):
    """P of another backbone than F: P fits, F does not, so neither is touched."""
    cfg = Config.fromfile(ROOT / 'configs/rpstn_penn.py')
    cfg.model.backbone.encoder.update(SMALL, base_channels=16)
    cfg.model.backbone.update(
        pretrained=str(trained['mpii']), initializer=dict(type='ResNet', **SMALL)
    )
    backbone = MODELS.build(cfg.model.backbone)
    with pytest.raises(ValueError, match='does not fit F'):
        backbone.init_weights()
    saved = load(trained['mpii'])['state_dict']['backbone.layer1.0.conv1.weight']
    assert not torch.equal(backbone.initializer.backbone.layer1[0].conv1.weight, saved)


def test_options_that_do_not_go_together(trained, logged, tmp_path):
    line = f'model.backbone.pretrained={trained["mpii"]}'
    with pytest.raises(ValueError, match='give it, or these'):
        rpstn('rpstn_penn', line, 'model.backbone.encoder_init.type=Pretrained')
    checkpoint = f'model.backbone.pretrained.checkpoint={trained["mpii"]}'
    with pytest.raises(ValueError, match='joints must be the 13 of the network, got 15'):
        rpstn('rpstn_penn', checkpoint, 'model.backbone.pretrained.joints=jhmdb15')
    torch.save(load(trained['mpii'])['state_dict'], tmp_path / 'bare.pth')
    with pytest.raises(ValueError, match=r'bare.pth: meta\.dataset_meta must name the joints'):
        rpstn(
            'rpstn_penn',
            f'model.backbone.pretrained.checkpoint={tmp_path / "bare.pth"}',
            'model.backbone.pretrained.joints=penn13',
        )


def test_imagenet_is_not_asked_for_where_all_comes_from_the_checkpoint(trained, logged):
    """Its address cannot be reached here; loading it would fail."""
    backbone = rpstn(
        'rpstn_penn',
        f'model.backbone.pretrained={trained["mpii"]}',
        **{'init_cfg': dict(type='Pretrained', checkpoint='nowhere.pth')},
    )
    assert backbone.encoder.backbone.init_cfg is None
