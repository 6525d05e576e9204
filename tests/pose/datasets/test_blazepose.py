"""The 33 landmarks of BlazePose as a data set's joints."""

import json
from pathlib import Path

import cv2
import mmpose
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS

from rpstn.pose.datasets import BLAZEPOSE33
from rpstn.skeletons import get_skeleton

CONFIG = Path(__file__).parents[3] / 'configs/blazepose/blazepose33.py'


def test_joints_are_those_of_the_skeleton():
    skeleton, meta = get_skeleton('blazepose33'), parse_pose_metainfo(BLAZEPOSE33)
    assert tuple(meta['keypoint_id2name'].values()) == skeleton.joints
    assert tuple(meta['flip_indices']) == skeleton.flip_indices
    assert meta['keypoint_colors'][11].tolist() == [0, 255, 0], 'left is green'
    lower = {skeleton.joints[i].partition('_')[2] for i in meta['lower_body_ids']}
    assert lower == {'hip', 'knee', 'ankle', 'heel', 'foot_index'}


def test_links_are_mediapipes():
    pose = pytest.importorskip('mediapipe').solutions.pose
    links = parse_pose_metainfo(BLAZEPOSE33)['skeleton_links']
    assert sorted(map(sorted, links)) == sorted(map(sorted, pose.POSE_CONNECTIONS))


def test_sigmas_are_cocos_where_it_has_the_joint():
    file = Path(mmpose.__file__).parent / '.mim/configs/_base_/datasets/coco.py'
    if not file.exists():
        pytest.skip('this MMPose came without its configs')
    ours, coco = (parse_pose_metainfo(m) for m in (BLAZEPOSE33, dict(from_file=str(file))))
    sigmas = dict(zip(ours['keypoint_id2name'].values(), ours['sigmas']))
    for name, sigma in zip(coco['keypoint_id2name'].values(), coco['sigmas']):
        assert sigmas[name] == sigma, name


def test_annotations_in_cocos_format_and_the_configs_pipelines(tmp_path):
    joints = np.random.default_rng(0).uniform(20, 70, (33, 2)).round(1)
    keypoints = np.column_stack([joints, np.full(33, 2)])
    keypoints[4, 2] = 0
    person = dict(id=7, image_id=1, category_id=1, bbox=[0, 0, 90, 90], area=8100, iscrowd=0)
    person.update(num_keypoints=32, keypoints=keypoints.flatten().tolist())
    content = dict(
        images=[dict(id=1, file_name='a.png', width=100, height=90)],
        categories=[dict(id=1, name='person')],
        annotations=[person],
    )
    for folder in ('images', 'annotations'):
        (tmp_path / folder).mkdir()
    for name in ('train', 'val'):
        (tmp_path / f'annotations/{name}.json').write_text(json.dumps(content))
    cv2.imwrite(str(tmp_path / 'images/a.png'), np.full((90, 100, 3), 100, np.uint8))
    init_default_scope('mmpose')
    config = Config.fromfile(CONFIG)
    config.merge_from_dict(
        {f'{name}_dataloader.dataset.data_root': str(tmp_path) for name in ('train', 'val')}
    )
    training, validation = (
        DATASETS.build(config[f'{name}_dataloader'].dataset) for name in ('train', 'val')
    )
    raw = training.get_data_info(0)
    np.testing.assert_allclose(raw['keypoints'][0], joints)
    assert raw['keypoints_visible'].sum() == 32 and raw['keypoints_visible'][0, 4] == 0
    for data in (training[0], validation[0]):
        assert data['inputs'].shape == (3, 256, 256)
        assert data['data_samples'].metainfo['flip_indices'][1] == 4
    sample = training[0]['data_samples']
    assert sample.gt_fields.heatmaps.shape == (33, 64, 64)
    assert sample.gt_instance_labels.keypoint_labels.shape == (1, 33, 2)
