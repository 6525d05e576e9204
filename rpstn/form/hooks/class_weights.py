"""Classes weighed in the loss by how rare they are."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from mmaction.registry import HOOKS
from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from sklearn.utils.class_weight import compute_class_weight

from rpstn.errors import SettingError
from rpstn.tables import format_table


def dataset_labels(dataset: BaseDataset) -> np.ndarray:
    """Class of every item of a data set of MMEngine (wrappers of them included), (N,) int.

    Raises:
        SettingError: an item has no label or several, or the data set is empty.
    """
    labels = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        label = info.get('label')
        if label is None or np.ndim(label) != 0:
            name = info.get('frame_dir', f'item {index}')
            raise SettingError(
                f'{type(dataset).__name__}: label of {name} must be one class, got '
                f'{label}; class weights do not balance several labels'
            )
        labels.append(int(label))
    if not labels:
        raise SettingError(f'{type(dataset).__name__}: there is no item to count labels of')
    return np.array(labels)


def balanced_class_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Scikit-learn's ``balanced`` weights: n / (classes that occur * count of the class).

    They are 1 in the mean over the samples. A class that does not occur gets 1, too: no sample of
    it is ever weighted, but label smoothing gives it a share of every target.

    Args:
        labels: (N,) classes.
        num_classes: C.

    Returns:
        (C,).

    Raises:
        SettingError: a label outside the classes.
    """
    present = np.unique(labels)
    if present[0] < 0 or present[-1] >= num_classes:
        raise SettingError(
            f'labels must be among the classes 0 to {num_classes - 1}, got {present.tolist()}'
        )
    weights = np.ones(num_classes)
    weights[present] = compute_class_weight('balanced', classes=present, y=labels)
    return weights


@HOOKS.register_module()
class BalancedClassWeightHook(Hook):
    """Weight the classes in the loss of the head by how rare they are in the training set.

    Before training it sets ``model.cls_head.loss_cls.class_weight``, of MMAction2's
    ``CrossEntropyLoss``, to :func:`balanced_class_weights`, in place of weights of the config.
    Every process counts for itself, and a resumed training counts anew: the weights are not part
    of a checkpoint.

    What MMAction2's loss makes of them, with y the one-hot label and, by ``label_smooth_eps`` of
    the head, q = (1 - eps) y + eps / C::

        loss = sum_nc q_nc w_c (-log p_nc) / sum_nc q_nc w_c

    That is the weighted mean it should be: with eps = 0 PyTorch's ``cross_entropy(weight=w)``, with
    equal weights its ``cross_entropy(label_smoothing=eps)``. With both it differs from PyTorch's in
    the divisor alone, there sum_n w_(y_n), by which equal losses do not give that loss. Two things
    to know: weights divided by those of the batch cancel where all its samples are of one class,
    so batches must not be tiny; and in both libraries the optimum for a sample is p ~ w q, so
    weights tilt what smoothing gives to other classes towards the rare ones.

    ``multi_class`` data sets are refused: there weights would scale what a label's presence and
    its absence cost alike, and balance nothing.

    Raises:
        SettingError: the model has no head whose loss takes class weights, a label is not among the
            head's classes, or the data set has several labels per sample.
    """

    def before_train(self, runner: Runner) -> None:
        """Count the labels and set the weights."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        head: Any = getattr(model, 'cls_head', None)
        loss: Any = getattr(head, 'loss_cls', None)
        if not hasattr(loss, 'class_weight'):
            raise SettingError(
                'BalancedClassWeightHook needs a model with cls_head.loss_cls that '
                f"takes class_weight, as dict(type='CrossEntropyLoss'), got "
                f'{type(model).__name__} with {type(loss).__name__}'
            )
        dataset = runner.train_dataloader.dataset
        labels = dataset_labels(dataset)
        weights = balanced_class_weights(labels, head.num_classes)
        # In the scores' own type and place, or the loss moves them in every iteration.
        loss.class_weight = next(model.parameters()).detach().new_tensor(weights)
        counts = np.bincount(labels, minlength=head.num_classes)
        names = getattr(dataset, 'metainfo', {}).get('classes') or range(head.num_classes)
        runner.logger.info(
            'Class weights of the loss\n'
            + format_table(
                ['', 'samples', 'weight'],
                [list(row) for row in zip(names, counts, weights)],
                digits=3,
            )
        )
        if not counts.all():
            empty = [name for name, count in zip(names, counts) if not count]
            runner.logger.log(
                logging.WARNING,
                f'{len(empty)} classes have no training sample, and weight 1: {empty}',
            )
