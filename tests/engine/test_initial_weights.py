"""Weights named by init_cfg: loaded where some fit, refused in a line where none does."""

import re

import pytest
import torch
from mmengine.model import BaseModule
from torch import nn

import rpstn.engine.run  # noqa: F401  # registers it
from rpstn.checkpoints import ModelError


class Small(BaseModule):
    def __init__(self, **init_cfg) -> None:
        super().__init__(dict(type='Pretrained', **init_cfg))
        self.conv = nn.Conv2d(1, 2, 1)


def initialized(path, content, **more) -> nn.Module:
    if content is not None:
        torch.save(content, path)
    module = Small(checkpoint=str(path), **more)
    module.init_weights()
    return module


SEVEN = {'conv.weight': torch.full((2, 1, 1, 1), 7.0)}


@pytest.mark.parametrize(
    ('content', 'more'),
    [
        (SEVEN, {}),
        (dict(state_dict=SEVEN), {}),
        ({**SEVEN, 'conv.bias': torch.ones(9), 'other': torch.ones(1)}, {}),
        ({f'module.{key}': value for key, value in SEVEN.items()}, {}),
        ({f'backbone.{key}': value for key, value in SEVEN.items()}, dict(prefix='backbone')),
        ({f'backbone.{key}': value for key, value in SEVEN.items()}, dict(prefix='backbone.')),
    ],
)
def test_what_fits_is_taken(tmp_path, content, more):
    module = initialized(tmp_path / 'a.pth', content, **more)
    assert (module.conv.weight == 7).all() and module.conv.bias.shape == (2,)


@pytest.mark.parametrize(
    ('content', 'more', 'said'),
    [
        ({'other': torch.ones(1)}, {}, 'none of its 1 weights fits Small, whose first is conv.w'),
        ({'conv.weight': torch.ones(3)}, {}, 'none of its 1 weights fits Small'),
        (SEVEN, dict(prefix='head'), 'none of its 0 weights under head fits Small'),
        ({}, {}, 'none of its 0 weights'),
        ([1], {}, 'a checkpoint must be a dict, got list'),
        (dict(state_dict=3), {}, 'state_dict must be a dict'),
        (None, {}, 'no such checkpoint file'),
    ],
)
def test_what_fits_nothing_is_a_line(tmp_path, content, more, said):
    path = tmp_path / 'a.pth'
    with pytest.raises(ModelError, match=f'^{re.escape(str(path))}.*{said}') as error:
        initialized(path, content, **more)
    assert '\n' not in str(error.value)
