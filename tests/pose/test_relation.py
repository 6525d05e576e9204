"""JRE against the paper's formula (figure 3)."""
import math

import pytest
import torch
from mmpose.registry import MODELS

from rpstn.pose import JRE


def random_jre(num_joints: int, seed: int = 0) -> JRE:
    """A JRE away from its identity start, in double precision, in evaluation mode."""
    torch.manual_seed(seed)
    jre = JRE(num_joints).double().eval()
    for parameter in jre.parameters():
        torch.nn.init.normal_(parameter)
    jre.out[1].running_mean.normal_()
    jre.out[1].running_var.uniform_(.5, 2)
    return jre


@pytest.mark.parametrize('training', [True, False])
def test_is_the_identity_at_initialization(training):
    jre = JRE(13).train(training)
    heatmaps = torch.randn(2, 13, 16, 12)
    assert torch.equal(jre(heatmaps), heatmaps)


def test_stays_the_identity_inside_a_head_that_initializes_its_norms_to_one():
    head = MODELS.build(dict(
        type='RPSTNHead', num_joints=5, channels=8, relation=dict(type='JRE'),
        propagator=dict(type='JRPSP'),
        init_cfg=dict(type='Constant', layer='BatchNorm2d', val=1)))
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
        m = [[maps[b, k, y, x].item() for y in range(height) for x in range(width)]
             for k in range(joints)]
        similar = [[math.exp(sum(p * q for p, q in zip(m[i], m[j]))) for j in range(joints)]
                   for i in range(joints)]
        relation = [[s / sum(row) for s in row] for row in similar]
        gm = [[g.bias[k].item() + sum(g.weight[k, j, 0, 0].item() * m[j][n] for j in range(joints))
               for n in range(height * width)] for k in range(joints)]
        mixed = [[sum(relation[k][j] * gm[j][n] for j in range(joints))
                  for n in range(height * width)] for k in range(joints)]
        for k in range(joints):
            for n in range(height * width):
                value = conv.bias[k].item() + sum(
                    conv.weight[k, j, 0, 0].item() * mixed[j][n] for j in range(joints))
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


def test_gradients():
    jre = random_jre(3).train()
    maps = torch.randn(2, 3, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(jre, (maps, ))


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
    expected = torch.tensor([[[.5, 0, .5], [0, 1, 0], [.5, 0, .5]]])
    torch.testing.assert_close(relation.float(), expected)
