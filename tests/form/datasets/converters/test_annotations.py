"""What MMAction2 gets: its own data set reads it, with a split and without, and trains on it."""

import numpy as np
import pytest
import torch
from mmaction.datasets import PoseDataset
from mmaction.registry import MODELS
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope

from rpstn.form.datasets.converters.skeleton_files import Conversion, SkeletonFiles
from rpstn.form.datasets.form_dataset import SkeletonFormDataset

PIPELINE = [
    dict(type='PreNormalize2D'),
    dict(type='GenSkeFeat', dataset='coco', feats=['j']),
    dict(type='UniformSampleFrames', clip_len=8),
    dict(type='PoseDecode'),
    dict(type='FormatGCNInput', num_person=1),
    dict(type='PackActionInputs'),
]
PIPELINE_3D = PIPELINE[1:]


def sequences(dim: int) -> dict[str, np.ndarray]:
    """Two frames without anybody, one joint never seen, one at the origin."""
    rng = np.random.default_rng(0)
    found = {}
    for name in 'abcd':
        joints = rng.uniform(1, 99, (12, 17, dim)).astype(np.float32)
        joints[4:6] = joints[:, 3] = np.nan
        joints[:, 7] = 0
        found[name] = joints
    return found


def write(folder, dim, parts):
    with SkeletonFiles(Conversion(folder), annotations=True) as files:
        for i, (name, joints) in enumerate(sequences(dim).items()):
            fields = dict(split=parts[i]) if parts else {}
            scores = None if dim == 3 else np.full(joints.shape[:2], 0.5, np.float32)
            files.write(name, joints, [('deep', 'shallow')[i % 2]], fields, scores)
    return files.conversion


@pytest.mark.parametrize('dim,pipeline', [(2, PIPELINE), (3, PIPELINE_3D)])
def test_mmaction2_trains_on_gaps(tmp_path, dim, pipeline):
    with DefaultScope.overwrite_default_scope('mmaction'):
        train(tmp_path, dim, pipeline)


def train(tmp_path, dim, pipeline):
    write(tmp_path / 'out', dim, ['train', 'train', 'test', 'test'])
    data = PoseDataset(str(tmp_path / 'out/annotations.pkl'), pipeline, split='train')
    assert len(data) == 2
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='RecognizerGCN',
            backbone=dict(
                type='STGCN',
                graph_cfg=dict(layout='coco', mode='stgcn_spatial'),
                base_channels=8,
                num_stages=2,
                inflate_stages=[],
                down_stages=[],
                in_channels=3,
            ),
            cls_head=dict(type='GCNHead', num_classes=2, in_channels=8),
        )
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(3):
        batch = model.data_preprocessor(pseudo_collate([data[0], data[1]]), training=True)
        loss = sum(v for k, v in model(**batch, mode='loss').items() if 'loss' in k)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.isfinite(losses).all(), losses
    assert all(torch.isfinite(p).all() for p in model.parameters())


@pytest.mark.parametrize('dim', [2, 3])
def test_our_own_data_set_reads_missing_joints_back(tmp_path, dim):
    write(tmp_path / 'out', dim, None)
    data = SkeletonFormDataset(
        str(tmp_path / 'out'),
        'annotations.pkl',
        metainfo=dict(skeleton='coco17', unit='px'),
        bad_data='raise',
    )
    for item in data:
        np.testing.assert_array_equal(item['keypoint'][0], sequences(dim)[item['frame_dir']])


def test_without_a_split_it_is_the_list_alone(tmp_path):
    conversion = write(tmp_path / 'out', 2, None)
    data = PoseDataset(str(tmp_path / 'out/annotations.pkl'), [])
    assert [data[i]['frame_dir'] for i in range(4)] == list('abcd') and conversion.notes == []


def test_sequences_in_no_split_are_told(tmp_path):
    conversion = write(tmp_path / 'out', 2, ['train', '', 'val', ''])
    assert conversion.notes == ['2 sequences of annotations.pkl are in no split']
    for part, name in (('train', 'a'), ('val', 'c')):
        (item,) = PoseDataset(str(tmp_path / 'out/annotations.pkl'), [], split=part)
        assert item['frame_dir'] == name
