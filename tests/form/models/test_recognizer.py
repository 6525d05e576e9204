"""The recognizer from real pipelines to losses and predictions, and its norm that masks NaN."""

import csv

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmaction.registry import DATASETS, MODELS, TRANSFORMS
from mmcv.transforms import Compose
from mmengine.dataset import pseudo_collate
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from torch import nn

from rpstn.form.models.recognizer import MaskedNorm

NAN = float('nan')
CLASSES = ('deep', 'shallow', 'still')
DISTANCES = dict(type='DistanceMatrices', skeleton='mediapipe19')


@pytest.fixture(autouse=True)
def seeded_in_mmactions_scope():
    torch.manual_seed(0)
    np.random.seed(0)
    with DefaultScope.overwrite_default_scope('mmaction'):
        yield


def recognizer(*representations, num_classes=3, channels=16, in_channels=None, head=(), **options):
    parts = [dict(part) for part in representations or [DISTANCES]]
    in_channels = in_channels or sum(MODELS.build(dict(part)).out_channels for part in parts)
    return MODELS.build(
        dict(
            type='TemporalDistanceRecognizer',
            representation=parts if len(parts) > 1 else parts[0],
            backbone=dict(
                type='TemporalResNet1D', in_channels=in_channels, channels=channels, num_layers=2
            ),
            cls_head=dict(
                type='TemporalHead', num_classes=num_classes, in_channels=channels, **dict(head)
            ),
            **options,
        )
    )


def sequence(number: int, persons: int = 1, frames: int = 30) -> dict:
    """Movement up and down by 60, 20 or 0 cm, in the item format of MMAction2."""
    rng = np.random.default_rng(number)
    label = number % 3
    joints = np.random.default_rng(99).normal(0, 40, (19, 3)) + rng.normal(0, 1, (19, 3))
    depth = (60, 20, 0)[label] * np.sin(np.linspace(0, np.pi, frames)) ** 2
    keypoint = np.repeat(joints[None], frames, 0) + rng.normal(0, 1, (frames, 19, 3))
    keypoint[:, :13, 1] -= depth[:, None]
    return dict(
        frame_dir=f'rep_{number}',
        label=label,
        total_frames=frames,
        start_index=0,
        modality='Pose',
        keypoint=np.repeat(keypoint[None], persons, 0).astype('f4'),
    )


def pipeline(persons: int = 1, frames: int = 16, **resample) -> Compose:
    return Compose(
        [
            TRANSFORMS.build(step)
            for step in (
                dict(type='CleanSkeleton'),
                dict(type='ResampleSkeleton', num_frames=frames, **resample),
                dict(type='FormatGCNInput', num_person=persons),
                dict(type='PackActionInputs', meta_keys=('frame_dir',)),
            )
        ]
    )


def batch(*items: dict, **options) -> dict:
    return pseudo_collate([pipeline(**options)(dict(item)) for item in items])


def squats(count: int, **options) -> dict:
    return batch(*map(sequence, range(count)), **options)


def scores_of(predictions) -> torch.Tensor:
    return torch.stack([sample.pred_score for sample in predictions])


def trained(model, data, steps=25) -> list[float]:
    """The losses of some training steps, by MMEngine's own train_step."""
    optimizer = OptimWrapper(torch.optim.Adam(model.parameters(), lr=5e-3))
    model.train()
    return [model.train_step(data, optimizer)['loss'].item() for _ in range(steps)]


# --- training and testing


@pytest.mark.parametrize(
    'representations',
    [
        [DISTANCES],
        [dict(type='JointCoordinates', skeleton='mediapipe19')],
        [dict(type='JointVelocities', skeleton='mediapipe19', axes=(0, 1)), DISTANCES],
    ],
)
def test_it_learns_to_tell_movements_apart(representations):
    model = recognizer(*representations, head=dict(label_smooth_eps=0.05))
    data = squats(30, crop=0.1, warp=0.1)
    losses = trained(model, data, steps=60)
    assert losses[0] > 0.9 and losses[-1] < 0.5
    model.eval()
    correct = 0
    for number, sample in enumerate(model.test_step(batch(*map(sequence, range(40, 70)))), 40):
        assert sample.frame_dir == f'rep_{number}' and sample.gt_label.item() == number % 3
        assert sample.pred_score.sum().item() == pytest.approx(1)
        correct += sample.pred_label.item() == number % 3
    assert correct >= 18  # of 30; 10 by chance


def test_scores_of_distances_do_not_change_as_the_person_turns():
    model = recognizer()
    trained(model, squats(6), steps=3)
    model.eval()
    turn = TRANSFORMS.build(dict(type='RotateSkeleton', seed=3))
    still, turned = (
        scores_of(model.test_step(batch(*items)))
        for items in (map(sequence, range(6)), [turn(sequence(number)) for number in range(6)])
    )
    torch.testing.assert_close(still, turned, atol=1e-4, rtol=1e-4)
    assert still.std(0).min() > 1e-3


