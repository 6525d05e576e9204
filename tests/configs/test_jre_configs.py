"""Configs of configs/jre: MMPose's own with a joint relation, trained and tested a step each."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.registry import MODELS

from rpstn.engine.runner import fit_machine
from rpstn.simulation import SyntheticClipDataset

ROOT = Path(__file__).parents[2] / 'configs/jre'
TOPDOWN = 'mmpose::body_2d_keypoint/topdown_heatmap'
BASES = {
    'jre_hrnet-w32_coco-256x192': f'{TOPDOWN}/coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py',
    'jre_res50_coco-256x192': f'{TOPDOWN}/coco/td-hm_res50_8xb64-210e_coco-256x192.py',
    'jre_res50_mpii-256x256': f'{TOPDOWN}/mpii/td-hm_res50_8xb64-210e_mpii-256x256.py',
}
VIDEO = ['rpstn_hrnet-w32_penn', 'rpstn_hrnet-w32_jhmdb']
JOINTS = dict(coco=17, mpii=16, penn=13, jhmdb=15)
IMAGE_MODEL = [
    'backbone.conv1.weight',
    'head.head.final_layer.weight',
    'head.relation.out.1.weight',
]
# Where the joints of Penn Action stand in COCO and MPII; the head for the nose and the head top.
COCO = [0, None, None, None, None, *range(1, 13)]
MPII = [12, 10, 8, 7, 9, 11, None, None, None, 0, 6, 4, 2, 1, 3, 5]


@pytest.fixture(autouse=True)
def mmpose_scope():
    init_default_scope('mmpose')


@pytest.fixture(scope='module')
def people() -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Two rendered people: image, joints (13, 2), occluded (13,), box."""
    dataset = SyntheticClipDataset(
        num_sequences=2, num_frames=1, image_size=(160, 200), clip_len=1, seed=3
    )
    found = []
    for index, sequence in enumerate(dataset.sequences):
        image = dataset.read_frame(sequence.name, 0)
        found.append((image, sequence.keypoints[0], sequence.occluded[0], sequence.boxes[0]))
        assert index < 2 and image.shape == (200, 160, 3)
    return found


@pytest.fixture
def coco(people, tmp_path) -> Path:
    """Data in COCO's own layout."""
    images, annotations = [], []
    for number, (_, joints, occluded, box) in enumerate(people, 1):
        images.append(dict(id=number, file_name=f'{number:012d}.jpg', width=160, height=200))
        x1, y1, x2, y2 = map(float, box)
        keypoints = [
            (0, 0, 0) if k is None else (*map(float, joints[k]), 1 if occluded[k] else 2)
            for k in COCO
        ]
        annotations.append(
            dict(
                id=number,
                image_id=number,
                category_id=1,
                iscrowd=0,
                area=(x2 - x1) * (y2 - y1),
                bbox=[x1, y1, x2 - x1, y2 - y1],
                keypoints=[v for point in keypoints for v in point],
                num_keypoints=13,
            )
        )
    (tmp_path / 'annotations').mkdir()
    for split in ('train2017', 'val2017'):
        (tmp_path / split).mkdir()
        for info, person in zip(images, people):
            cv2.imwrite(str(tmp_path / split / info['file_name']), person[0])
        (tmp_path / f'annotations/person_keypoints_{split}.json').write_text(
            json.dumps(
                dict(
                    info={},
                    images=images,
                    annotations=annotations,
                    categories=[dict(id=1, name='person', supercategory='person')],
                )
            )
        )
    return tmp_path


@pytest.fixture
def mpii(people, tmp_path) -> Path:
    """Data in the layout of MMPose's MPII files, 1-based."""
    entries, heads = [], []
    for number, (_, joints, _, (x1, y1, x2, y2)) in enumerate(people, 1):
        entries.append(
            dict(
                image=f'{number:09d}.jpg',
                center=[float(x1 + x2) / 2 + 1, float(y1 + y2) / 2 + 1],
                scale=float(max(x2 - x1, y2 - y1)) / 200,
                joints=[[0, 0] if k is None else (joints[k] + 1).tolist() for k in MPII],
                joints_vis=[int(k is not None) for k in MPII],
            )
        )
        heads.append([joints[0] - 8, joints[0] + 8])
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'images').mkdir()
    for entry, person in zip(entries, people):
        cv2.imwrite(str(tmp_path / 'images' / entry['image']), person[0])
    for split in ('train', 'val'):
        (tmp_path / f'annotations/mpii_{split}.json').write_text(json.dumps(entries))
    vis = np.array([entry['joints_vis'] for entry in entries])
    scipy.io.savemat(
        str(tmp_path / 'annotations/mpii_gt_val.mat'),
        dict(
            headboxes_src=np.transpose(heads, [1, 2, 0]),
            jnt_missing=1 - vis.T,
            pos_gt_src=np.transpose([entry['joints'] for entry in entries], [1, 2, 0]),
        ),
    )
    return tmp_path


def load(name: str) -> Config:
    return Config.fromfile(ROOT / f'{name}.py')


def small_run(cfg: Config, work_dir: Path) -> Config:
    """One iteration of two images, or of one short clip, then a validation; no download."""
    cfg.work_dir = str(work_dir)
    for backbone in (cfg.model.backbone, cfg.model.backbone.get('encoder', {})):
        backbone.pop('init_cfg', None)
    for part in ('train', 'val', 'test'):
        cfg[f'{part}_dataloader'].update(num_workers=0, persistent_workers=False, batch_size=2)
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.visualizer = cfg.vis_backends = None
    cfg.log_level = 'WARNING'
    cfg.default_hooks.update(checkpoint=None)
    fit_machine(cfg)
    return cfg


