"""JRE against the paper's formula (figure 3)."""

import math

import pytest
import torch
from mmpose.registry import MODELS

from rpstn.engine.cpu import for_inference
from rpstn.pose import JRE, PriorRelation
from rpstn.skeletons import SKELETONS, Skeleton


def random_jre(num_joints: int, seed: int = 0, **options) -> JRE:
    """A JRE away from its identity start, in double precision, in evaluation mode."""
    return randomized(JRE(num_joints, **options), seed)


def randomized(jre: JRE, seed: int = 0) -> JRE:
    torch.manual_seed(seed)
    jre = jre.double().eval()
    for parameter in jre.parameters():
        torch.nn.init.normal_(parameter)
    jre.out[1].running_mean.normal_()
    jre.out[1].running_var.uniform_(0.5, 2)
    return jre


@pytest.mark.parametrize('kind', [JRE, PriorRelation])
def test_folded_it_answers_the_same(kind):
    options = dict(skeleton='penn13') if kind is PriorRelation else {}
    jre, maps = randomized(kind(13, **options)), torch.randn(2, 13, 16, 12).double()
    jre.fold_for_inference()
    assert not jre.folded  # while its batch norm stands apart
    folded = for_inference(jre)
    assert folded.folded
    torch.testing.assert_close(folded(maps), jre(maps))


def test_as_released_it_is_not_folded():
    released = for_inference(random_jre(5, layout='released'))
    assert not released.folded


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize(
    'relation',
    [
        dict(type='JRE'),
        dict(type='JRE', layout='released'),
        dict(type='PriorRelation', skeleton='penn13'),
        dict(type='RelationSequence', relations=[dict(type='JRE'), dict(type='NonLocalRelation')]),
    ],
)
def test_is_the_identity_at_initialization(relation, training):
    jre = MODELS.build(dict(num_joints=13, **relation)).train(training)
    heatmaps = torch.randn(2, 13, 16, 12)
    assert torch.equal(jre(heatmaps), heatmaps)


@pytest.mark.parametrize(
    'relation',
    [
        dict(type='JRE'),
        dict(type='RelationSequence', relations=[dict(type='JRE'), dict(type='NonLocalRelation')]),
    ],
)
def test_stays_the_identity_inside_a_head_that_initializes_its_norms_to_one(relation):
    head = MODELS.build(
        dict(
            type='RPSTNHead',
            num_joints=5,
            channels=8,
            relation=relation,
            propagator=dict(type='JRPSP'),
            init_cfg=dict(type='Constant', layer=['BatchNorm2d', 'Conv2d'], val=1),
        )
    )
    head.init_weights()
    heatmaps = torch.randn(2, 5, 10, 10)
    assert torch.equal(head.relation(heatmaps), heatmaps)


