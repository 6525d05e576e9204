"""The non-local block against its formula and MMCV's implementation."""

import pytest
import torch
from mmpose.registry import MODELS
from torch import nn

from rpstn.pose import NonLocalRelation
from rpstn.pose.models.non_local import embedded_gaussian

from mmcv.cnn import NonLocal2d  # isort: skip


def random_block(num_joints: int, std: float = 0.7) -> NonLocalRelation:
    """A block away from its identity start, in double precision."""
    torch.manual_seed(0)
    block = NonLocalRelation(num_joints).double()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=std)
    return block


def written_out(block: NonLocalRelation, maps: torch.Tensor) -> torch.Tensor:
    """Figure 2 of the paper, cell by cell."""
    out = maps.clone()
    for b, m in enumerate(maps.flatten(2)):

        def embedded(conv: nn.Conv2d, m=m) -> torch.Tensor:
            return conv.weight[:, :, 0, 0] @ m + conv.bias[:, None]

        theta, phi, g = embedded(block.theta), embedded(block.phi), embedded(block.g)
        cells = []
        for i in range(m.shape[1]):
            weights = torch.exp(theta[:, i] @ phi)
            cells.append((g * weights).sum(1) / weights.sum())
        y = torch.stack(cells, dim=1)
        z = block.out.weight[:, :, 0, 0] @ y + block.out.bias[:, None]
        out[b] = maps[b] + z.view(maps.shape[1:])
    return out


@pytest.mark.parametrize('num_joints', [2, 13, 17])
def test_equals_the_formula_in_values_and_gradients(num_joints):
    block = random_block(num_joints)
    assert block.g.out_channels == num_joints // 2
    maps = torch.randn(2, num_joints, 3, 4, dtype=torch.float64, requires_grad=True)
    direction = torch.randn_like(maps)
    inputs = [maps, *block.parameters()]
    out, expected = block(maps), written_out(block, maps)
    torch.testing.assert_close(out, expected)
    for ours, theirs in zip(
        torch.autograd.grad((out * direction).sum(), inputs),
        torch.autograd.grad((expected * direction).sum(), inputs),
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize('num_joints', [13, 16])
def test_equals_the_block_of_mmcv_with_the_same_weights(num_joints):
    block = random_block(num_joints)  # in double precision: rounding differs between processors
    theirs = NonLocal2d(num_joints, use_scale=False).double()
    names = dict(theta='theta.conv', phi='phi.conv', g='g.conv', out='conv_out.conv')
    theirs.load_state_dict(
        {
            f'{names[name.split(".")[0]]}.{name.split(".")[1]}': value
            for name, value in block.state_dict().items()
        }
    )
    maps = torch.randn(2, num_joints, 16, 12, dtype=torch.float64)
    torch.testing.assert_close(block(maps), theirs(maps))
    spread = maps.to(memory_format=torch.channels_last)
    torch.testing.assert_close(block(spread), theirs(maps))


def test_gradients():
    maps = torch.randn(2, 5, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(random_block(5), (maps,))


def test_cells_that_are_alike_are_averaged_and_order_does_not_matter():
    theta = torch.zeros(1, 3, 2, 2, dtype=torch.float64)
    g = torch.randn(1, 3, 2, 2, dtype=torch.float64)
    mean = g.mean((2, 3), keepdim=True).expand_as(g)
    torch.testing.assert_close(embedded_gaussian(theta, theta, g), mean)
    block = random_block(4)
    maps = torch.randn(1, 4, 3, 3, dtype=torch.float64)
    order = torch.randperm(9)
    shuffled = maps.flatten(2)[..., order].view_as(maps)
    torch.testing.assert_close(block(shuffled), block(maps).flatten(2)[..., order].view_as(maps))


@pytest.mark.parametrize('training', [True, False])
def test_is_the_identity_at_the_start_and_learns_from_there(training):
    block = NonLocalRelation(13).train(training)
    maps = torch.randn(2, 13, 8, 6)
    assert torch.equal(block(maps), maps)
    (block(maps) * torch.randn_like(maps)).sum().backward()
    assert block.out.weight.grad.abs().min() > 0


def test_stays_the_identity_inside_a_head_that_initializes_its_convolutions():
    head = MODELS.build(
        dict(
            type='RPSTNHead',
            num_joints=5,
            channels=8,
            relation=dict(type='NonLocalRelation'),
            propagator=dict(type='JRPSP'),
            init_cfg=dict(type='Normal', layer='Conv2d', std=1),
        )
    )
    head.init_weights()
    maps = torch.randn(2, 5, 10, 10)
    assert torch.equal(head.relation(maps), maps)


def test_its_own_init_cfg_counts():
    block = NonLocalRelation(5, init_cfg=dict(type='Constant', layer='Conv2d', val=0.5))
    block.init_weights()
    assert (block.out.weight == 0.5).all()


def test_the_matrix_of_all_pairs_is_never_made():
    """Every tensor that is kept for the backward pass is of the order of the maps."""
    block, kept = NonLocalRelation(13), []
    maps = torch.randn(1, 13, 32, 32)

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        block(maps).sum()
    assert kept and max(kept) <= 16 * 32 * 32


def test_mixed_precision():
    block = random_block(13, std=0.2).float()  # greater similarities would show their rounding
    maps = torch.randn(2, 13, 8, 8)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half = block(maps)
    torch.testing.assert_close(half, block(maps), atol=0.02, rtol=0.02)


def test_wrong_numbers_of_joints():
    with pytest.raises(ValueError, match=r'num_joints=13.*\(1, 15, 8, 8\)'):
        NonLocalRelation(13)(torch.zeros(1, 15, 8, 8))
    with pytest.raises(ValueError, match='2 or more, got 1'):
        NonLocalRelation(1)
