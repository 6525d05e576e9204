"""PairwiseRelation: the formula in loops, shifts, and a hidden joint that is found."""

import math

import pytest
import torch
from mmpose.registry import MODELS
from torch import nn

from rpstn.errors import SettingError
from rpstn.pose import PairwiseRelation
from rpstn.pose.models.token_relation import gaussians, soft_peaks


def randomized(**options) -> PairwiseRelation:
    """Away from its start, in double precision."""
    torch.manual_seed(0)
    relation = PairwiseRelation(**options).double()
    for parameter in relation.parameters():
        nn.init.normal_(parameter)
    return relation


@pytest.mark.parametrize('temporal', [False, True])
def test_equals_the_formula_written_out_with_loops(temporal):
    joints, stride, side = 2, 2, 3
    relation = randomized(num_joints=joints, kernel_size=side, stride=stride, temporal=temporal)
    relation.requires_grad_(False)
    maps, last = torch.rand(2, 1, joints, 6, 8, dtype=torch.float64)
    rows, columns = 3, 4
    sent = [*maps[0], *(last[0] if temporal else [])]
    pooled = [
        [
            [float(m[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].sum()) / 4 for x in range(columns)]
            for y in range(rows)
        ]
        for m in sent
    ]
    heights = [float(m.max()) for m in sent]
    evidence = torch.zeros(joints, rows, columns, dtype=torch.float64)
    for k in range(joints):
        shares = [
            math.exp(float(relation.prior[k, j] + relation.trust[k, j] * heights[j]))
            for j in range(len(sent))
        ]
        for y in range(rows):
            for x in range(columns):
                for j, m in enumerate(pooled):
                    total = float(relation.bias[j, k])
                    for dy in range(side):
                        for dx in range(side):
                            v, u = y + dy - 1, x + dx - 1
                            if 0 <= v < rows and 0 <= u < columns:
                                total += float(relation.kernels[j, k, dy, dx]) * m[v][u]
                    evidence[k, y, x] += shares[j] / sum(shares) * max(total, 0)
    logits = torch.zeros_like(evidence)
    for k in range(joints):
        states = [*pooled[:joints], *evidence.tolist()]
        states += [[[height] * columns] * rows for height in heights[:joints]]
        for y in range(rows):
            for x in range(columns):
                logits[k, y, x] = relation.gate.bias[k] + sum(
                    relation.gate.weight[k, n, 0, 0] * state[y][x] for n, state in enumerate(states)
                )
    evidence, logits = (
        nn.functional.interpolate(part[None], (6, 8), mode='bilinear')[0]
        for part in (evidence, logits)
    )
    gate = relation.scale[:, None, None] * logits.sigmoid()
    expected = maps[0] + gate * (evidence - maps[0])
    torch.testing.assert_close(relation(maps, last)[0], expected)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('options', [{}, dict(steered=False), dict(temporal=True)])
def test_starts_as_the_identity(options, training):
    relation = MODELS.build(dict(type='PairwiseRelation', num_joints=5, **options)).train(training)
    heatmaps = torch.randn(2, 5, 16, 12)
    assert torch.equal(relation(heatmaps), heatmaps)
    last = dict(last=torch.randn(2, 5, 16, 12)) if relation.takes else {}
    assert torch.equal(relation(heatmaps, **last), heatmaps)


