"""Class weights of a real training, what MMAction2's loss makes of them, and drawn results."""

import logging

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmaction.datasets import BaseActionDataset
from mmaction.models.heads import GCNHead
from mmaction.models.losses import CrossEntropyLoss
from mmaction.registry import DATASETS
from mmaction.structures import ActionDataSample
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch.autograd import gradcheck

from rpstn.form.hooks.class_weights import balanced_class_weights, dataset_labels

CLASSES = ('good', 'knees caving', 'no depth')
LABELS = [0] * 8 + [1] * 2 + [2] * 6


@DATASETS.register_module()
class LittleForms(BaseActionDataset):
    """Still skeletons of 17 joints; each class has the joints in a place of its own."""

    METAINFO = dict(classes=CLASSES)

    def __init__(self, labels=LABELS, **kwargs):
        self.labels = labels
        super().__init__('', pipeline=[dict(type='PackActionInputs')], modality='Pose', **kwargs)

    def load_data_list(self):
        rng = np.random.default_rng(0)
        return [
            dict(
                frame_dir=f'rep_{i}',
                label=label,
                keypoint=(np.float32(np.max(label)) + rng.normal(0, 0.1, (1, 1, 8, 17, 3))).astype(
                    'float32'
                ),
            )
            for i, label in enumerate(self.labels)
        ]


def config(work_dir, **dataset):
    loader = dict(batch_size=8, num_workers=0, dataset=dict(type='LittleForms', **dataset))
    evaluator = dict(type='FormMetric', log_tables=False)
    shuffled, ordered = (dict(type='DefaultSampler', shuffle=s) for s in (True, False))
    return dict(
        model=dict(
            type='RecognizerGCN',
            backbone=dict(
                type='STGCN',
                graph_cfg=dict(layout='coco', mode='stgcn_spatial'),
                base_channels=8,
                num_stages=2,
                inflate_stages=[],
                down_stages=[],
            ),
            cls_head=dict(type='GCNHead', num_classes=3, in_channels=8, label_smooth_eps=0.1),
        ),
        work_dir=str(work_dir),
        default_scope='mmaction',
        log_level='INFO',
        experiment_name=work_dir.name,
        train_dataloader=dict(sampler=shuffled, **loader),
        val_dataloader=dict(sampler=ordered, **loader),
        test_dataloader=dict(sampler=ordered, **loader),
        val_evaluator=evaluator,
        test_evaluator=evaluator,
        train_cfg=dict(by_epoch=True, max_epochs=2),
        val_cfg={},
        test_cfg={},
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=0.02)),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', save_best='form/accuracy')),
        custom_hooks=[
            dict(type='BalancedClassWeightHook'),
            dict(type='ConfusionMatrixHook', val=True),
        ],
    )


def test_a_training_has_weights_metrics_and_pictures(tmp_path, caplog):
    runner = Runner(**config(tmp_path))
    runner.logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO):
        runner.train()
    weights = runner.model.cls_head.loss_cls.class_weight
    torch.testing.assert_close(weights, torch.tensor([16 / (3 * n) for n in (8, 2, 6)]))
    assert '| knees caving |       2 |  2.667 |' in caplog.text
    assert list(tmp_path.glob('best_form_accuracy_epoch_*.pth'))
    metrics = runner.test()
    assert metrics['form/support/knees caving'] == 2 and 0 <= metrics['form/ece'] <= 1
    log_dir = next(tmp_path.glob('*/test_confusion_matrix.png')).parent
    for name in (
        'test_confusion_matrix',
        'test_reliability',
        'val_confusion_matrix',
        'val_reliability',
    ):
        assert min(cv2.imread(str(log_dir / f'{name}.png')).shape[:2]) > 400
    # The weights are no part of the model, so checkpoints of other data load, too.
    assert not [name for name in runner.model.state_dict() if 'class_weight' in name]


def test_weights_reach_the_loss(tmp_path):
    """The loss of a training step is that of the weights, and without the hook it is not."""
    runner = Runner(**config(tmp_path))
    head = runner.model.cls_head
    scores = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    samples = [ActionDataSample().set_gt_label(c) for c in (0, 1, 2, 0, 0, 1)]
    before = head.loss_by_feat(scores, samples)['loss_cls']
    next(h for h in runner.hooks if type(h).__name__ == 'BalancedClassWeightHook').before_train(
        runner
    )
    after = head.loss_by_feat(scores, samples)['loss_cls']
    soft = 0.9 * np.eye(3)[[0, 1, 2, 0, 0, 1]] + 0.1 / 3
    assert before.item() == pytest.approx(weighted_loss(scores, soft, np.ones(3)), rel=1e-5)
    assert after.item() == pytest.approx(
        weighted_loss(scores, soft, [16 / 24, 16 / 6, 16 / 18]), rel=1e-5
    )
    assert abs(after - before) > 0.01


def weighted_loss(scores, targets, weights):
    """The formula of BalancedClassWeightHook, term by term."""
    scores, total, norm = np.asarray(scores, float), 0, 0
    for row, target in zip(scores, targets):
        for c, weight in enumerate(weights):
            total -= target[c] * weight * (row[c] - np.log(np.exp(row).sum()))
            norm += target[c] * weight
    return total / norm


