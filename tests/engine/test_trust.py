"""What comes in a file of data chooses among registered parts, and runs nothing."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from rpstn.checkpoints import ModelError
from rpstn.engine.configs import building, read_config
from rpstn.engine.shipped import FOLDER, from_pretrained, shipped_files
from rpstn.errors import RPSTNError, SettingError
from rpstn.files import sha256


@pytest.fixture
def packed(tmp_path):
    """A function that packs the shipped model's config, changed, beside some weights."""
    description = json.loads((FOLDER / 'lite.json').read_text())
    weights = tmp_path / 'stranger.pt'
    torch.save(dict(state_dict={}), weights)
    description.update(sha256=sha256(weights), bytes=weights.stat().st_size)

    def pack(change) -> None:
        change(description['config'])
        (tmp_path / 'stranger.json').write_text(json.dumps(description))
        shipped_files('stranger', tmp_path)

    return pack


def at(config: dict, *places) -> dict:
    for place in places:
        config = config[place]
    return config


DATASET = ('test_dataloader', 'dataset')


def run_by(ran: Path) -> list:
    """Changes that would run code or read files, were they believed."""
    call = dict(type='os.system', command=f'touch {ran}')
    return [
        lambda c: c.update(model=call),
        lambda c: at(c, 'model', 'head').update(loss=call),
        lambda c: at(c, 'model', 'backbone', 'encoder')['backbone'].update(type='os.system'),
        lambda c: at(c, 'model', 'head').update(deep=[[dict(a=[call])]]),
        lambda c: at(c, *DATASET)['pipeline'].append(call),
        lambda c: at(c, *DATASET)['pipeline'].append(dict(type='ForEachFrame', transforms=[call])),
        lambda c: at(c, *DATASET).update(type='os.system'),
        lambda c: at(c, *DATASET).update(type='subprocess.Popen'),
        lambda c: at(c, *DATASET).update(metainfo=dict(from_file=f'{ran}.py')),
        lambda c: at(c, *DATASET).update(data_root='/'),
        lambda c: c.update(custom_imports=dict(imports=['antigravity'])),
        lambda c: c.update(_base_='/etc/passwd'),
        lambda c: c.update(default_scope='antigravity'),
        lambda c: c['model'].update(_scope_='antigravity'),
        lambda c: c['model'].update(type='antigravity.VideoPoseEstimator'),
        lambda c: c['model'].update(type='torch.nn.Module'),
        lambda c: c['model'].update(type='mmpose.models.TopdownPoseEstimator'),
        lambda c: c['model'].update(type='NoSuchModel'),
        lambda c: c['model'].update(type=['VideoPoseEstimator']),
        lambda c: c['model'].update(init_cfg=dict(type='Pretrained', checkpoint='/etc/passwd')),
        lambda c: at(c, 'model', 'backbone').update(pretrained='http://127.0.0.1/x'),
        lambda c: c.pop('model'),
        lambda c: c.update(test_dataloader=[]),
        lambda c: c.update(test_dataloader=dict(dataset='x')),
        lambda c: c.update(model=nested(80)),
    ]


def nested(depth: int) -> dict:
    return dict(a=nested(depth - 1)) if depth else {}


@pytest.mark.parametrize('number', range(25))
def test_a_description_names_registered_parts_only(packed, number, tmp_path):
    ran = tmp_path / 'ran'
    changes = run_by(ran)
    assert len(changes) == 25
    with pytest.raises(ModelError, match=r'stranger\.json: config') as error:
        packed(changes[number])
    assert '\n' not in str(error.value) and not ran.exists()


@pytest.mark.parametrize('config', [None, [], 'text', 3, {}])
def test_a_config_that_is_none(packed, config, tmp_path):
    packed(lambda c: None)
    path = tmp_path / 'stranger.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'config': config}))
    with pytest.raises(ModelError, match='config must hold model'):
        from_pretrained('stranger', folder=tmp_path)


def test_what_is_packed_is_allowed(packed):
    packed(lambda config: None)
    packed(lambda c: at(c, 'model', 'head', 'relation').update(type='mmpose.RelationSequence'))
    packed(
        lambda c: at(c, *DATASET).update(
            metainfo=dict(keypoint_info={'0': dict(name='hip', id=0, type='lower', swap='')})
        )
    )


# Configs are code; but YAML is read as plain values.


@pytest.mark.parametrize('ending', ['yaml', 'yml'])
@pytest.mark.parametrize(
    'tag',
    [
        '!!python/object/apply:os.system ["touch {ran}"]',
        '!!python/object/new:os.system ["touch {ran}"]',
        '!!python/name:os.system',
        '!!python/module:antigravity',
    ],
)
def test_tags_of_yaml_are_not_run(tag, ending, tmp_path):
    ran, config = tmp_path / 'ran', tmp_path / f'config.{ending}'
    config.write_text(f'a: {tag.format(ran=ran)}\n')
    for path in (config, tmp_path / 'on_top.py'):
        (tmp_path / 'on_top.py').write_text(f'_base_ = [{str(config)!r}]\n')
        with pytest.raises(SettingError, match='the config cannot be read: ConstructorError'):
            read_config(path)
        assert not ran.exists()


def test_plain_yaml_and_json_are_read(tmp_path):
    given = Config(dict(model=dict(type='A', size=(1, 2)), names=['a']))
    for ending in ('yaml', 'json'):
        given.dump(tmp_path / f'a.{ending}')
        read = read_config(tmp_path / f'a.{ending}')
        assert list(read.model['size']) == [1, 2] and read.names == ['a']


class Exploit:
    def __init__(self, ran: Path) -> None:
        self.ran = ran

    def __reduce__(self):
        return os.system, (f'touch {self.ran}',)


def test_pickles_of_other_data_sets_run_nothing(tmp_path):
    from mmaction.datasets import PoseDataset

    ran, path = tmp_path / 'ran', tmp_path / 'a.pkl'
    annotation = dict(frame_dir='a', label=0, keypoint=np.zeros((1, 2, 17, 2)), total_frames=2)

    def built(*annotations) -> PoseDataset:
        path.write_bytes(pickle.dumps(dict(split=dict(x=['a']), annotations=list(annotations))))
        with building(Config(), 'the data'):
            return PoseDataset(ann_file=str(path), pipeline=[], split='x')

    assert built(annotation)[0]['keypoint'].shape == (1, 2, 17, 2)
    with pytest.raises(RPSTNError, match=r'a pickle of annotations: it names .*system'):
        built(annotation, Exploit(ran))
    assert not ran.exists()


def test_outside_nothing_is_changed():
    from mmengine.fileio.handlers import yaml_handler

    before = yaml_handler.Loader
    with pytest.raises(SettingError):
        read_config(os.devnull)
    assert yaml_handler.Loader is before
