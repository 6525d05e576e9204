"""docs/own_data.md: its files, taken out of the page, give clips of a small video."""

import json
import re
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs/own_data.md').read_text()
FILES = ['own/own_data.py', 'own/rpstn_own.py', 'own/leg_data.py', 'own/rpstn_leg.py']
# The pages' own settings, but for what takes time or the network.
QUICK = [
    'train_cfg.max_epochs=1',
    'model.backbone.encoder.init_cfg=None',
    *(f'{part}_dataloader.num_workers=0' for part in ('train', 'val', 'test')),
    *(f'{part}_dataloader.persistent_workers=False' for part in ('train', 'val', 'test')),
    'train_dataloader.batch_size=1',
    'val_dataloader.batch_size=1',
]


def write_person(folder: Path, name: str, frames: int = 9, count: int = 13) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(
        str(folder / f'{name}.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 25, (96, 64)
    )
    for t in range(frames):
        writer.write(np.full((64, 96, 3), 20 * t + 10, np.uint8))
    writer.release()
    rng = np.random.default_rng(0)
    joints = np.full((frames, count, 3), 2.0)
    joints[..., :2] = rng.uniform(8, 56, (frames, count, 2))
    if count == 13:
        joints[:, 3, 2], joints[:, 4, 2], joints[2, :, 2] = 1, 0, 0
        joints[:, 5, 0] = 200
    np.savez(folder / f'{name}.npz', joints=joints)
    return joints


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A folder as the page has it, with the configs of this repository."""
    files = re.findall(r'`(own/\w+\.py)`\n\n```python\n(.*?)```', PAGE, re.S)
    assert [name for name, _ in files] == FILES
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    for name, text in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('RPSTN_DATA', raising=False)
    monkeypatch.syspath_prepend(tmp_path / 'own')
    yield tmp_path
    for name in ('OwnDataset', 'LegDataset'):
        DATASETS.module_dict.pop(name, None)
    for name in ('own_data', 'leg_data'):
        sys.modules.pop(name, None)


def test_the_data_set_gives_clips_through_the_configs_pipeline(project):
    joints = write_person(project / 'data/own/train', '0001')
    write_person(project / 'data/own/test', '0002', frames=7)
    config = Config.fromfile(project / 'own/rpstn_own.py')
    init_default_scope('mmpose')
    train = DATASETS.build(config.train_dataloader.dataset)
    item = train[0]
    assert item['inputs'].shape == (5, 3, 256, 256)
    assert [f.gt_fields.heatmaps.shape for f in item['data_samples'].frames] == [(13, 64, 64)] * 5
    sequence = train.sequences[0]
    np.testing.assert_allclose(sequence.keypoints, joints[..., :2], rtol=1e-6)
    expected = np.ones((9, 13), bool)
    expected[:, 4:6] = expected[2] = False  # not labelled, and outside the image
    np.testing.assert_array_equal(sequence.labelled, expected)
    assert sequence.occluded[expected[:, 3], 3].all() and sequence.occluded.sum() == 8
    assert (sequence.boxes[2] == sequence.boxes[1]).all()
    test = DATASETS.build(config.test_dataloader.dataset)
    assert len(test) == 2 and test[1]['inputs'].shape == (5, 3, 256, 256)


@pytest.fixture
def legs(project) -> Path:
    for part in ('train', 'val', 'test'):
        write_person(project / 'data/own' / part, '0001', frames=5, count=4)
    return project


def test_four_joints_are_trained_for_an_epoch_and_tested(legs, command):
    """The page's files as they are, first batch to best checkpoint, and its `rpstn test`."""
    status, said = command('train', 'own/rpstn_leg.py', '--cfg-options', *QUICK)
    assert status == 0, said
    work = legs / 'work_dirs/rpstn_leg'
    assert (work / 'epoch_1.pth').exists() and list(work.glob('best_bbox_PCK@0.2_mean_*.pth'))
    out = legs / 'figures.json'
    words = ['own/rpstn_leg.py', work / 'epoch_1.pth', '--out', out, '--cfg-options', *QUICK]
    status, said = command('test', *words)
    assert status == 0, said
    figures = json.loads(out.read_text())
    assert {'bbox_PCK@0.2/mean', 'bbox_PCK@0.2/joint/toe'} <= figures.keys()


@pytest.mark.parametrize(
    ('left_out', 'message'),
    [
        (
            r"normalizers=\['bbox'\]",
            r"VideoPCK: torso joints .* set torso= or normalizers=\['bbox'\]",
        ),
        (
            'default_hooks = .*',
            "save_best .* among .* bbox_PCK@0.2/mean, .*got 'torso_PCK@0.2/mean'",
        ),
        ('model = .*', 'num_joints must be 4, the joints of train_dataloader .legs., got 13'),
        ('val_dataloader = .*', 'val_dataloader: the joints must be those of train_dataloader'),
    ],
)
def test_what_is_forgotten_is_told_before_training(legs, command, left_out, message):
    config = legs / 'own/rpstn_leg.py'
    config.write_text(re.sub(left_out, '', config.read_text()))
    if 'val_dataloader' in left_out:
        write_person(legs / 'data/own/val', '0001')
    status, said = command('train', config, '--cfg-options', *QUICK)
    assert status == 1 and re.search(message, said.splitlines()[-1]), said
    assert not list((legs / 'work_dirs').rglob('*.pth'))


def test_data_that_are_not_there_are_a_line(project, command):
    status, said = command('train', 'own/rpstn_own.py', '--cfg-options', *QUICK)
    assert status == 1 and 'own' in said.splitlines()[-1], said
    assert 'was not found; looked at' in said and 'Traceback' not in said


def test_the_page_is_short_and_names_what_exists():
    files = re.findall(r'```python\n(.*?)```', PAGE, re.S)
    dataset, config, *_ = ([line for line in text.splitlines() if line.strip()] for text in files)
    assert len(dataset) <= 26 and len(config) <= 15
    commands = re.search(r'```bash\n(.*?)```', PAGE, re.S).group(1).splitlines()
    verbs = [re.match(r'PYTHONPATH=own rpstn (\w+) own/rpstn_own\.py', c)[1] for c in commands]
    assert verbs == ['train', 'test', 'infer']