@pytest.mark.parametrize('eps', [0, 0.1, 0.5])
@pytest.mark.parametrize('weights', [[1.0, 1, 1, 1], [0.5, 2, 1, 3]])
def test_mmactions_loss_is_the_weighted_mean(eps, weights):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(9, 4, generator=generator).double().requires_grad_()
    labels = torch.randint(4, (9,), generator=generator)
    targets = (1 - eps) * F.one_hot(labels, 4).double() + eps / 4
    loss = CrossEntropyLoss(class_weight=weights)
    loss.class_weight = loss.class_weight.double()
    soft = loss(scores, targets)
    assert soft.item() == pytest.approx(weighted_loss(scores.detach(), targets, weights))
    assert gradcheck(lambda x: loss(x, targets), scores)
    if eps == 0:  # the head passes the labels as they are
        assert loss(scores, labels).item() == pytest.approx(soft.item())
    # PyTorch's own differs by the divisor alone, so it has the gradient's direction in common.
    w = loss.class_weight
    theirs = F.cross_entropy(scores, labels, w, label_smoothing=eps)
    ratio = w[labels].sum() / (w * targets).sum()
    torch.testing.assert_close(theirs * ratio, soft)
    assert (ratio == 1) == (eps == 0 or weights[0] == 1)


def test_what_to_know_of_weights():
    """Weights cancel in batches of one class, and tilt smoothed targets to the rare classes."""
    weights = torch.tensor([0.5, 2, 1])
    loss = CrossEntropyLoss(class_weight=weights.tolist())
    scores, labels = torch.randn(4, 3), torch.ones(4).long()
    torch.testing.assert_close(loss(scores, labels), CrossEntropyLoss()(scores, labels))
    target = 0.9 * F.one_hot(labels[:1], 3) + 0.1 / 3
    best = (weights * target).log().requires_grad_()
    for value in (
        loss(best, target),
        F.cross_entropy(best, labels[:1], weights, label_smoothing=0.1),
    ):
        (gradient,) = torch.autograd.grad(value, best)
        assert gradient.abs().max() < 1e-6


def test_smoothing_of_several_labels_goes_towards_one_over_the_classes():
    """Not towards one half, as it would be for each label by itself."""
    head = GCNHead(
        4, 8, loss_cls=dict(type='BCELossWithLogits'), multi_class=True, label_smooth_eps=0.2
    )
    labels, scores = torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 0]]), torch.randn(2, 4)
    loss = head.loss_by_feat(scores, [ActionDataSample().set_gt_label(row) for row in labels])
    p, q = scores.sigmoid(), torch.where(labels == 1, 0.85, 0.05)
    torch.testing.assert_close(loss['loss_cls'], -(q * p.log() + (1 - q) * (1 - p).log()).mean())


def test_balanced_weights():
    weights = balanced_class_weights(np.array([0, 0, 0, 2]), 4)
    np.testing.assert_allclose(weights, [4 / (2 * 3), 1, 4 / (2 * 1), 1])  # 1 and 3 do not occur
    rng = np.random.default_rng(0)
    labels = rng.choice(5, 300, p=[0.5, 0.2, 0.1, 0.1, 0.1])
    weights = balanced_class_weights(labels, 5)
    assert weights[labels].mean() == pytest.approx(1)
    sums = np.bincount(labels, weights[labels])
    np.testing.assert_allclose(sums, sums[0])  # each class weighs the same
    with pytest.raises(ValueError, match=r'0 to 2, got \[0, 1, 3\]'):
        balanced_class_weights(np.array([0, 1, 3]), 3)


def test_labels_of_wrapped_data_sets():
    with DefaultScope.overwrite_default_scope('mmaction'):
        assert dataset_labels(RepeatDataset(LittleForms([0, 2]), 2)).tolist() == [0, 2, 0, 2]
        joined = ConcatDataset([LittleForms([0, 2]), LittleForms([1])])
        assert dataset_labels(joined).tolist() == [0, 2, 1]


def test_bad_input_is_refused(tmp_path):
    for name, labels, options, message in (
        (
            'many',
            [[0, 1], [2]],
            dict(multi_class=True, num_classes=3),
            'LittleForms: label of rep_0 must be one class',
        ),
        ('few', [0, 3], {}, r'0 to 2, got \[0, 3\]'),
    ):
        with pytest.raises(ValueError, match=message):
            Runner(**config(tmp_path / name, labels=labels, **options)).train()
    settings = config(tmp_path / 'focal')
    settings['model']['cls_head']['loss_cls'] = dict(type='CBFocalLoss', samples_per_cls=[8, 2, 6])
    with pytest.raises(ValueError, match=r'takes class_weight.*RecognizerGCN with CBFocalLoss'):
        Runner(**settings).train()
    settings = config(tmp_path / 'acc')
    settings['test_evaluator'] = [dict(type='AccMetric'), dict(type='FormMetric', multi_class=True)]
    with pytest.raises(ValueError, match=r"without multi_class.*\['AccMetric', 'FormMetric'\]"):
        Runner(**settings).test()


def test_a_missing_class_is_reported(tmp_path, caplog):
    runner = Runner(**config(tmp_path, labels=[0, 0, 2]))
    runner.logger.addHandler(caplog.handler)
    with caplog.at_level(logging.WARNING):
        runner.train()
    assert "1 classes have no training sample, and weight 1: ['knees caving']" in caplog.text
    torch.testing.assert_close(
        runner.model.cls_head.loss_cls.class_weight, torch.tensor([0.75, 1, 1.5])
    )
