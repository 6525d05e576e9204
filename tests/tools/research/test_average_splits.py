"""tools/research/average_splits.py: three checkpoints, three test sets, one mean."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

ROOT = Path(__file__).parents[3]
# The test clip of each split.
TEST = {1: 'a', 2: 'b', 3: 'c'}


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """A tree with three splits, a small config, and a model for each split."""
    folder = tmp_path_factory.mktemp('splits')
    root = folder / 'jhmdb'
    for name in 'abc':
        joints = np.random.default_rng(ord(name)).uniform(10, 50, (2, 15, 5))
        joints[:, 5] = joints[:, 4] + 30  # a long torso, so that some joints are right
        path = root / f'joint_positions/run/{name}/joint_positions.mat'
        path.parent.mkdir(parents=True)
        scipy.io.savemat(path, dict(pos_img=joints))
        frames = root / f'Rename_Images/run/{name}'
        frames.mkdir(parents=True)
        for t in range(5):
            cv2.imwrite(str(frames / f'{t + 1:05d}.png'), np.full((80, 96, 3), 9 * t, np.uint8))
    (root / 'sub_splits').mkdir()
    for split, clip in TEST.items():
        (root / f'sub_splits/run_test_split{split}.txt').write_text(
            ''.join(f'{name}.avi {2 if name == clip else 1}\n' for name in 'abc')
        )
    (folder / 'small.py').write_text(f"""
_base_ = '{ROOT}/configs/rpstn_subjhmdb.py'
codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
model = dict(
    backbone=dict(channels=16, input_size=(64, 64),
                  encoder=dict(depth=18, stem_channels=8, base_channels=8, init_cfg=None)),
    head=dict(channels=16, decoder=codec))
pipeline = [
    dict(type='LoadClip'), dict(type='ClipBBox'),
    dict(type='ForEachFrame', transforms=[dict(type='TopdownAffine', input_size=(64, 64))]),
    dict(type='PackClipInputs')]
data = dict(data_root='{root}', pipeline=pipeline)
train_dataloader = dict(dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=data)
""")
    init_default_scope('mmpose')
    config = Config.fromfile(folder / 'small.py')
    for split in TEST:
        torch.manual_seed(split)
        for loader in ('train', 'val', 'test'):
            config[f'{loader}_dataloader'].dataset.split = split
        torch.save(
            dict(
                state_dict=MODELS.build(config.model).state_dict(),
                meta=dict(cfg=config.pretty_text),
            ),
            folder / f'{split}.pth',
        )
    return folder


def test_the_mean_of_three_tests(folder, tool, tmp_path, capsys):
    checkpoints = [folder / f'{split}.pth' for split in TEST]
    tool(
        'average_splits',
        folder / 'small.py',
        *checkpoints,
        '--work-dir',
        tmp_path,
        '--out',
        tmp_path / 'mean.json',
    )
    printed = capsys.readouterr().out
    written = json.loads((tmp_path / 'mean.json').read_text())
    for split, figures in zip(TEST, written['splits'], strict=True):
        tool(
            'test',
            folder / 'small.py',
            folder / f'{split}.pth',
            '--work-dir',
            tmp_path,
            '--out',
            tmp_path / 'one.json',
            '--cfg-options',
            f'test_dataloader.dataset.split={split}',
        )
        alone = json.loads((tmp_path / 'one.json').read_text())
        assert figures == pytest.approx(alone, nan_ok=True)
    key = 'bbox_PCK@0.2/mean'
    values = [figures[key] for figures in written['splits']]
    assert len(set(values)) > 1 and written['mean'][key] == pytest.approx(np.mean(values))
    row = ' | '.join(f'{100 * value:.1f}'.rjust(7) for value in values)
    line = next(x for x in printed.splitlines() if x.startswith(f'| {key} '))
    assert row in line and line.endswith(f'{100 * np.mean(values):.1f} |')
    assert '/joint/' not in printed.split('| percent')[-1]


def test_what_would_test_on_trained_videos_is_refused(folder, tool, tmp_path):
    paths = {split: folder / f'{split}.pth' for split in TEST}
    with pytest.raises(SystemExit, match=r'3\.pth: trained on split 3, given as that of split 2'):
        tool('average_splits', folder / 'small.py', paths[1], paths[3], paths[2])
    with pytest.raises(SystemExit, match='one checkpoint per split'):
        tool('average_splits', folder / 'small.py', paths[1], paths[1], paths[2])
    # A config that is no Python, or none at all, tells nothing, and none of it is run.
    for number, meta in enumerate(
        (dict(cfg='train_dataloader = ('), {}, dict(cfg='raise SystemExit(7)'))
    ):
        torch.save(dict(state_dict={}, meta=meta), tmp_path / f'{number}.pth')
    with pytest.raises(SystemExit, match='test_dataloader.dataset must have a split'):
        tool(
            'average_splits',
            ROOT / 'configs/rpstn_demo.py',
            *(tmp_path / f'{n}.pth' for n in range(3)),
            '--work-dir',
            tmp_path,
        )


def test_wrong_arguments(folder, tool, capsys):
    for arguments, message in (
        (['x.pth', 'y.pth', 'z.pth'], 'x.pth: no such checkpoint file'),
        ([folder / '1.pth'] * 3 + ['--out', 'a.txt'], 'a.txt: must end in .json'),
    ):
        with pytest.raises(SystemExit):
            tool('average_splits', folder / 'small.py', *arguments)
        assert message in capsys.readouterr().err
