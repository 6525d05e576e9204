"""docs/own_data.md: its files, taken out of the page, give clips of a small video."""

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs/own_data.md').read_text()


def write_person(folder: Path, name: str, frames: int = 9) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(
        str(folder / f'{name}.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 25, (96, 64)
    )
    for t in range(frames):
        writer.write(np.full((64, 96, 3), 20 * t + 10, np.uint8))
    writer.release()
    rng = np.random.default_rng(0)
    joints = np.concatenate([rng.uniform(8, 56, (frames, 13, 2)), np.full((frames, 13, 1), 2)], 2)
    joints[:, 3, 2], joints[:, 4, 2], joints[2, :, 2] = 1, 0, 0
    joints[:, 5, 0] = 200
    np.savez(folder / f'{name}.npz', joints=joints)
    return joints


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A folder as the page has it, with the configs of this repository."""
    files = re.findall(r'`(own/\w+\.py)`\n\n```python\n(.*?)```', PAGE, re.S)
    assert [name for name, _ in files] == ['own/own_data.py', 'own/rpstn_own.py']
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    for name, text in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('RPSTN_DATA', raising=False)
    monkeypatch.syspath_prepend(tmp_path / 'own')
    yield tmp_path
    DATASETS.module_dict.pop('OwnDataset', None)


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


def test_the_page_is_short_and_names_what_exists():
    files = re.findall(r'```python\n(.*?)```', PAGE, re.S)
    dataset, config = ([line for line in text.splitlines() if line.strip()] for text in files)
    assert len(dataset) <= 26 and len(config) <= 15
    commands = re.search(r'```bash\n(.*?)```', PAGE, re.S).group(1).splitlines()
    verbs = [re.match(r'PYTHONPATH=own rpstn (\w+) own/rpstn_own\.py', c)[1] for c in commands]
    assert verbs == ['train', 'test', 'infer']