def test_all_parameters_learn_and_representations_have_none():
    model = recognizer(dict(type='StandingDisplacements', skeleton='mediapipe19'), DISTANCES)
    data = model.data_preprocessor(squats(4), training=True)
    model.loss(**data)['loss_cls'].backward()
    assert all(p.grad.abs().max() > 0 for p in model.parameters())
    assert not list(model.representations.parameters()) + list(model.normalize.parameters())


def test_one_sample_is_seen_as_among_others():
    model = recognizer()
    trained(model, squats(6), steps=3)
    model.eval()
    together = scores_of(model.test_step(squats(6)))
    for number in range(6):
        alone = scores_of(model.test_step(batch(sequence(number))))
        torch.testing.assert_close(alone[0], together[number], atol=1e-5, rtol=1e-4)
    assert recognizer().train().loss(**model.data_preprocessor(squats(1)))['loss_cls'].isfinite()


def test_modes_and_stages():
    model = recognizer().eval()
    inputs = model.data_preprocessor(squats(2))['inputs']
    assert inputs.shape == (2, 1, 1, 16, 19, 3)
    features = model(inputs, mode='tensor')
    assert features.shape == (2, 1, 16, 2)
    torch.testing.assert_close(model(inputs, mode='tensor', stage='head'), model.cls_head(features))
    torch.testing.assert_close(
        model(inputs, mode='tensor', stage='head').softmax(1),
        scores_of(model(inputs, model.data_preprocessor(squats(2))['data_samples'], 'predict')),
    )


def test_scores_of_several_clips_are_averaged():
    model = recognizer()
    trained(model, squats(6), steps=3)
    model.eval()
    data = squats(3, num_clips=4, crop=0.4)
    inputs = model.data_preprocessor(data)['inputs']
    assert inputs.shape == (3, 4, 1, 16, 19, 3)
    each = torch.stack(
        [model(inputs[:, clip : clip + 1], mode='tensor', stage='head') for clip in range(4)], 1
    )
    assert each.std(1).min() > 1e-4
    torch.testing.assert_close(scores_of(model.test_step(data)), each.softmax(2).mean(1))


def test_scores_of_several_persons_are_averaged_before_the_softmax():
    """In several sequences of several clips, none taken for another."""
    model = recognizer()
    trained(model, squats(6), steps=3)
    model.eval()
    pairs = [
        dict(
            sequence(n),
            keypoint=np.concatenate([sequence(n)['keypoint'], sequence(n + 1)['keypoint']]),
        )
        for n in range(3)
    ]
    data = batch(*pairs, persons=2, num_clips=4, crop=0.4)
    inputs = model.data_preprocessor(data)['inputs']
    assert inputs.shape == (3, 4, 2, 16, 19, 3)
    alone = torch.empty(3, 4, 2, 3)
    for b, s, m in np.ndindex(3, 4, 2):
        alone[b, s, m] = model(inputs[b, s, m][None, None, None], mode='tensor', stage='head')[0]
    torch.testing.assert_close(
        scores_of(model.test_step(data)), alone.mean(2).softmax(2).mean(1), atol=1e-5, rtol=1e-4
    )
    assert alone.std(2).min() > 1e-4
    data = batch(*pairs, persons=2)
    assert model.train().loss(**model.data_preprocessor(data))['loss_cls'].isfinite()


def test_the_loss_has_smoothing_and_class_weights():
    weights = [0.5, 2.0, 3.0]
    for head, expected in (
        (dict(label_smooth_eps=0.1), lambda s, y: F.cross_entropy(s, y, label_smoothing=0.1)),
        (
            dict(loss_cls=dict(type='CrossEntropyLoss', class_weight=weights)),
            lambda s, y: F.cross_entropy(s, y, torch.tensor(weights)),
        ),
    ):
        model = recognizer(head=head).eval()
        data = model.data_preprocessor(squats(5))
        scores = model(data['inputs'], mode='tensor', stage='head')
        torch.testing.assert_close(
            model.loss(**data)['loss_cls'], expected(scores, torch.arange(5) % 3)
        )


