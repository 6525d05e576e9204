"""Why JRE alone cannot find a hidden joint, and what can: W_r of real maps, and what R reaches."""

import math

import pytest
import torch
from mmpose.registry import MODELS
from torch import nn

from rpstn.pose import JRE
from rpstn.pose.models.relation import joint_relation, joint_similarity
from rpstn.pose.models.token_relation import gaussians


def peaks(joints: int, side: int = 64, sigma: float = 2.0) -> torch.Tensor:
    """Maps (1, K, side, side) of height 1, as those of the targets, no two at one place."""
    along = torch.linspace(0.15, 0.85, 6)
    places = torch.cartesian_prod(along, along)[:joints]
    return gaussians(places[None], (side, side), sigma)


@pytest.mark.parametrize('joints', [13, 15, 33])
def test_of_maps_of_the_targets_height_the_papers_relation_is_the_identity(joints):
    maps = peaks(joints)
    similar = joint_similarity(maps)[0]
    # The sum of exp(-d^2 / sigma^2) over cells, pi sigma^2, against softmax's ones elsewhere.
    torch.testing.assert_close(similar.diagonal(), torch.full((joints,), math.pi * 2.0**2))
    assert float(similar[0, 1:].max()) < 0.1
    own = joint_relation(maps)[0].diagonal()
    assert float(own.min()) > 0.9998
    assert float(JRE(joints).relation(maps)[0].diagonal().min()) > 0.9998
    # A hidden joint, whose map is empty, draws on everybody alike: it asks nobody in particular.
    maps[0, 4] = 0
    assert joint_relation(maps)[0, 4].tolist() == pytest.approx([1 / joints] * joints)


def test_a_learned_temperature_and_cosines_alone_make_it_even():
    maps = peaks(15)
    for options, own in (
        (dict(), 0.9999),
        (dict(temperature=12.57), 0.163),  # e / (e + 14)
        (dict(similarity='cosine'), 0.163),
        (dict(similarity='cosine', temperature=1 / 12.57), 0.9999),
    ):
        found = JRE(15, **options).relation(maps)[0].diagonal().detach()
        assert float(found.mean()) == pytest.approx(own, abs=2e-3)


def trained(relation: dict, joints: int = 4) -> nn.Module:
    """With weights that let it do something."""
    torch.manual_seed(0)
    module = MODELS.build(dict(num_joints=joints, **relation)).eval()
    for name, parameter in module.named_parameters():
        if name in ('scale', 'kernels'):
            nn.init.uniform_(parameter)
        elif name != 'sharpness':
            nn.init.normal_(parameter, std=0.1 if 'answer' in name else 0.5)
    return module.requires_grad_(False)


JRES = [
    dict(type='JRE'),
    dict(type='JRE', temperature=12.0, heads=4),
    dict(type='JRE', similarity='cosine', temperature=0.1),
]


@pytest.mark.parametrize('relation', JRES)
def test_jre_mixes_cell_by_cell(relation):
    """Cells in another order come out in that order: it knows nothing of where they are."""
    jre, maps = trained(relation), peaks(4, 16)
    order = torch.randperm(256, generator=torch.Generator().manual_seed(0))
    shuffled = maps.flatten(2)[..., order].view_as(maps)
    expected = jre(maps).flatten(2)[..., order].view_as(maps)
    torch.testing.assert_close(jre(shuffled), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('relation', JRES)
def test_where_no_map_has_mass_jre_puts_none(relation):
    jre, maps = trained(relation), peaks(4, 32, 1.0)
    maps[maps < 1e-3] = 0
    empty = (maps == 0).all(1)[0]
    assert 0.5 < empty.float().mean() < 1
    refined = jre(maps)[0][:, empty]
    # The same everywhere: what its biases make.
    torch.testing.assert_close(refined, refined[:, :1].expand_as(refined), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('relation', [dict(type='PairwiseRelation'), dict(type='TokenRelation')])
def test_relations_that_displace_put_mass_where_no_map_has_any(relation):
    module, maps = trained(relation), peaks(4, 32, 1.0)
    maps[maps < 1e-3] = 0
    empty = (maps == 0).all(1)[0]
    refined = module(maps)[0][:, empty]
    assert float(refined.std(dim=1).max()) > 1e-3  # JRE: 1e-8
