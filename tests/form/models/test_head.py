"""The head: its formula, persons and clips, and MMAction2's losses behind it."""

import pytest
import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample

from rpstn.form.models.head import TemporalHead


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def features(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def samples(*labels):
    return [ActionDataSample().set_gt_label(label) for label in labels]


def scores_of(predictions):
    return torch.stack([sample.pred_score for sample in predictions])


@pytest.mark.parametrize('frames', [1, 10, 37])
@pytest.mark.parametrize('persons', [1, 3])
@pytest.mark.parametrize('num_classes', [1, 7])
def test_scores_are_those_of_the_mean_over_frames_and_persons(frames, persons, num_classes):
    head = TemporalHead(num_classes, in_channels=6)
    x = features(4, persons, 6, frames)
    weight, bias = head.classify.weight[..., 0], head.classify.bias
    expected = torch.stack(
        [sum(weight @ person.mean(1) + bias for person in clip) / persons for clip in x]
    )
    assert head(x).shape == (4, num_classes)
    torch.testing.assert_close(head(x), expected)


def test_the_size_is_that_of_the_figure():
    head = MODELS.build(dict(type='TemporalHead', num_classes=7))
    assert {name: tuple(p.shape) for name, p in head.named_parameters()} == {
        'classify.weight': (7, 256, 1),
        'classify.bias': (7,),
    }  # conv[1, 1, 7]


def test_dropout_is_for_training():
    head = TemporalHead(5, in_channels=400, dropout=0.5)
    plain = TemporalHead(5, in_channels=400)
    plain.load_state_dict(head.state_dict(), strict=True)
    x = features(6, 1, 400, 9)
    torch.testing.assert_close(head.eval()(x), plain(x))
    head.train()
    assert (head(x) - head(x)).abs().min() > 0
    torch.testing.assert_close(
        torch.stack([head(x) for _ in range(600)]).mean(0), plain(x), atol=0.04, rtol=0.1
    )


def test_the_loss_is_pytorchs_with_smoothing():
    labels, x = [2, 0, 1, 2], features(4, 1, 6, 8)
    for eps in (0, 0.1):
        head = TemporalHead(3, 6, label_smooth_eps=eps, topk=(1, 2))
        losses = head.loss(x, samples(*labels))
        scores = head(x)
        torch.testing.assert_close(
            losses['loss_cls'], F.cross_entropy(scores, torch.tensor(labels), label_smoothing=eps)
        )
        best = scores.argsort(1, descending=True)
        hits = best == torch.tensor(labels)[:, None]
        assert losses['top1_acc'] == pytest.approx(hits[:, 0].float().mean().item())
        assert losses['top2_acc'] == pytest.approx(hits[:, :2].any(1).float().mean().item())


def test_class_weights_reach_the_loss():
    weights, labels, x = [0.5, 2, 3], [2, 0, 1, 2], features(4, 1, 6, 8)
    head = TemporalHead(3, 6, loss_cls=dict(type='CrossEntropyLoss', class_weight=weights))
    torch.testing.assert_close(
        head.loss(x, samples(*labels))['loss_cls'],
        F.cross_entropy(head(x), torch.tensor(labels), torch.tensor(weights)),
    )


@pytest.mark.parametrize('batch', [1, 3])
def test_several_labels_at_once(batch):
    head = TemporalHead(4, 6, multi_class=True, loss_cls=dict(type='BCELossWithLogits'))
    labels = torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 0], [0, 1, 1, 1]])[:batch]
    x = features(batch, 1, 6, 8)
    loss = head.loss(x, samples(*labels))['loss_cls']
    p = head(x).sigmoid()
    torch.testing.assert_close(loss, -(labels * p.log() + (1 - labels) * (1 - p).log()).mean())
    torch.testing.assert_close(scores_of(head.predict(x, samples(*labels))), p)


def test_clips_of_a_sequence_are_averaged():
    """By probability; by score where asked to; each label by itself where there are several."""
    x = features(6, 1, 6, 8, seed=1)  # two sequences of three clips
    for options, expected in (
        ({}, lambda s: s.softmax(2).mean(1)),
        (dict(average_clips='prob'), lambda s: s.softmax(2).mean(1)),
        (dict(average_clips='score'), lambda s: s.mean(1)),
        (dict(multi_class=True), lambda s: s.sigmoid().mean(1)),
        (dict(multi_class=True, average_clips='score'), lambda s: s.mean(1)),
        (dict(average_clips=None), lambda s: s),
    ):
        head = TemporalHead(4, 6, **options)
        got = scores_of(head.predict(x, samples(0, 1)))
        torch.testing.assert_close(got, expected(head(x).view(2, 3, 4)))
    with pytest.raises(ValueError, match='median is not supported'):
        TemporalHead(4, 6, average_clips='median').predict(x, samples(0, 1))


def test_the_predicted_label_is_the_likeliest():
    head, x = TemporalHead(4, 6), features(5, 1, 6, 8)
    predictions = head.predict(x, samples(*[0] * 5))
    assert [s.pred_label.item() for s in predictions] == head(x).argmax(1).tolist()
    torch.testing.assert_close(scores_of(predictions).sum(1), torch.ones(5))