def test_several_labels_at_once_from_a_data_set(tmp_path):
    rows = [('both', 'knees;back'), ('knees', 'knees'), ('none', ''), ('back', 'back')]
    np.savez(
        tmp_path / 'keypoints3d.npz',
        **{name: sequence(number)['keypoint'][0] for number, (name, _) in enumerate(rows)},
    )
    with (tmp_path / 'labels.csv').open('w', newline='') as file:
        csv.writer(file).writerows([('name', 'label'), *rows])
    dataset = DATASETS.build(
        dict(
            type='SkeletonFormDataset',
            data_root=str(tmp_path),
            multi_class=True,
            metainfo=dict(classes=('knees', 'back')),
            pipeline=pipeline().transforms,
        )
    )
    data = pseudo_collate([dataset[n] for n in range(4)])
    model = recognizer(
        num_classes=2, head=dict(multi_class=True, loss_cls=dict(type='BCELossWithLogits'))
    ).eval()
    ready = model.data_preprocessor(data)
    scores = model(ready['inputs'], mode='tensor', stage='head')
    labels = torch.tensor([[1.0, 1], [1, 0], [0, 0], [0, 1]])
    torch.testing.assert_close(
        model.loss(**ready)['loss_cls'], F.binary_cross_entropy_with_logits(scores, labels)
    )
    torch.testing.assert_close(scores_of(model.test_step(data)), scores.sigmoid())
    losses = trained(model, data, steps=60)
    assert losses[-1] < 0.5 * losses[0]
    model.eval()
    assert (scores_of(model.test_step(data)).round() == labels).all()


# --- what it refuses


def test_channels_that_do_not_fit_are_refused():
    with pytest.raises(
        ValueError,
        match=(
            r'backbone.in_channels must be 171, the channels of the representation \(171\), '
            r'got 57'
        ),
    ):
        recognizer(in_channels=57)
    with pytest.raises(ValueError, match=r'must be 228, .* \(171 \+ 57\), got 171'):
        recognizer(
            DISTANCES, dict(type='JointCoordinates', skeleton='mediapipe19'), in_channels=171
        )


def test_other_shapes_are_refused():
    model = recognizer()
    with pytest.raises(
        ValueError,
        match=r'takes \(B, clips, M, T, V, C\), as FormatGCNInput '
        r'gives it, got shape \(2, 1, 16, 19, 3\)',
    ):
        model(torch.zeros(2, 1, 16, 19, 3))
    with pytest.raises(ValueError, match=r'19 joints \(mediapipe19\).*\(2, 16, 17, 3\)'):
        model(torch.zeros(2, 1, 1, 16, 17, 3))


def test_a_clip_of_one_frame():
    model = recognizer()
    trained(model, squats(6), steps=2)
    inputs = torch.tensor(sequence(0)['keypoint'][None, None, :, :1])
    assert model.eval()(inputs, mode='tensor').shape == (1, 1, 16, 1)
    # One value tells no variance.
    with pytest.raises(ValueError, match='more than 1 value per channel when training'):
        model.train()(inputs)
    # Clips one frame too few to be cut apart.
    item = dict(sequence(0), num_clips=3)
    item['keypoint'] = item['keypoint'][:, :-1]
    with pytest.raises(AssertionError):
        TRANSFORMS.build(dict(type='FormatGCNInput', num_person=1))(item)


# --- representation


def test_channels_of_representations_follow_each_other():
    parts = [
        dict(type='JointCoordinates', skeleton='mediapipe19'),
        DISTANCES,
        dict(type='JointVelocities', skeleton='mediapipe19', axes=(0, 1)),
    ]
    model = recognizer(*parts).eval()
    joints = torch.tensor(sequence(0)['keypoint'])
    expected = torch.cat([MODELS.build(dict(part))(joints) for part in parts], 1)
    torch.testing.assert_close(model.represent(joints), expected / (1 + model.normalize.eps) ** 0.5)
    assert model.backbone.in_channels == 57 + 171 + 38


def test_half_precision_does_not_touch_what_is_measured():
    model = recognizer()
    trained(model, squats(6), steps=3)
    model.eval()
    data = model.data_preprocessor(squats(3))
    data['inputs'] += 300  # cm; where bfloat16 tells 2 cm apart
    exact = model.represent(data['inputs'].flatten(0, 2))
    expected = scores_of(model.predict(**data))
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(model.represent(data['inputs'].flatten(0, 2)), exact)
        features = model(data['inputs'])
        scores = scores_of(model.predict(**data))
        loss = model.train().loss(**data)['loss_cls']
    assert features.dtype == torch.bfloat16 and scores.dtype == loss.dtype == torch.float32
    torch.testing.assert_close(scores, expected, atol=0.03, rtol=0.03)
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@MODELS.register_module()
class FirstDifferences(nn.Module):
    """A representation that is a matrix product, which mixed precision would round."""

    out_channels = 1

    def forward(self, joints):
        weights = torch.zeros(57)
        weights[0], weights[3] = 1, -1
        return (joints.flatten(2) @ weights[:, None]).transpose(1, 2)


def test_half_precision_does_not_touch_representations_of_others():
    model = recognizer(dict(type='FirstDifferences')).eval()
    joints = torch.tensor(sequence(0)['keypoint']) + 300
    with torch.autocast('cpu', torch.bfloat16):
        got = model.represent(joints)
    torch.testing.assert_close(
        got[:, 0], joints[..., 0, 0] - joints[..., 1, 0], atol=0.01, rtol=1e-4
    )
    assert model.represent(joints.bfloat16()).dtype == torch.float32