def test_equals_the_formula_written_out_with_loops():
    joints, height, width = 3, 2, 4
    jre = random_jre(joints)
    maps = torch.randn(2, joints, height, width, dtype=torch.float64)
    out = jre(maps)
    g, conv, norm = jre.g, jre.out[0], jre.out[1]
    for b in range(2):
        m = [
            [maps[b, k, y, x].item() for y in range(height) for x in range(width)]
            for k in range(joints)
        ]
        similar = [
            [math.exp(sum(p * q for p, q in zip(m[i], m[j]))) for j in range(joints)]
            for i in range(joints)
        ]
        relation = [[s / sum(row) for s in row] for row in similar]
        gm = [
            [
                g.bias[k].item() + sum(g.weight[k, j, 0, 0].item() * m[j][n] for j in range(joints))
                for n in range(height * width)
            ]
            for k in range(joints)
        ]
        mixed = [
            [sum(relation[k][j] * gm[j][n] for j in range(joints)) for n in range(height * width)]
            for k in range(joints)
        ]
        for k in range(joints):
            for n in range(height * width):
                value = conv.bias[k].item() + sum(
                    conv.weight[k, j, 0, 0].item() * mixed[j][n] for j in range(joints)
                )
                scale = norm.weight[k].item() / math.sqrt(norm.running_var[k].item() + norm.eps)
                value = (value - norm.running_mean[k].item()) * scale + norm.bias[k].item()
                assert out[b, k, n // width, n % width].item() == pytest.approx(m[k][n] + value)


def test_relation_rows_sum_to_one_and_permute_with_the_joints():
    jre = random_jre(6)
    maps = torch.randn(2, 6, 5, 7, dtype=torch.float64) / 3
    relation = jre.relation(maps)
    assert relation.shape == (2, 6, 6)
    torch.testing.assert_close(relation.sum(-1), torch.ones(2, 6, dtype=torch.float64))
    assert not torch.allclose(relation.sum(-2), torch.ones(2, 6, dtype=torch.float64))
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(jre.relation(maps[:, order]), relation[:, order][:, :, order])


@pytest.mark.parametrize('layout', ['paper', 'released'])
def test_gradients(layout):
    jre = random_jre(3, layout=layout).train()
    maps = torch.randn(2, 3, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(jre, (maps,))


def test_the_released_layout_equals_its_description_written_out_with_loops():
    """Softmax over columns; W_r G, (K, N) for N = h*w, read pixel by pixel, in the order in which
    K maps of N cells are then filled."""
    joints, height, width = 3, 2, 4
    cells = height * width
    jre = random_jre(joints, layout='released')
    maps = torch.randn(2, joints, height, width, dtype=torch.float64)
    out = jre(maps)
    for b in range(2):
        m = maps[b].reshape(joints, cells).tolist()
        similar = [
            [math.exp(sum(p * q for p, q in zip(m[i], m[j]))) for j in range(joints)]
            for i in range(joints)
        ]
        relation = [
            [similar[i][j] / sum(similar[n][j] for n in range(joints)) for j in range(joints)]
            for i in range(joints)
        ]
        gm = jre.g(maps[b : b + 1])[0].reshape(joints, cells).tolist()
        mixed = [
            [sum(relation[k][j] * gm[j][n] for j in range(joints)) for n in range(cells)]
            for k in range(joints)
        ]
        interleaved = [mixed[k][n] for n in range(cells) for k in range(joints)]
        misread = torch.tensor(interleaved, dtype=torch.float64).reshape(1, joints, height, width)
        torch.testing.assert_close(out[b], maps[b] + jre.out(misread)[0])


def test_the_layouts_differ_and_share_their_weights():
    paper, released = random_jre(4), random_jre(4, layout='released')
    released.load_state_dict(paper.state_dict())
    maps = torch.randn(1, 4, 5, 5, dtype=torch.float64)
    columns = released.relation(maps).sum(1)
    torch.testing.assert_close(columns, torch.ones(1, 4, dtype=torch.float64))
    assert (paper(maps) - released(maps)).abs().max() > 0.1
    spread = maps.to(memory_format=torch.channels_last)
    torch.testing.assert_close(released(spread), released(maps))


def test_another_layout_names_those_there_are():
    with pytest.raises(ValueError, match=r"'paper', 'released'.*'relased'"):
        JRE(13, layout='relased')


# A fixed graph.


def test_the_prior_graph_of_a_chain():
    """Three joints in a row: the ends see themselves and the middle, which sees all."""
    chain = Skeleton('chain', ('a', 'b', 'c'), (('a', 'b'), ('b', 'c')))
    prior = PriorRelation(3, chain)
    expected = torch.tensor([[1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3], [0, 1 / 2, 1 / 2]])
    torch.testing.assert_close(prior.relation(torch.randn(2, 3, 4, 4)), expected.expand(2, 3, 3))


@pytest.mark.parametrize('name', ['penn13', 'jhmdb15', 'coco17'])
def test_the_prior_graph_of_a_body(name):
    skeleton = SKELETONS[name]
    prior = PriorRelation(skeleton.num_joints, name)
    graph = prior.relation(torch.zeros(1, skeleton.num_joints, 2, 2))[0]
    torch.testing.assert_close(graph.sum(1), torch.ones(skeleton.num_joints))
    assert torch.equal(graph > 0, (graph > 0).T)
    mirror = list(skeleton.flip_indices)
    assert torch.equal(graph[mirror][:, mirror], graph)  # left is to right as right to left
    knee, ankle, other = (
        skeleton.index(f'{part}') for part in ('left_knee', 'left_ankle', 'right_ankle')
    )
    assert graph[knee, ankle] > 0 and graph[knee, other] == 0


def test_the_prior_relation_is_jre_with_that_graph():
    prior = randomized(PriorRelation(13, 'penn13'))
    maps = torch.randn(2, 13, 4, 5, dtype=torch.float64)
    mixed = torch.einsum('kj,bjhw->bkhw', prior.graph, prior.g(maps))
    torch.testing.assert_close(prior(maps), maps + prior.out(mixed))
    JRE(13).load_state_dict(prior.state_dict())  # strictly: the graph is no weight
    # It does not look at the heatmaps: the answer is linear in them.
    zero = prior(torch.zeros_like(maps))
    torch.testing.assert_close(prior(3 * maps) - zero, 3 * (prior(maps) - zero))


@pytest.mark.parametrize(
    'arguments, message',
    [
        ((13, 'jhmdb15'), r'num_joints=13.*jhmdb15 has 15'),
        ((13, 'penn'), r"unknown skeleton 'penn'; known are .*penn13"),
    ],
)
def test_a_prior_graph_that_does_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        PriorRelation(*arguments)


def test_wrong_number_of_joints_names_both():
    with pytest.raises(ValueError, match=r'num_joints=13.*\(1, 15, 8, 8\)'):
        JRE(13)(torch.zeros(1, 15, 8, 8))


def test_half_precision_does_not_overflow():
    # Inner products of 64 x 64 cells pass float16's largest number, 65504.
    maps = 5 * torch.ones(1, 3, 64, 64)
    maps[:, 1] *= -1
    with torch.autocast('cpu', dtype=torch.float16):
        relation = JRE(3).relation(maps.half())
    assert torch.isfinite(relation).all()
    expected = torch.tensor([[[0.5, 0, 0.5], [0, 1, 0], [0.5, 0, 0.5]]])
    torch.testing.assert_close(relation.float(), expected)
