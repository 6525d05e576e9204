"""JRE against the paper's formula (figure 3)."""

import math

import pytest
import torch
from mmpose.registry import MODELS
from torch import nn

from rpstn.engine.cpu import for_inference
from rpstn.pose import JRE, PriorRelation
from rpstn.skeletons import SKELETONS, Skeleton

OPTIONS = [
    dict(temperature=2.0),
    dict(similarity='cosine', temperature=0.1),
    dict(heads=3),
    dict(features=6),
    dict(similarity='cosine', temperature=0.5, heads=2, features=6),
]


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


@pytest.mark.parametrize(
    ('kind', 'options'),
    [(PriorRelation, dict(skeleton='penn13')), (JRE, {}), *((JRE, some) for some in OPTIONS)],
)
def test_folded_it_answers_the_same(kind, options):
    jre, maps = randomized(kind(13, **options)), torch.randn(2, 13, 16, 12).double()
    context = dict(features=torch.randn(2, 6, 16, 12).double()) if jre.takes else {}
    jre.fold_for_inference()
    assert not jre.folded  # while its batch norm stands apart
    folded = for_inference(jre)
    assert folded.folded == (jre.heads == 1)
    torch.testing.assert_close(folded(maps, **context), jre(maps, **context))


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


# Beyond the paper.


@pytest.mark.parametrize('options', OPTIONS)
def test_options_equal_the_formula_written_out_with_loops(options):
    joints, cells, channels = 3, 8, options.get('features')
    jre = random_jre(joints, **options).requires_grad_(False)
    maps = torch.randn(1, joints, 2, 4, dtype=torch.float64)
    looked = torch.randn(1, 6, 2, 4, dtype=torch.float64)
    m = maps[0].flatten(1)
    length = m.norm(dim=1) if options.get('similarity') == 'cosine' else torch.ones(joints)
    alike = [
        [float(m[i] @ m[j] / (length[i] * length[j])) for j in range(joints)] for i in range(3)
    ]
    mixed = []
    for h in range(jre.heads):
        similar = torch.tensor(alike, dtype=torch.float64)
        if jre.heads > 1:
            similar = jre.mixing[h] @ similar
        if channels:
            looks = []
            for k in range(joints):
                mass = [max(float(value), 0) for value in m[k]]
                looks.append(
                    sum(mass[n] * looked[0].flatten(1)[:, n] for n in range(cells)) / sum(mass)
                )
            query, key = (
                [(layer.weight @ look + layer.bias)[32 * h : 32 * h + 32] for look in looks]
                for layer in (jre.query, jre.key)
            )
            for i in range(joints):
                for j in range(joints):
                    similar[i, j] += query[i] @ key[j] / math.sqrt(32)
        if 'temperature' in options:
            similar = similar / math.exp(float(jre.log_temperature[h]))
        for i in range(joints):
            row = [math.exp(float(similar[i, j])) for j in range(joints)]
            mixed.append(
                sum(
                    row[j] / sum(row) * jre.g(maps)[0, h * joints + j].flatten()
                    for j in range(joints)
                )
            )
    expected = maps + jre.out(torch.stack(mixed).view(1, -1, 2, 4))
    context = dict(features=looked) if channels else {}
    torch.testing.assert_close(jre(maps, **context), expected)
    torch.testing.assert_close(
        jre.relation(maps, **context).sum(-1), torch.ones(1, joints, dtype=torch.float64)
    )


@pytest.mark.parametrize('options', OPTIONS)
def test_options_start_as_the_identity_and_learn(options):
    torch.manual_seed(0)
    jre = MODELS.build(dict(type='JRE', num_joints=5, **options))
    maps = torch.rand(2, 5, 8, 8)
    context = dict(features=torch.randn(2, 6, 8, 8)) if jre.takes else {}
    assert jre.takes == tuple(context)
    assert torch.equal(jre(maps, **context), maps)
    nn.init.normal_(jre.out[1].weight)
    if jre.query is not None:
        nn.init.normal_(jre.query.weight)
    (jre(maps, **context) * torch.randn_like(maps)).sum().backward()
    for name, parameter in jre.named_parameters():
        if name not in ('g.bias', 'out.0.bias'):  # which the batch norm takes away
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_the_options_start_from_the_papers_relation():
    maps = torch.randn(2, 5, 8, 8) / 4
    paper = JRE(5).relation(maps)
    torch.testing.assert_close(JRE(5, temperature=1.0).relation(maps), paper)
    torch.testing.assert_close(JRE(5, heads=4).relation(maps), paper)
    torch.testing.assert_close(JRE(5, features=6).relation(maps, torch.randn(2, 6, 4, 4)), paper)
    assert JRE(5).state_dict().keys() == {
        *(f'{conv}.{kind}' for conv in ('g', 'out.0', 'out.1') for kind in ('weight', 'bias')),
        *(f'out.1.{name}' for name in ('running_mean', 'running_var', 'num_batches_tracked')),
    }


def test_features_are_looked_at_where_the_joint_is():
    # Where it is, whatever the features are elsewhere; a coarser map of features serves as well.
    jre = random_jre(2, features=3)
    maps = torch.zeros(1, 2, 8, 8, dtype=torch.float64)
    maps[0, 0, 2, 2] = maps[0, 1, 5, 7] = 1
    features = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    other = torch.randn_like(features)
    for y, x in ((2, 2), (5, 7)):
        other[..., y, x] = features[..., y, x]
    assert torch.equal(jre.relation(maps, features), jre.relation(maps, other))
    other[..., 2, 2] += 1
    assert not torch.allclose(jre.relation(maps, features), jre.relation(maps, other))
    coarse = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    fine = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(jre.relation(maps, coarse), jre.relation(maps, fine))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(similarity='cosines'), r"similarity must be one of .*'cosine'.*'cosines'"),
        (dict(temperature=0), 'temperature must be above 0, got 0'),
        (dict(heads=0), 'heads must be 1, or more in the layout of the paper, got 0'),
        (dict(heads=2, layout='released'), 'heads must be 1, or more in the layout'),
        (dict(features=6), r'features of 6 channels beside the heatmaps, got None'),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message) as error:
        JRE(3, **options)(torch.zeros(1, 3, 4, 4))
    assert '\n' not in str(error.value)


def test_features_of_other_channels_are_refused():
    with pytest.raises(ValueError, match=r'features of 6 channels.*got \(1, 5, 4, 4\)'):
        JRE(3, features=6)(torch.zeros(1, 3, 4, 4), torch.zeros(1, 5, 4, 4))


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