def train(cfg: Config, metric: str, learns: list[str]) -> tuple[Runner, float]:
    """The runner after its step, and a figure of its validation; every part has learned."""
    runner = Runner.from_cfg(cfg)
    before = {name: p.clone() for name, p in runner.model.named_parameters()}
    runner.train()
    assert runner.iter == 1
    moved = {
        name
        for name, p in runner.model.named_parameters()
        if p.isfinite().all() and not torch.equal(p, before[name])
    }
    assert set(learns) <= moved
    return runner, runner.message_hub.get_scalar(f'val/{metric}').current()


def without_scopes(node):
    """What MMEngine adds to a config that is inherited from another package."""
    if isinstance(node, dict):
        return {key: without_scopes(value) for key, value in node.items() if key != '_scope_'}
    return [without_scopes(value) for value in node] if isinstance(node, list) else node


def test_the_folder_holds_what_is_tested_here():
    assert sorted(path.stem for path in ROOT.glob('*.py')) == sorted([*BASES, *VIDEO])


@pytest.mark.parametrize('name', BASES)
def test_only_the_head_differs_from_mmposes_own_config(name):
    ours, theirs = (without_scopes(cfg.to_dict()) for cfg in (load(name), get_config(BASES[name])))
    head, own_head = ours['model'].pop('head'), theirs['model'].pop('head')
    assert ours.pop('custom_imports')['imports'] == ['rpstn']
    assert ours == theirs
    assert head == dict(type='RelationHead', head=own_head, relation=dict(type='JRE'))


@pytest.mark.parametrize('name', VIDEO)
def test_only_the_encoder_differs_from_our_own_config(name):
    ours = load(name).to_dict()
    theirs = Config.fromfile(ROOT.parent / f'{name.replace("hrnet-w32_", "")}.py').to_dict()
    encoder = ours['model']['backbone'].pop('encoder')
    theirs['model']['backbone'].pop('encoder')
    assert ours == theirs
    assert encoder == get_config(BASES['jre_hrnet-w32_coco-256x192']).model.backbone.to_dict()


@pytest.mark.parametrize('name', [*BASES, *VIDEO])
def test_a_dumped_config_builds_the_same_model(name, tmp_path):
    cfg = load(name)
    cfg.dump(tmp_path / 'dumped.py')
    dumped = Config.fromfile(tmp_path / 'dumped.py')
    assert dumped.to_dict() == cfg.to_dict()
    model = MODELS.build(dumped.model)
    joints = next(count for data, count in JOINTS.items() if f'_{data}' in name)
    assert model.head.out_channels == joints == model.head.relation.num_joints


@pytest.mark.parametrize('name', [name for name in BASES if 'coco' in name])
def test_trains_and_predicts_on_coco_images(name, coco, tmp_path):
    cfg = small_run(load(name), tmp_path / 'run')
    for part in ('train', 'val', 'test'):
        cfg[f'{part}_dataloader'].dataset.update(data_root=str(coco), bbox_file='')
    cfg.val_evaluator.ann_file = str(coco / 'annotations/person_keypoints_val2017.json')
    cfg.test_evaluator = cfg.val_evaluator
    runner, precision = train(cfg, 'coco/AP', IMAGE_MODEL)
    assert 0 <= precision <= 1
    sample = runner.model.test_step(next(iter(runner.val_dataloader)))[0]
    assert sample.pred_instances.keypoints.shape == (1, 17, 2)
    assert np.isfinite(sample.pred_instances.keypoints).all()


@pytest.mark.slow
def test_trains_and_predicts_on_mpii(mpii, tmp_path):
    cfg = small_run(load('jre_res50_mpii-256x256'), tmp_path / 'run')
    for part in ('train', 'val', 'test'):
        cfg[f'{part}_dataloader'].dataset.data_root = str(mpii)
    for part in ('val', 'test'):
        cfg[f'{part}_dataloader'].dataset.headbox_file = str(mpii / 'annotations/mpii_gt_val.mat')
    assert 0 <= train(cfg, 'PCK', IMAGE_MODEL)[1] <= 100


@pytest.mark.slow
def test_rpstn_on_hrnet_trains_and_predicts_on_clips(tmp_path):
    cfg = small_run(load('rpstn_hrnet-w32_jhmdb'), tmp_path / 'run')
    for part in ('train', 'val', 'test'):
        old = cfg[f'{part}_dataloader'].dataset
        cfg[f'{part}_dataloader'].batch_size = 1
        cfg[f'{part}_dataloader']['dataset'] = dict(
            type='SyntheticClipDataset',
            num_sequences=1,
            num_frames=2,
            clip_len=2,
            image_size=(96, 128),
            joints='jhmdb15',
            pipeline=old.pipeline,
            start=old.start,
            test_mode=old.get('test_mode', False),
        )
    cfg.default_hooks.pop('visualization')
    runner, pck = train(
        cfg,
        'bbox_PCK@0.2/mean',
        [
            'backbone.encoder.backbone.conv1.weight',
            'backbone.initializer.backbone.conv1.weight',
            'head.propagator.reduce.weight',
            'head.relation.out.1.weight',
        ],
    )
    assert 0 <= pck <= 1
    with torch.no_grad():
        heatmaps = runner.model(torch.zeros(1, 2, 3, 256, 256), None)
    assert heatmaps.shape == (1, 2, 15, 64, 64)
