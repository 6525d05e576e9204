"""TokenRelation: identity at the start, known places, and a hidden joint that is found."""

import numpy as np
import pytest
import torch
from mmpose.registry import MODELS

from rpstn.errors import SettingError
from rpstn.pose.models.token_relation import TokenRelation, gaussians, soft_peaks


def maps(
    places: torch.Tensor, size: tuple[int, int] = (24, 16), sigma: float = 1.5
) -> torch.Tensor:
    """Peaks of height 1 at places (B, K, 2), shares of the map."""
    return gaussians(places, size, sigma)


def test_gaussians_are_those_of_a_loop():
    size, places = (7, 5), torch.tensor([[[0.5, 0.5], [0.1, 1.0]]])
    drawn = gaussians(places, size, 1.2)
    for k, (x, y) in enumerate(places[0].tolist()):
        for row in range(7):
            for column in range(5):
                distance = (column - 4 * x) ** 2 + (row - 6 * y) ** 2
                assert float(drawn[0, k, row, column]) == pytest.approx(
                    np.exp(-distance / (2 * 1.2**2)), abs=1e-6
                )


def test_soft_peaks_are_where_the_mass_is():
    places = torch.tensor([[[0.3, 0.7], [0.8, 0.2], [0.5, 0.5]]])
    found = soft_peaks(maps(places), 50.0)
    assert found[..., :2].numpy() == pytest.approx(places.numpy(), abs=0.02)
    assert (found[..., 3] > 0.85).all()  # between cells the greatest value is a little lower


def test_an_empty_map_lies_in_the_middle_and_is_spread_out():
    found = soft_peaks(torch.zeros(1, 1, 24, 16), 20.0)[0, 0]
    assert found[:2].tolist() == pytest.approx([0.5, 0.5])
    assert found[3] == 0
    sharp = soft_peaks(maps(torch.tensor([[[0.5, 0.5]]])), 20.0)[0, 0]
    assert found[2] > 2 * sharp[2]


@pytest.mark.parametrize('training', [True, False])
def test_starts_as_the_identity(training):
    relation = MODELS.build(dict(type='TokenRelation', num_joints=5)).train(training)
    heatmaps = torch.randn(2, 5, 16, 12)
    assert torch.equal(relation(heatmaps), heatmaps)


def test_all_parameters_learn():
    torch.manual_seed(0)
    relation = TokenRelation(5, width=16)
    torch.nn.init.constant_(relation.scale, 0.5)
    (relation(torch.rand(2, 5, 16, 12)) ** 2).sum().backward()
    for name, parameter in relation.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_starts_at_the_maps_own_places_inside_a_head_that_initializes_its_layers():
    heatmaps = torch.rand(2, 5, 16, 12)
    head = MODELS.build(
        dict(
            type='RPSTNHead',
            num_joints=5,
            channels=8,
            relation=dict(type='TokenRelation', width=16),
            propagator=dict(type='NoPropagator'),
            init_cfg=dict(type='Constant', layer='Linear', val=1),
        )
    )
    for _ in range(2):
        places, _ = head.relation.places(heatmaps)
        own = soft_peaks(heatmaps, head.relation.sharpness)[..., :2]
        assert torch.equal(places, own)
        head.init_weights()


def test_is_equivariant_in_the_order_of_joints():
    torch.manual_seed(0)
    relation, other = TokenRelation(5, width=16), TokenRelation(5, width=16)
    torch.nn.init.normal_(relation.scale)
    order = torch.tensor([3, 0, 4, 1, 2])
    weights = {
        name: value[order] if name in ('names', 'scale') else value
        for name, value in relation.state_dict().items()
    }
    other.load_state_dict(weights)
    heatmaps = torch.rand(2, 5, 16, 12)
    assert torch.allclose(other(heatmaps[:, order]), relation(heatmaps)[:, order], atol=1e-5)


def test_rows_of_the_relation_sum_to_one():
    relation = TokenRelation(5, width=16)
    weights = relation.relation(torch.rand(2, 5, 16, 12))
    assert weights.shape == (2, 5, 5)
    assert torch.allclose(weights.sum(-1), torch.ones(2, 5))


