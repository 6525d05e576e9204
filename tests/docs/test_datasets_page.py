"""docs/datasets.md: its configs exist, their joints are as many as it says, its option loads."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs/datasets.md').read_text()
COMMANDS = ' '.join(re.findall(r'```bash\n(.*?)```', PAGE, re.S))


def test_every_config_of_the_table_exists():
    (table,) = re.findall(r'^\| config \|.*?\n\n', PAGE, re.MULTILINE | re.DOTALL)
    names = re.findall(r'`(\w+\.py)`', table)
    assert len(names) == 8
    assert all((ROOT / 'configs' / name).is_file() for name in names)


@pytest.mark.parametrize('name', ['penn', 'jhmdb', 'posetrack18', 'hieve', 'subjhmdb'])
def test_the_table_tells_the_joints(name):
    cfg = Config.fromfile(ROOT / f'configs/rpstn_{name}.py')
    joints = int(re.search(rf'`rpstn_{name}.py` \|.*?\| (\d+) \|', PAGE)[1])
    assert cfg.model.head.num_joints == joints
    assert len(DATASETS.get(cfg.train_dataloader.dataset.type).METAINFO['keypoint_info']) == joints


def options(text: str) -> dict:
    return {
        key: DictAction._parse_iterable(value)
        for key, value in (option.split('=', 1) for option in text.split())
    }


def test_the_line_that_loads_a_pretrained_model_is_one_of_the_config():
    line = re.search(r'--cfg-options (model\.backbone\.pretrained=\S+)', COMMANDS)[1]
    cfg = Config.fromfile(ROOT / 'configs/rpstn_r18_penn.py')
    cfg.merge_from_dict(options(line))
    init_default_scope('mmpose')
    assert MODELS.build(cfg.model).backbone.pretrained == 'work_dirs/pretrain_mpii/epoch_210.pth'
