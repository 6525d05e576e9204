"""Checkpoints of any structure: read, or refused in one line, in every door."""

import pickle
import re
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from rpstn.checkpoints import ModelError, read_checkpoint, weights_of, weights_sha256
from rpstn.engine.loading import load_model
from rpstn.errors import RPSTNError
from rpstn.pose.models.pretrained import load_last_layer, load_single_frame

from tiny_rpstn import tiny_config

ONE = torch.ones(2)


def deep(depth: int) -> list:
    made: list = []
    for _ in range(depth):
        made = [made]
    return made


ODD = {
    'a list': [1, 2],
    'a tensor': ONE,
    'text': 'weights',
    'nothing': None,
    'a number': 3,
    'empty': {},
    'a state dict that is a list': dict(state_dict=[('a', ONE)]),
    'a state dict that is text': dict(state_dict='a'),
    'a state dict that is none': dict(state_dict=None),
    'a state dict that is a tensor': dict(state_dict=ONE),
    'a state dict that is empty': dict(state_dict={}),
    'a state dict in a list': dict(state_dict=[{'a': ONE}]),
    'integer keys': {1: ONE},
    'integer keys within': dict(state_dict={1: ONE}),
    'tuples as keys': dict(state_dict={(1, 2): ONE}),
    'none as a key': dict(state_dict={None: ONE}),
    'bytes as keys': dict(state_dict={b'a': ONE}),
    'both kinds of keys': {'state_dict': {'a': ONE, 2: ONE}, 3: 4},
    'text for weights': dict(state_dict=dict(a='b')),
    'numbers for weights': dict(state_dict=dict(a=1.5)),
    'lists for weights': dict(state_dict=dict(a=[1.0, 2.0])),
    'none for weights': dict(state_dict=dict(a=None)),
    'dicts for weights': dict(state_dict=dict(a=dict(b=ONE))),
    'a state dict in itself': dict(state_dict=dict(state_dict=dict(a=ONE))),
    'nested junk': dict(state_dict=dict(a=deep(200))),
    'complex weights': dict(state_dict=dict(a=torch.ones(2, dtype=torch.complex64))),
    'sparse weights': dict(state_dict=dict(a=torch.ones(2, 2).to_sparse())),
    'other weights': dict(state_dict=dict(a=ONE)),
    'other bare weights': dict(a=ONE),
    'weights under another name': dict(model=dict(a=ONE)),
    'parallel nothing': dict(state_dict={'module.': ONE}),
    'an optimizer alone': dict(optimizer=dict(state={}, param_groups=[])),
}
# With weights that fit.
ODD_META = {
    'meta that is text': 'meta',
    'meta that is a list': [1],
    'meta that is a number': 3,
    'joints that are text': dict(dataset_meta='joints'),
    'joints that are a list': dict(dataset_meta=['a']),
    'joints without names': dict(dataset_meta=dict(a=1)),
    'names that are text': dict(dataset_meta=dict(keypoint_id2name='abc')),
    'names that are a list': dict(dataset_meta=dict(keypoint_id2name=['a'])),
    'names that are numbers': dict(dataset_meta=dict(keypoint_id2name={k: k for k in range(5)})),
    'names by name': dict(dataset_meta=dict(keypoint_id2name={str(k): 'a' for k in range(5)})),
    'names with gaps': dict(dataset_meta=dict(keypoint_id2name={2 * k: 'a' for k in range(5)})),
    'too few names': dict(dataset_meta=dict(keypoint_id2name={0: 'a'})),
    'no names': dict(dataset_meta=dict(keypoint_id2name={})),
}


def line(error) -> str:
    (one,) = str(error.value).splitlines()
    assert 'odd.pth' in one and len(one) < 500
    return one


