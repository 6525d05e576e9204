"""docs/datasets.md names configs, tools, files and options that exist."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, METRICS, MODELS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs/datasets.md').read_text()
COMMANDS = ' '.join(re.findall(r'```bash\n(.*?)```', PAGE, re.S))


def test_files_exist():
    for path in set(re.findall(r'(?:configs|tools)/\w+\.py', PAGE)):
        assert (ROOT / path).is_file(), path
    for target in re.findall(r'\]\(([\w./]+)\)', PAGE):
        assert (ROOT / 'docs' / target).exists(), target
    table = re.findall(r'^\| `(.*?)` \|', PAGE, re.M)
    assert [n.removesuffix('.py') for row in table[:3] for n in row.split('`, `')] == [
        'rpstn_posetrack18',
        'rpstn_hieve',
        'rpstn_subjhmdb',
    ]


@pytest.mark.parametrize('name', ['posetrack18', 'hieve', 'subjhmdb'])
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


def test_the_legacy_metric_takes_the_standard_ones_place():
    line = re.search(r'(model\.test_cfg\S+ test_evaluator\S+)', COMMANDS)[1]
    cfg = Config.fromfile(ROOT / 'configs/rpstn_r18_penn.py')
    cfg.merge_from_dict(options(line))
    init_default_scope('mmpose')
    assert cfg.model.test_cfg.output_heatmaps is True
    assert [type(METRICS.build(m)).__name__ for m in cfg.test_evaluator.metrics] == ['LegacyPCK']
