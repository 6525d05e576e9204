"""The recurrence, its loss and its gradients."""

import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import nn

from rpstn.pose import RPSTNHead

K, C, SIDE = 5, 16, 16


def build(relation: dict | None = dict(type='JRE'), **kwargs) -> RPSTNHead:  # noqa: B006
    torch.manual_seed(0)
    head = MODELS.build(
        dict(
            type='RPSTNHead',
            num_joints=K,
            channels=C,
            relation=relation,
            propagator=dict(type='JRPSP'),
            **kwargs,
        )
    )
    head.init_weights()
    return head


def trained(relation: dict | None = dict(type='JRE')) -> RPSTNHead:  # noqa: B006
    """A head in evaluation mode whose norms are no identities."""
    head = build(relation)
    for module in head.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    return head.eval()


def clip(frames: int, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(batch, frames, C, SIDE, SIDE), torch.randn(batch, K, SIDE, SIDE)


def samples(targets: torch.Tensor, weights: torch.Tensor) -> list[PoseDataSample]:
    """One per frame, of targets (N, K, h, w) and weights (N, K)."""
    return [
        PoseDataSample(
            gt_fields=PixelData(heatmaps=target),
            gt_instance_labels=InstanceData(keypoint_weights=weight[None]),
        )
        for target, weight in zip(targets, weights)
    ]


@pytest.mark.parametrize('relation', [dict(type='JRE'), None])
@pytest.mark.parametrize('frames', [1, 2, 5])
def test_propagating_is_stepping(frames, relation):
    head = trained(relation)
    features, initial = clip(frames)
    heatmaps = head.propagate((features, initial))
    assert heatmaps.shape == (2, frames, K, SIDE, SIDE)
    state = head.start(features[:, 0], initial)
    torch.testing.assert_close(state[0], head.norm(head.relation(initial)))
    torch.testing.assert_close(heatmaps[:, 0], state[0])
    for t in range(1, frames):
        state = head.step(*state, features[:, t])
        torch.testing.assert_close(heatmaps[:, t], state[0])
    assert torch.equal(head((features, initial)), heatmaps.flatten(0, 1))


def test_a_step_is_propagation_relation_and_norm():
    head = trained()
    features, heatmaps = clip(2)
    moved = head.propagator(heatmaps, features[:, 0], features[:, 1])
    related = head.relation(moved)
    assert not torch.allclose(related, moved, atol=1e-3)
    scale = head.norm.weight / torch.sqrt(head.norm.running_var + head.norm.eps)
    expected = (related - head.norm.running_mean[:, None, None]) * scale[
        :, None, None
    ] + head.norm.bias[:, None, None]
    found, carried = head.step(heatmaps, features[:, 0], features[:, 1])
    torch.testing.assert_close(found, expected)
    assert torch.equal(carried, features[:, 1])


def test_the_past_matters_only_through_the_carried_state():
    head = trained()
    features, initial = clip(5)
    heatmaps = head.propagate((features, initial))
    # From the carried state (M'_2, f_2) on, nothing of earlier frames is needed ...
    for t in range(2, 5):
        assert torch.allclose(
            heatmaps[:, t], head.step(heatmaps[:, t - 1], features[:, t - 1], features[:, t])[0]
        )
    # ... other first frames change what follows by changing the state, and not otherwise.
    changed = features.clone()
    changed[:, 0] = torch.randn_like(changed[:, 0])
    other = head.propagate((changed, initial))
    assert not torch.allclose(other[:, 1], heatmaps[:, 1], atol=1e-3)
    resumed, _ = head.step(heatmaps[:, 1], changed[:, 1], changed[:, 2])
    torch.testing.assert_close(resumed, heatmaps[:, 2])


@pytest.mark.parametrize('t', [1, 3, 4])
def test_future_frames_change_nothing(t):
    head = trained()
    features, initial = clip(5)
    heatmaps = head.propagate((features, initial))
    changed = features.clone()
    changed[:, t:] = torch.randn_like(changed[:, t:])
    other = head.propagate((changed, initial))
    assert torch.equal(other[:, :t], heatmaps[:, :t])
    assert not torch.allclose(other[:, t], heatmaps[:, t], atol=1e-3)


def test_every_frame_gets_a_kernel_from_the_frame_before():
    """Features of t and t + 1 are not interchanged."""
    head = trained()
    features, heatmaps = clip(2)
    there, _ = head.step(heatmaps, features[:, 0], features[:, 1])
    back, _ = head.step(heatmaps, features[:, 1], features[:, 0])
    assert not torch.allclose(there, back, atol=1e-3)


@pytest.mark.parametrize('norms', ['paper', 'shared', 'none'])
def test_a_relation_gets_the_last_frames_heatmaps_and_this_ones_features(norms):
    """M'_t as it was given out and f_{t+1}; of the first frame there is no last one."""
    seen = []

    class Watching(nn.Module):
        takes = ('features', 'last')

        def forward(self, heatmaps, features, last):
            seen.append((features, last))
            return heatmaps if last is None else heatmaps + last

    head = trained()
    head.norms, head.relation = norms, Watching()
    if norms == 'none':
        head.norm = nn.Identity()
    features, initial = clip(3)
    heatmaps = head.propagate((features, initial))
    assert torch.equal(seen[0][0], features[:, 0]) and seen[0][1] is None
    for t in (1, 2):
        assert torch.equal(seen[t][0], head.propagator.embed(features[:, t]))
        assert torch.equal(seen[t][1], heatmaps[:, t - 1])
    assert torch.equal(heatmaps[:, 0], head.norm(initial))


class Marking(nn.Module):
    """A readout that no recurrence could do without being told."""

    takes = ('features', 'last')

    def forward(self, heatmaps, features, last):
        return 2 * heatmaps + features[:, :K] + (0 if last is None else last)


def test_a_readout_is_given_out_and_not_carried_on():
    head = trained()
    features, initial = clip(4)
    carried = head.propagate((features, initial))  # without one
    head.readout = Marking()
    last = [None, *carried[:, :-1].unbind(1)]
    expected = torch.stack(
        [
            head.readout(carried[:, t], head.propagator.embed(features[:, t]), last[t])
            for t in range(4)
        ],
        dim=1,
    )
    found = head.propagate((features, initial))
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, carried, atol=1e-2)
    # Step by step likewise, and the state is as wide as it says.
    state = head.start(features[:, 0], initial)
    for t in range(1, 4):
        assert state[1].shape[1] == head.state_channels == C + K
        state = head.step(*state, features[:, t])
        torch.testing.assert_close(state[0], expected[:, t])
        torch.testing.assert_close(state[1][:, C:], carried[:, t])