@pytest.mark.parametrize('temporal', [False, True])
def test_gradients(temporal):
    relation = randomized(num_joints=2, kernel_size=3, stride=2, temporal=temporal).eval()
    maps = torch.rand(2, 1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda m: relation(*m), (maps,))
    relation(*maps).square().sum().backward()
    for name, parameter in relation.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_all_parameters_learn_once_the_scale_has_left_zero():
    relation = PairwiseRelation(3, kernel_size=3)
    heatmaps = torch.rand(4, 3, 16, 16)
    optimizer = torch.optim.SGD(relation.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        (relation(heatmaps) - 1).square().mean().backward()
        optimizer.step()
    for name, parameter in relation.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_is_equivariant_to_shifts_away_from_the_border():
    relation = randomized(num_joints=3, kernel_size=5, stride=2)
    nn.init.uniform_(relation.bias, -0.2, 0.0)
    maps = torch.zeros(1, 3, 32, 32, dtype=torch.float64)
    maps[:, :, 12:20, 12:20] = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    shifted = maps.roll((-2, 4), dims=(2, 3))
    torch.testing.assert_close(relation(shifted), relation(maps).roll((-2, 4), dims=(2, 3)))
    # By less than a pooled cell it is only about so.
    odd = relation(maps.roll(1, dims=3)) - relation(maps).roll(1, dims=3)
    assert odd.abs().max() > 1e-3


def test_is_equivariant_in_the_order_of_joints():
    relation, other = (randomized(num_joints=4, kernel_size=3) for _ in range(2))
    order = torch.tensor([2, 0, 3, 1])
    gates = torch.cat([order, order + 4, order + 8])
    weights = relation.state_dict()
    for name in ('kernels', 'bias', 'prior', 'trust'):
        weights[name] = weights[name][order][:, order]
    weights['gate.weight'] = weights['gate.weight'][order][:, gates]
    for name in ('gate.bias', 'scale'):
        weights[name] = weights[name][order]
    other.load_state_dict(weights)
    maps = torch.rand(2, 4, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(other(maps[:, order]), relation(maps)[:, order])


def test_without_a_last_frame_the_last_frames_senders_are_not_there():
    temporal = randomized(num_joints=3, kernel_size=3, temporal=True)
    spatial = randomized(num_joints=3, kernel_size=3)
    weights = temporal.state_dict()
    for name in ('kernels', 'bias'):
        weights[name] = weights[name][:3]
    for name in ('prior', 'trust'):
        weights[name] = weights[name][:, :3]
    spatial.load_state_dict(weights)
    maps = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(temporal(maps), spatial(maps))
    assert not torch.allclose(temporal(maps, torch.rand_like(maps)), spatial(maps))


def test_who_informs_whom_and_where_to():
    # The first joint puts the second 2 pooled cells (of 2) right and 1 down, at half its weight.
    relation = PairwiseRelation(2, kernel_size=5, stride=2, steered=False)
    with torch.no_grad():
        relation.kernels.zero_()
        relation.kernels[0, 1, 1, 0] = 1  # cross-correlation: seen from the place, up and left
        relation.prior[1] = torch.tensor([math.log(3), 0.0])
        relation.scale.fill_(0.5)
        relation.gate.weight.zero_()
        relation.gate.bias.zero_()
    maps = torch.zeros(1, 2, 16, 12)
    maps[0, 0, 4:6, 2:4] = 1  # pooled cell (2, 1)
    places, gates = relation.places(maps)
    # Pooled cell (3, 3), whose middle is cell 6.5 of 0 to 11, and 6.5 of 0 to 15.
    assert places[0, 1].tolist() == pytest.approx([6.5 / 11, 6.5 / 15])
    assert gates[0].tolist() == pytest.approx([0.25, 0.25])
    assert relation.relation(maps)[0].tolist() == [
        pytest.approx([0.5, 0.5]),  # nobody says anything
        pytest.approx([1.0, 0.0], abs=1e-6),
    ]
    refined = relation(maps)[0, 1]
    assert divmod(int(refined.argmax()), 12) in {(y, x) for y in (6, 7) for x in (6, 7)}


def test_learns_to_place_a_joint_that_no_map_shows():
    # The second joint lies a quarter of the map right of the first, and is hidden half of the time;
    # maps are too low, which scales below 0 would mend, and nothing else.
    torch.manual_seed(0)
    relation = PairwiseRelation(2, kernel_size=9, stride=2)
    optimizer = torch.optim.Adam(relation.parameters(), lr=1e-2)

    def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
        first = torch.rand(size, 1, 2) * torch.tensor([0.7, 1.0])
        places = torch.cat([first, first + torch.tensor([0.25, 0.0])], 1)
        return gaussians(places, (24, 16), 1.5), places

    for _ in range(120):
        target, _ = batch(32)
        seen = 0.8 * target
        seen[::2, 1] = 0
        optimizer.zero_grad()
        ((relation(seen) - target) ** 2).mean().backward()
        optimizer.step()
    target, places = batch(64)
    seen = 0.8 * target
    seen[:, 1] = 0
    assert (relation.scale > 0).all()
    with torch.no_grad():
        found = soft_peaks(relation(seen), 50.0)[:, 1]
    assert float((found[:, :2] - places[:, 1]).norm(dim=-1).median()) < 0.08
    assert float(found[:, 3].median()) > 0.4


@pytest.mark.parametrize(
    ('options', 'shape', 'message'),
    [
        (dict(kernel_size=4), None, 'kernel_size must be odd, got 4'),
        (dict(stride=0), None, 'stride must be 1 or more, got 0'),
        ({}, (1, 4, 8, 8), r'num_joints=5.*got \(1, 4, 8, 8\)'),
        ({}, (1, 5, 8, 10), r'stride=4.*multiples of 4, got \(1, 5, 8, 10\)'),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(options, shape, message):
    with pytest.raises(SettingError, match=message) as error:
        PairwiseRelation(5, **options)(torch.zeros(shape))
    assert '\n' not in str(error.value)