def test_missing_joints_count_as_average():
    model = recognizer()
    trained(model, squats(6), steps=40)
    model.eval()
    joints = torch.tensor(sequence(1)['keypoint'])
    whole = model.represent(joints)
    gap = joints.clone()
    gap[0, 5:9, 4] = NAN
    masked = model.represent(gap)
    pairs = torch.stack(torch.triu_indices(19, 19, 1).unbind(), 1)
    lost = (pairs == 4).any(1)[:, None] & ((torch.arange(30) >= 5) & (torch.arange(30) < 9))
    assert lost.sum() == 18 * 4
    assert (masked[0][lost] == 0).all()
    torch.testing.assert_close(masked[0][~lost], whole[0][~lost])
    # A sequence of which nothing is known is nothing but average.
    assert (model.represent(joints * NAN) == 0).all()


def test_training_survives_sequences_of_which_nothing_is_known():
    model = recognizer(
        DISTANCES,
        dict(type='StandingDisplacements', skeleton='mediapipe19'),
        dict(type='JointVelocities', skeleton='mediapipe19'),
    )
    items = [sequence(number) for number in range(6)]
    items[0]['keypoint'][:] = NAN
    items[1]['keypoint'][:, 3:28, 4] = NAN  # longer than is bridged
    items[2]['keypoint'][:] = items[2]['keypoint'][:, :1, :1]  # all joints in one place
    losses = trained(model, batch(*items))
    assert np.isfinite(losses).all() and losses[-1] < 0.7 * losses[0]
    assert all(value.isfinite().all() for value in model.state_dict().values())
    model.eval()
    assert scores_of(model.test_step(batch(*items))).isfinite().all()


def test_a_stored_model_loads_strictly(tmp_path):
    parts = [
        dict(type='StandingDisplacements', skeleton='mediapipe19', weights=(1.0, 1.0, 0.3)),
        DISTANCES,
    ]
    model = recognizer(*parts)
    trained(model, squats(6), steps=3)
    torch.save(model.state_dict(), tmp_path / 'model.pth')
    assert not [name for name in model.state_dict() if name.startswith('representations')]
    other = recognizer(*parts)
    other.load_state_dict(torch.load(tmp_path / 'model.pth', weights_only=True), strict=True)
    torch.testing.assert_close(
        scores_of(model.eval().test_step(squats(3))),
        scores_of(other.eval().test_step(squats(3))),
        atol=0,
        rtol=0,
    )


# --- the norm


def test_the_norm_of_whole_features_is_batch_normalization():
    masked, plain = MaskedNorm(5), nn.BatchNorm1d(5, affine=False)
    for _ in range(4):
        x = 3 * torch.randn(6, 5, 20) + torch.arange(5.0)[:, None]
        got = masked(x)
        torch.testing.assert_close(got, plain(x))
    torch.testing.assert_close(got.mean((0, 2)), torch.zeros(5), atol=1e-5, rtol=0)
    for name, value in masked.state_dict().items():
        torch.testing.assert_close(value, plain.state_dict()[name])
    x = torch.randn(1, 5, 1)
    torch.testing.assert_close(masked.eval()(x), plain.eval()(x))


def test_the_norm_masks_what_is_missing_and_keeps_its_mean():
    norm = MaskedNorm(2)
    for _ in range(200):
        x = torch.stack([50 + 5 * torch.randn(8, 40), torch.randn(8, 40)], 1)
        missing = torch.rand(8, 2, 40) < torch.tensor([0.2, 0])[:, None]
        got = norm(x.masked_fill(missing, NAN))
        assert (got[missing] == 0).all() and got.isfinite().all()
    assert norm.running_mean[0].item() == pytest.approx(50, rel=0.02)
    assert norm.running_var[0].item() == pytest.approx(25, rel=0.1)
    assert norm.running_var[1].item() == pytest.approx(1, rel=0.2)
    norm.eval()
    before = norm.running_mean.clone()
    x = torch.tensor([[[50.0, NAN]], [[NAN, 55]]]).expand(2, 2, 2)
    got = norm(x)
    assert got[0, 0, 0].abs() < 0.3 and got[0, 0, 1] == got[1, 1, 0] == 0
    assert torch.equal(norm.running_mean, before)


def test_the_norm_passes_no_gradient_to_what_is_missing():
    norm, x = MaskedNorm(3), torch.randn(4, 3, 10)
    x[0, 1, 2] = NAN
    x.requires_grad_()
    (norm(x) * torch.randn(4, 3, 10)).sum().backward()
    assert x.grad.isfinite().all() and x.grad[0, 1, 2] == 0 and (x.grad != 0).sum() == 119
