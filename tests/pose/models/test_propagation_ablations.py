"""The ablations Cat and w/o P in the place of JRPSP."""

import pytest
import torch
from mmpose.registry import MODELS

from rpstn.errors import SettingError
from rpstn.pose import CatPropagator, NoPropagator, RPSTNHead

K, C = 5, 8


def head(propagator: str, **kwargs) -> RPSTNHead:
    torch.manual_seed(0)
    built = MODELS.build(
        dict(
            type='RPSTNHead',
            num_joints=K,
            channels=C,
            relation=dict(type='JRE'),
            propagator=dict(type=propagator),
            **kwargs,
        )
    )
    built.init_weights()
    return built


def clip(frames: int = 4, size: tuple[int, int] = (16, 16)) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(2, frames, C, *size), torch.randn(2, K, *size)


def test_without_propagation_each_frame_depends_on_itself_alone():
    model = head('NoPropagator').eval()
    features, initial = clip()
    features.requires_grad_()
    initial.requires_grad_()
    heatmaps = model.propagate((features, initial))
    for t in range(4):
        of_features, of_initial = torch.autograd.grad(
            heatmaps[:, t].square().sum(),
            (features, initial),
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        reached = [s for s in range(4) if of_features[:, s].abs().sum() > 0]
        assert reached == ([] if t == 0 else [t])
        assert (of_initial.abs().sum() > 0) == (t == 0)
    expected = model.refine(model.propagator.predict(features[:, 2]))
    torch.testing.assert_close(heatmaps[:, 2], expected)


def test_concatenation_carries_heatmaps_and_features_of_the_past_only():
    model = head('CatPropagator').eval()
    features, initial = clip()
    features.requires_grad_()
    initial.requires_grad_()
    heatmaps = model.propagate((features, initial))
    for t in range(4):
        of_features, of_initial = torch.autograd.grad(
            heatmaps[:, t].square().sum(),
            (features, initial),
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        assert [s for s in range(4) if of_features[:, s].abs().sum() > 0] == (
            [] if t == 0 else list(range(t + 1))
        )
        assert of_initial.abs().sum() > 0


def test_concatenation_takes_its_three_inputs_for_what_they_are():
    propagator = CatPropagator(K, C).eval()
    features, heatmaps = clip(2)
    before, after = features.unbind(1)
    there, back = propagator(heatmaps, before, after), propagator(heatmaps, after, before)
    assert not torch.allclose(there, back, atol=1e-3)
    x = torch.cat([before, heatmaps, after], dim=1)
    torch.testing.assert_close(there, propagator.predict(propagator.fuse(x)))


def test_no_sample_looks_at_another():
    features, heatmaps = clip(2)
    for propagator in (CatPropagator(K, C).eval(), NoPropagator(K, C).eval()):
        both = propagator(heatmaps, features[:, 0], features[:, 1])
        alone = propagator(heatmaps[1:], features[1:, 0], features[1:, 1])
        torch.testing.assert_close(both[1:], alone)


@pytest.mark.parametrize('propagator', ['CatPropagator', 'NoPropagator'])
@pytest.mark.parametrize('size', [(20, 20), (1, 1), (33, 18), (64, 64)])
def test_any_heatmap_size(propagator, size):
    """Also those that leave JRPSP no kernel."""
    codec = dict(
        type='MSRAHeatmap', input_size=(4 * size[1], 4 * size[0]), heatmap_size=size[::-1], sigma=1
    )
    model = head(propagator, decoder=codec).eval()
    assert model.propagate(clip(3, size)).shape == (2, 3, K, *size)


@pytest.mark.parametrize('propagator', ['CatPropagator', 'NoPropagator', 'JRPSP'])
@pytest.mark.parametrize('norms', ['paper', 'shared'])
def test_gradients_reach_every_weight(propagator, norms):
    model = head(propagator, norms=norms).train()
    torch.nn.init.ones_(model.relation.out[1].weight)  # 0 at the start, which holds back
    target = torch.rand(2, 4, K, 16, 16)
    (model.propagate(clip()) - target).square().mean().backward()
    before_norm = {
        'relation.out.0.bias',
        'relation.g.bias',
        'propagator.fuse.0.bias',
        'propagator.fuse.3.bias',
    }
    silent = [
        name
        for name, p in model.named_parameters()
        if (p.grad is None or not p.grad.isfinite().all() or p.grad.abs().max() == 0)
    ]
    assert set(silent) <= before_norm | {
        name for name in silent if name.startswith('propagator.kernel') and 'bias' in name
    }


@pytest.mark.parametrize('propagator', [CatPropagator, NoPropagator])
def test_wrong_channels_are_named(propagator):
    maps, features = torch.zeros(1, K, 16, 16), torch.zeros(1, C, 16, 16)
    with pytest.raises(ValueError, match=rf'{propagator.__name__} .*\(5, 8, 8\).*\(5, 8, 5\)'):
        propagator(K, C)(maps, features, maps)


def last_layer(path, **weights) -> str:
    """A checkpoint that has nothing else."""
    torch.save({f'head.final_layer.{name}': value for name, value in weights.items()}, path)
    return str(path)


def test_without_propagation_every_frame_can_start_as_a_single_frame_model(tmp_path):
    weight, bias = torch.randn(K, C, 1, 1), torch.randn(K)
    saved = last_layer(tmp_path / 'single.pth', weight=weight, bias=bias)
    propagator = MODELS.build(dict(type='NoPropagator', num_joints=K, channels=C, pretrained=saved))
    propagator.init_weights()
    features, heatmaps = clip(2)
    expected = torch.einsum('kc,nchw->nkhw', weight[:, :, 0, 0], features[:, 1])
    torch.testing.assert_close(
        propagator(heatmaps, features[:, 0], features[:, 1]), expected + bias[:, None, None]
    )


@pytest.mark.parametrize(
    'weights, got',
    [
        (dict(weight=torch.zeros(K, C + 1, 1, 1), bias=torch.zeros(K)), r'\(5, 9, 1, 1\)'),
        (dict(weight=torch.zeros(K + 1, C, 1, 1), bias=torch.zeros(K + 1)), r'\(6, 8, 1, 1\)'),
        (dict(weight=torch.zeros(K, C, 1, 1)), "'bias': None"),
        (dict(), "'weight': None, 'bias': None"),
    ],
)
def test_a_last_layer_that_does_not_fit_is_refused(tmp_path, weights, got):
    saved = last_layer(tmp_path / 'other.pth', **weights)
    propagator = NoPropagator(K, C, pretrained=saved)
    before = propagator.predict.weight.clone()
    with pytest.raises(SettingError, match=rf'other.pth: head.final_layer.*\(5, 8, 1, 1\).*{got}'):
        propagator.init_weights()
    assert torch.equal(propagator.predict.weight, before)