@pytest.mark.parametrize('content', ODD.values(), ids=ODD)
def test_odd_weights_are_a_line_in_every_door(content, tmp_path):
    path = tmp_path / 'odd.pth'
    torch.save(content, path)
    with pytest.raises(ModelError) as error:
        load_model(tiny_config(channels=8), path)
    line(error)
    network = torch.nn.ModuleDict(dict(backbone=torch.nn.Conv2d(1, 1, 1)))
    with pytest.raises(RPSTNError) as error:
        load_single_frame(dict(network=network), str(path))
    line(error)
    with pytest.raises(RPSTNError) as error:
        load_last_layer(torch.nn.Conv2d(1, 1, 1), str(path))
    line(error)


@pytest.mark.parametrize('meta', ODD_META.values(), ids=ODD_META)
def test_odd_facts_are_a_line(meta, tmp_path, fitting):
    path = tmp_path / 'odd.pth'
    torch.save(dict(state_dict=fitting, meta=meta), path)
    with pytest.raises(ModelError) as error:
        load_model(tiny_config(channels=8), path)
    if 'the config' not in str(error.value):  # whose joints are asked for then
        line(error)


@pytest.fixture(scope='module')
def fitting() -> dict:
    from mmengine.registry import init_default_scope
    from mmpose.registry import MODELS

    init_default_scope('mmpose')
    return MODELS.build(tiny_config(channels=8).model).state_dict()


def broken(path, kind: str) -> None:
    if kind == 'no pickle':
        path.write_bytes(b'\x80\x02.')
    elif kind == 'a pickle of old':
        path.write_bytes(pickle.dumps(dict(state_dict={}), protocol=2))
    elif kind == 'an archive of other things':
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('a.txt', 'a')
    elif kind == 'numpy':
        with open(path, 'wb') as file:
            np.save(file, np.ones(3))
    elif kind == 'half':
        torch.save(dict(state_dict=dict(a=torch.ones(1000))), path)
        path.write_bytes(path.read_bytes()[:700])
    elif kind == 'a folder':
        path.mkdir()
    elif kind == 'code':
        torch.save(dict(state_dict=OrderedDict(a=Exploit())), path)
    else:
        path.write_bytes(b'')


class Exploit:
    def __reduce__(self):
        return print, ('ran',)


@pytest.mark.parametrize(
    'kind',
    [
        'no pickle',
        'a pickle of old',
        'an archive of other things',
        'numpy',
        'half',
        'a folder',
        'code',
        'empty',
    ],
)
def test_what_is_no_checkpoint_is_a_line(kind, tmp_path, capsys):
    path = tmp_path / 'odd.pth'
    broken(path, kind)
    with pytest.raises(ModelError) as error:
        weights = weights_of(read_checkpoint(path))
        assert not weights  # a pickle of old is read, and holds none
        raise ModelError('odd.pth: empty')
    line(error)
    assert 'ran' not in capsys.readouterr().out


def test_a_checkpoint_that_is_not_there():
    with pytest.raises(ModelError, match=r'nowhere\.pth: no such checkpoint file'):
        read_checkpoint('nowhere.pth')


# What tells weights from others.


def test_the_identity_of_weights_is_their_content():
    a = dict(w=torch.arange(4.0), b=torch.zeros(1))
    same = dict(b=torch.zeros(1), w=torch.arange(8.0)[:4].clone())
    assert weights_sha256(a) == weights_sha256(same)
    assert re.fullmatch('[0-9a-f]{64}', weights_sha256(a))
    others = [
        dict(a, w=torch.arange(4.0) + torch.tensor([0, 0, 0, 1e-6])),
        dict(a, w=torch.arange(4.0).reshape(2, 2)),
        dict(a, w=torch.arange(4)),
        dict(w=a['w'], c=a['b']),
        dict(w=a['w']),
    ]
    assert len({weights_sha256(other) for other in [a, *others]}) == 6
    assert weights_sha256(dict(w=torch.ones(2, 3).t())) == weights_sha256(dict(w=torch.ones(3, 2)))
    assert weights_sha256(dict(w=torch.ones(2, dtype=torch.bfloat16)))
