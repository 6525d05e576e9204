"""What relations share: who is handed what, and answers that learn from a scale of 0."""

import torch
from torch import Tensor, nn

from rpstn.pose.models.relating import blend, relate


def test_a_module_that_names_nothing_gets_the_heatmaps_alone():
    maps = torch.rand(1, 3, 4, 4)
    assert relate(nn.Identity(), maps, features=torch.rand(1), last=maps) is maps


def test_a_relation_gets_what_it_names_and_none_for_what_is_not_there():
    class Relation(nn.Module):
        takes = ('last',)

        def forward(self, heatmaps, last):
            return heatmaps if last is None else last

    maps, last = torch.rand(2, 1, 3, 4, 4)
    assert relate(Relation(), maps, features=maps, last=last) is last
    assert relate(Relation(), maps, features=maps) is maps


def gradients(scale: float, training: bool) -> list[Tensor]:
    """Of a blend of random maps: by heatmaps, answer, scale and gate."""
    generator = torch.Generator().manual_seed(0)
    maps, answer, gate = torch.rand(3, 1, 2, 4, 4, generator=generator, dtype=torch.float64)
    inputs = [maps, answer, torch.tensor(scale, dtype=torch.float64), gate]
    for tensor in inputs:
        tensor.requires_grad_()
    refined = blend(*inputs, training)
    torch.testing.assert_close(refined, maps + scale * gate * (answer - maps))
    weights = torch.rand(4, 4, generator=generator, dtype=torch.float64)
    return list(torch.autograd.grad((refined * weights).sum(), inputs))


def test_in_training_answers_and_gates_learn_as_if_the_scale_were_a_tenth_more():
    for scale in (0.0, 0.3):
        trained, plain, more = (
            gradients(scale, True),
            gradients(scale, False),
            gradients(scale + 0.1, False),
        )
        for part, expected in zip(trained, (plain[0], more[1], plain[2], more[3])):
            torch.testing.assert_close(part, expected)
    assert trained[1].abs().sum() > 0


def test_a_blend_that_is_the_identity_is_so_to_the_last_bit():
    maps, answer, gate = torch.randn(3, 1, 2, 4, 4)
    assert torch.equal(blend(maps, answer, torch.zeros(()), gate, True), maps)
