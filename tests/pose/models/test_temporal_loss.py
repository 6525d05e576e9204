"""The loss on how heatmaps change: against loops, and what it must not depend on."""

import pytest
import torch
from mmpose.models.losses import KeypointMSELoss

from rpstn.pose import TemporalMSELoss


def example(b=2, t=3, k=4):
    torch.manual_seed(0)
    output, target = torch.randn(2, b * t, k, 5, 6, dtype=torch.float64)
    return output.requires_grad_(), target, (torch.rand(b * t, k) > 0.3).double()


def test_against_loops():
    output, target, weights = example()
    loss = TemporalMSELoss(clip_len=3, temporal_weight=0.7, loss_weight=2.0)(
        output, target, weights
    )
    error = (output - target).float()
    plain = sum(weights[n, j] * error[n, j].square().mean() for n in range(6) for j in range(4))
    change = sum(
        weights[3 * b + t, j]
        * weights[3 * b + t + 1, j]
        * (error[3 * b + t + 1, j] - error[3 * b + t, j]).square().mean()
        for b in range(2)
        for t in range(2)
        for j in range(4)
    )
    torch.testing.assert_close(
        loss.item(), 2 * (plain / 24 + 0.7 * change / 16).item(), rtol=1e-5, atol=1e-6
    )


def test_a_constant_error_costs_no_more():
    _, target, weights = example()
    plain = KeypointMSELoss(use_target_weight=True)(target + 0.3, target, weights)
    torch.testing.assert_close(
        TemporalMSELoss(clip_len=3, temporal_weight=9.0)(target + 0.3, target, weights), plain
    )
    jumping = target + 0.3 * torch.tensor([1, -1, 1] * 2)[:, None, None, None]
    assert TemporalMSELoss(3, 9.0)(jumping, target, weights) > 5 * plain


def test_clips_of_a_batch_do_not_touch():
    """A jump from one clip's last frame to the next clip's first is none."""
    target = torch.zeros(6, 1, 2, 2)
    output = torch.tensor([1.0, 1, 1, 5, 5, 5])[:, None, None, None].expand(6, 1, 2, 2)
    loss = TemporalMSELoss(3, 1.0)(output, target, torch.ones(6, 1))
    assert loss == output.square().mean()


def test_unlabelled_joints_get_no_gradient():
    output, target, weights = example()
    TemporalMSELoss(3)(output, target, weights).backward()
    silent = output.grad.abs().amax((2, 3)) == 0
    assert torch.equal(silent, weights == 0)


@pytest.mark.parametrize('kwargs', [dict(clip_len=3, temporal_weight=0.0), dict(clip_len=1)])
def test_it_can_be_switched_off(kwargs):
    output, target, weights = example()
    torch.testing.assert_close(
        TemporalMSELoss(**kwargs)(output, target, weights),
        KeypointMSELoss(use_target_weight=True)(output, target, weights),
    )


def test_parts_of_clips_are_refused():
    output, target, weights = example()
    with pytest.raises(ValueError, match='got 5 frames'):
        TemporalMSELoss(3)(output[:5], target[:5], weights[:5])
    with pytest.raises(ValueError, match='got 0'):
        TemporalMSELoss(0)