def test_a_readout_is_built_by_its_config_and_starts_as_nothing():
    head = build(readout=dict(type='TokenRelation', width=16)).eval()
    plain = build().eval()
    head.load_state_dict(plain.state_dict(), strict=False)
    clips = clip(3)
    torch.testing.assert_close(head.propagate(clips), plain.propagate(clips))
    assert plain.readout is None and plain.state_channels == C
    assert head.readout.num_joints == K and head.state_channels == C + K


def test_relation_none_is_norm_alone():
    head = trained(None)
    _, initial = clip(1)
    assert torch.equal(head.refine(initial), head.norm(initial))
    assert not any('relation' in name for name, _ in head.named_parameters())


def test_loss_is_the_weighted_mean_square_written_out():
    head = trained()
    features, initial = clip(2, batch=1)
    targets = torch.rand(2, K, SIDE, SIDE)
    weights = torch.tensor([[1.0, 0, 1, 1, 0.5], [0, 0, 1, 1, 1]])
    loss = head.loss(
        (features, initial), samples(targets, weights), train_cfg=dict(compute_acc=False)
    )
    assert set(loss) == {'loss_kpt'}
    maps = head((features, initial)).tolist()
    total, count = 0.0, 0
    for n in range(2):
        for k in range(K):
            for y in range(SIDE):
                for x in range(SIDE):
                    error = maps[n][k][y][x] - targets[n, k, y, x].item()
                    total += weights[n, k].item() * error**2
                    count += 1
    assert loss['loss_kpt'].item() == pytest.approx(total / count, rel=1e-5)


def test_unlabelled_joints_and_padded_frames_change_neither_loss_nor_gradients():
    features, initial = clip(3)
    targets = torch.rand(6, K, SIDE, SIDE)
    weights = torch.ones(6, K)
    weights[0, 2] = 0  # a joint without a label
    weights[5] = 0  # the last frame of the second clip is padded
    results = []
    for noise in (0, 10):
        head = build().train()
        changed = targets + noise * (weights == 0)[..., None, None] * torch.rand_like(targets)
        loss = head.loss((features, initial), samples(changed, weights))['loss_kpt']
        loss.backward()
        results.append((loss, [p.grad.clone() for p in head.parameters()]))
    assert torch.equal(results[0][0], results[1][0])
    assert all(torch.equal(a, b) for a, b in zip(results[0][1], results[1][1]))
    # The same noise on a labelled joint counts.
    other = targets.clone()
    other[0, 1] += torch.rand(SIDE, SIDE)
    assert not torch.equal(
        build().train().loss((features, initial), samples(other, weights))['loss_kpt'],
        results[0][0],
    )


