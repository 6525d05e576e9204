"""Relation modules one behind another, and another in the place of a model's."""

import pytest
import torch
from mmpose.registry import MODELS
from torch import nn

from rpstn.pose import JRE, NonLocalRelation, RelationSequence
from rpstn.pose.models.relation_sequence import swap_relation


def random_jre(seed: int) -> JRE:
    """A JRE of three joints, away from its identity start, in double precision."""
    torch.manual_seed(seed)
    jre = JRE(3).double().eval()
    for parameter in jre.parameters():
        nn.init.normal_(parameter)
    return jre


def test_a_sequence_applies_its_relations_in_order():
    first, second = random_jre(0), random_jre(1)
    maps = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    sequence = RelationSequence(3, [first, second]).eval()
    assert torch.equal(sequence(maps), second(first(maps)))
    assert not torch.equal(sequence(maps), first(second(maps)))


def test_frozen_relations_keep_weights_and_statistics():
    sequence = RelationSequence(3, [random_jre(0), random_jre(1)], frozen=1).train()
    before = [{k: v.clone() for k, v in r.state_dict().items()} for r in sequence.relations]
    optimizer = torch.optim.SGD(sequence.parameters(), lr=0.1)
    sequence(torch.randn(2, 3, 4, 4, dtype=torch.float64)).square().sum().backward()
    optimizer.step()
    stays, learns = (
        [torch.equal(value, old[key]) for key, value in r.state_dict().items()]
        for r, old in zip(sequence.relations, before)
    )
    assert all(stays) and not any(learns)


def test_every_relation_gets_what_it_takes():
    relations = [dict(type='TokenRelation', temporal=True), JRE(3, features=4), nn.Conv2d(3, 3, 1)]
    sequence = RelationSequence(3, relations).eval()
    assert sequence.takes == ('features', 'last')
    assert RelationSequence(3, relations[2:]).takes == ()
    for parameter in sequence.parameters():
        nn.init.normal_(parameter)
    maps, last = torch.rand(2, 1, 3, 8, 8)
    features = torch.randn(1, 4, 8, 8)
    tokens, jre, conv = sequence.relations
    expected = conv(jre(tokens(maps, last), features))
    assert torch.equal(sequence(maps, features=features, last=last), expected)


@pytest.mark.parametrize('options', [dict(relations=[]), dict(relations=[JRE(3)], frozen=2)])
def test_a_sequence_that_cannot_be(options):
    with pytest.raises(ValueError, match='one relation or more, and frozen from 0'):
        RelationSequence(3, **options)


@pytest.mark.parametrize('relation', [dict(type='JRE'), None])
def test_the_heatmaps_of_an_rpstn_do_not_change(relation):
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='VideoPoseEstimator',
            backbone=dict(
                type='RPSTNBackbone',
                num_joints=5,
                channels=8,
                input_size=(64, 64),
                encoder=dict(type='ResNet', depth=18, stem_channels=4, base_channels=4),
            ),
            head=dict(
                type='RPSTNHead',
                num_joints=5,
                channels=8,
                relation=relation,
                propagator=dict(type='JRPSP'),
            ),
        )
    ).eval()
    if relation:
        nn.init.normal_(model.head.relation.out[1].weight)
    clips = torch.randn(2, 3, 3, 64, 64)
    before = model(clips, None)
    swap_relation(model, dict(type='NonLocalRelation'))
    assert not model.head.relation.training
    assert torch.equal(model(clips, None), before)
    nn.init.normal_(model.head.relation.relations[1].out.weight)
    assert not torch.allclose(model(clips, None), before)


def test_the_new_weights_come_from_the_seed_and_leave_random_numbers_alone():
    weights = []
    for seed in (1, 1, 2):
        model = nn.Sequential()
        model.head = nn.Sequential(nn.Conv2d(3, 4, 1))
        model.head.relation = JRE(4)
        state = torch.random.get_rng_state()
        swap_relation(model, dict(type='NonLocalRelation'), None, seed=seed)
        assert torch.equal(torch.random.get_rng_state(), state)
        weights.append(model.head.relation.theta.weight)
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize('keep', ['trainable', 'frozen', None])
def test_what_stands_at_the_path_after_a_swap(keep):
    model = nn.Sequential()
    model.relation = old = JRE(4)
    swap_relation(model, dict(type='NonLocalRelation'), keep, path='relation')
    new = model.relation
    if keep is None:
        assert isinstance(new, NonLocalRelation) and new.num_joints == 4
    else:
        assert [type(r) for r in new.relations] == [JRE, NonLocalRelation]
        assert new.relations[0] is old
        assert all(p.requires_grad != (keep == 'frozen') for p in old.parameters())


def test_a_path_without_a_module_is_named():
    with pytest.raises(ValueError, match="Sequential has no .*path='head.relation'"):
        swap_relation(nn.Sequential(), dict(type='NonLocalRelation'))
