"""Training in closed form: one pass over the data, then a discriminant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.model import is_model_wrapper
from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from rpstn.errors import SettingError

from ..models.discriminant import fit_discriminant, join_experts


@LOOPS.register_module()
class DiscriminantLoop(EpochBasedTrainLoop):
    """Fits the head of a recognizer to its features, in one pass and without randomness.

    For a :class:`~rpstn.form.models.TemporalDistanceRecognizer` whose representations give one
    frame, with :class:`~rpstn.form.models.NoBackbone` and a
    :class:`~rpstn.form.models.TemporalHead`. The normalization becomes that of the training set;
    each representation has a discriminant of its own (:func:`fit_discriminant`), and the head says
    their geometric mean. The optimizer of the config has nothing to do.

    Args:
        runner, dataloader: as in MMEngine.
        group: field of the data that names sessions; the pipeline hands it on by
            ``PackActionInputs(meta_keys=(group,))``.
        between: see :func:`fit_discriminant`.
        shrinkage: see :func:`fit_discriminant`, of each representation.
        max_epochs: 1; others add nothing.
        kwargs: see MMEngine's ``EpochBasedTrainLoop``.

    Raises:
        SettingError: no group, a shrinkage too many or too few, several labels.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        group: str = 'day',
        between: float = 0.5,
        shrinkage: Sequence[float] = (0.4,),
        max_epochs: int = 1,
        **kwargs: int,
    ) -> None:
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        self.group, self.between, self.shrinkage = group, between, shrinkage

    @torch.no_grad()
    def run_epoch(self) -> None:
        """The pass, and the fit."""
        self.runner.call_hook('before_train_epoch')
        model = (
            self.runner.model.module if is_model_wrapper(self.runner.model) else self.runner.model
        )
        sizes = [part.out_channels for part in model.representations]
        if len(self.shrinkage) != len(sizes):
            raise SettingError(
                f'shrinkage must be {len(sizes)}, one of each representation, got {self.shrinkage}'
            )
        rows, labels, groups = [], [], []
        for batch in self.dataloader:
            data = model.data_preprocessor(batch, training=False)
            clips = data['inputs'].shape[1]
            joints = data['inputs'].flatten(0, 2).float()
            rows.append(torch.cat([part(joints) for part in model.representations], 1)[..., 0])
            for sample in data['data_samples']:
                labels += [int(sample.gt_label)] * clips
                groups += [self._group_of(sample.metainfo)] * clips
        features = torch.cat(rows).double().cpu().numpy()
        mean, variance = np.nanmean(features, 0), np.nanvar(features, 0)
        model.normalize.running_mean.copy_(torch.from_numpy(mean))
        model.normalize.running_var.copy_(torch.from_numpy(variance))
        features = np.nan_to_num((features - mean) / np.sqrt(variance + model.normalize.eps))
        head, ends = model.cls_head, np.cumsum(sizes)[:-1]
        experts = [
            fit_discriminant(
                part, np.array(labels), np.array(groups), head.num_classes, self.between, shrinkage
            )
            for part, shrinkage in zip(np.split(features, ends, 1), self.shrinkage)
        ]
        weights, bias = join_experts(experts)
        head.classify.weight.copy_(torch.from_numpy(weights)[..., None])
        head.classify.bias.copy_(torch.from_numpy(bias))
        self._iter += len(self.dataloader)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _group_of(self, metainfo: dict) -> str:
        if self.group not in metainfo:
            raise SettingError(
                f'train_dataloader: the pipeline must end in PackActionInputs(meta_keys='
                f'({self.group!r},)), got {sorted(metainfo)}'
            )
        return str(metainfo[self.group])