def test_learns_to_place_a_joint_that_no_map_shows():
    # The second joint lies a quarter of the map right of the first, and is hidden half of the
    # time. A relation cell by cell (JRE) cannot put it there. Maps are too low, which scales below
    # 0 would mend, and nothing else.
    torch.manual_seed(0)
    relation = TokenRelation(2, width=32, layers=1)
    optimizer = torch.optim.Adam(relation.parameters(), lr=1e-2)

    def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
        first = torch.rand(size, 1, 2) * torch.tensor([0.7, 1.0])
        places = torch.cat([first, first + torch.tensor([0.25, 0.0])], 1)
        return maps(places, (16, 12), sigma=2.0), places

    for _ in range(200):
        target, _ = batch(32)
        seen = 0.8 * target
        seen[::2, 1] = 0
        optimizer.zero_grad()
        ((relation(seen) - target) ** 2).mean().backward()
        optimizer.step()
    target, places = batch(64)
    seen = 0.8 * target
    seen[:, 1] = 0
    assert relation.scale[1] > 0.5
    with torch.no_grad():
        found = soft_peaks(relation(seen), 50.0)[:, 1]
    error = (found[:, :2] - places[:, 1]).norm(dim=-1)
    assert float(error.median()) < 0.06
    assert float(found[:, 3].median()) > 0.7


def test_the_last_frames_joints_are_further_tokens():
    torch.manual_seed(0)
    relation = MODELS.build(dict(type='TokenRelation', num_joints=5, width=16, temporal=True))
    assert relation.takes == ('last',) and TokenRelation(5).takes == ()
    heatmaps, last = torch.rand(2, 2, 5, 16, 12)
    assert torch.equal(relation(heatmaps, last), heatmaps)  # the identity at the start
    torch.nn.init.constant_(relation.scale, 0.5)
    weights = relation.relation(heatmaps, last)
    assert weights.shape == (2, 5, 10)
    assert torch.allclose(weights.sum(-1), torch.ones(2, 5))
    refined = relation(heatmaps, last)
    assert not torch.allclose(refined, relation(heatmaps), atol=1e-3)
    (refined**2).sum().backward()
    for name, parameter in relation.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    # Without a last frame it is what its weights make without the option.
    spatial = TokenRelation(5, width=16)
    own = {name: value for name, value in relation.state_dict().items() if name != 'before'}
    spatial.load_state_dict(own)
    assert torch.equal(relation(heatmaps), spatial(heatmaps))


def test_answers_are_drawn_at_their_places():
    torch.manual_seed(0)
    relation = TokenRelation(3, width=16)
    torch.nn.init.constant_(relation.scale, 0.5)
    heatmaps = torch.rand(1, 3, 16, 12)
    places, gates = relation.places(heatmaps)
    drawn = gaussians(places, (16, 12), relation.sigma)
    expected = heatmaps + gates[..., None, None] * (drawn - heatmaps)
    assert torch.allclose(relation(heatmaps), expected)


def test_other_joints_and_widths_are_refused():
    with pytest.raises(SettingError, match=r'num_joints=5.*got \(1, 4, 8, 8\)'):
        TokenRelation(5)(torch.zeros(1, 4, 8, 8))
    with pytest.raises(SettingError, match='multiple of heads=3'):
        TokenRelation(5, width=16, heads=3)


def test_a_joint_that_is_moved_keeps_its_height():
    torch.manual_seed(0)
    heatmaps = 0.3 * gaussians(torch.rand(2, 4, 2), (16, 16), 2.0)
    relation = TokenRelation(4, width=8, heads=2, keep_height=True, sharpness=60.0).eval()
    torch.nn.init.ones_(relation.scale)
    torch.nn.init.zeros_(relation.answer.weight)
    relation.answer.bias.data = torch.tensor([0.0, 0.0, 20.0])  # all of G, where the peaks are
    moved = relation(heatmaps)
    torch.testing.assert_close(moved.amax((2, 3)), heatmaps.amax((2, 3)), rtol=0.05, atol=1e-3)
    torch.testing.assert_close(moved, heatmaps, rtol=0, atol=0.05)