def test_a_padded_last_frame_brings_no_gradient_to_its_features():
    features, initial = clip(3)
    features.requires_grad_()
    weights = torch.ones(6, K)
    weights[2::3] = 0
    head = trained()
    head.loss((features, initial), samples(torch.rand(6, K, SIDE, SIDE), weights))[
        'loss_kpt'
    ].backward()
    assert features.grad[:, 2].abs().sum() == 0
    assert all(features.grad[:, t].abs().sum() > 0 for t in (0, 1))


def test_gradients_reach_every_weight_after_a_few_steps():
    """Also behind the norm of JRE, which starts at 0 and holds them back in the first step."""
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='VideoPoseEstimator',
            backbone=dict(
                type='RPSTNBackbone',
                num_joints=K,
                channels=C,
                input_size=(64, 64),
                encoder=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8),
            ),
            head=dict(
                type='RPSTNHead',
                num_joints=K,
                channels=C,
                relation=dict(type='JRE'),
                propagator=dict(type='JRPSP'),
            ),
        )
    ).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    clips = torch.randn(2, 3, 3, 64, 64)
    truth = samples(torch.rand(6, K, SIDE, SIDE), torch.ones(6, K))
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = model.head.loss(model.extract_feat(clips), truth)['loss_kpt']
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
    assert losses[-1] < losses[0]
    norms = (nn.BatchNorm2d,)
    before_norm = {
        f'{name}.bias'
        for name, module in model.named_modules()
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d))
    }
    silent = [
        name
        for name, p in model.named_parameters()
        if (p.grad is None or not p.grad.isfinite().all() or p.grad.abs().max() == 0)
        and name not in before_norm
    ]  # a norm takes their bias out again
    assert silent == []
    assert sum(isinstance(m, norms) for m in model.head.modules()) == 6  # S 4, JRE 1, BN 1
    assert model.head.relation.g.weight.grad.abs().max() > 0


def test_the_last_norm_starts_at_the_scale_of_the_targets():
    assert torch.equal(build().norm.weight, torch.full((K,), 0.05))
    assert torch.equal(build(norm_weight=1.0).norm.weight, torch.ones(K))


def test_a_decoder_whose_heatmaps_leave_no_kernel_is_refused():
    codec = dict(type='MSRAHeatmap', input_size=(80, 80), heatmap_size=(20, 20), sigma=1)
    with pytest.raises(ValueError, match=r'side of 20 cells.*10 to 17, 26 to 33'):
        build(decoder=codec)


# As released.


def released() -> RPSTNHead:
    torch.manual_seed(0)
    head = MODELS.build(
        dict(
            type='RPSTNHead',
            num_joints=K,
            channels=C,
            norms='shared',
            relation=dict(type='JRE', layout='released'),
            propagator=dict(type='JRPSP', norms='shared', norm_filtered=True),
        )
    )
    head.init_weights()
    return head


def test_as_released_the_first_frames_features_are_carried_raw_and_later_ones_embedded():
    head = released()
    for module in head.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            module.running_mean.normal_(std=0.1)
    head.eval()
    features, initial = clip(3)
    heatmaps = head.propagate((features, initial))
    second, third = map(head.propagator.embed, (features[:, 1], features[:, 2]))
    h1 = head.norm(head.relation(initial))
    h2 = head.norm(head.relation(head.norm(head.propagator(h1, features[:, 0], second))))
    h3 = head.norm(head.relation(head.norm(head.propagator(h2, second, third))))
    torch.testing.assert_close(heatmaps, torch.stack([h1, h2, h3], dim=1))
    stepped, carried = head.step(h2, second, features[:, 2])
    torch.testing.assert_close((stepped, carried), (h3, third))
    assert not torch.allclose(head.step(h2, features[:, 1], features[:, 2])[0], h3, atol=1e-3)


def test_the_released_network_trains():
    head = released().train()
    features, initial = clip(3)
    truth = samples(torch.rand(6, K, SIDE, SIDE), torch.ones(6, K))
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = head.loss((features, initial), truth)['loss_kpt']
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    for name in ('norm.weight', 'propagator.norm.weight', 'propagator.project.weight'):
        assert head.get_parameter(name).grad.abs().max() > 0
    # norm: once for the first frame and twice for each other; as many for propagator.norm.
    assert head.norm.num_batches_tracked == 6 * 5
    assert head.propagator.norm.num_batches_tracked == 6 * 6


def test_other_norms_are_refused():
    with pytest.raises(ValueError, match=r"RPSTNHead: norms.*'paper', 'shared', 'none'.*'batch'"):
        build(norms='batch')
