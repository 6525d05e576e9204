"""The 2D skeletons of Penn Action (Zhang, Zhu, Derpanis, ICCV 2013) with its 15 actions.

T frames, 13 joints.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from mmaction.registry import DATASETS

from rpstn.data.penn_action import PennLabels, read_penn_labels
from rpstn.data.points import inside_image
from rpstn.errors import BadSequenceError

from .sequence import BadSkeletonError, SkeletonSequence
from .skeleton_dataset import SkeletonDataset


@DATASETS.register_module()
class PennSkeletonDataset(SkeletonDataset):
    """Penn Action's label files as skeleton sequences; no frames are needed.

    ``keypoint`` (1, T, 13, 2) is in 0-based pixels, ``keypoint_score`` (1, T, 13) is 1 for a
    visible joint, and 0 for one that is hidden (its label is the annotators' guess), outside the
    frame or missing. :mod:`rpstn.data.penn_action` says what traps the files hold, reads them,
    and keeps the parsed labels.

    Groups: ``split`` is ``'train'`` or ``'test'``, the files' own; ``source`` joins ten neighbours
    in the numbering, which often were cut from one video, as the clip data set's validation part
    does. Settings are chosen on ``[dict(type='given', part='train'),
    dict(type='leave_group_out', group='source', fold=0, part=...)]``.

    Args:
        data_root: see :class:`SkeletonDataset`; it holds ``labels/NNNN.mat``.
        missing_as_nan: joints that were not annotated, at (1, 1) in the files, become NaN;
            otherwise they lie at (0, 0), as MMAction2's own transforms expect it.
        kwargs: see :class:`SkeletonDataset`. Classes are the actions, sorted.
    """

    METAINFO = dict(skeleton='penn13', unit='px')

    def __init__(
        self, data_root: str = 'penn_action', missing_as_nan: bool = True, **kwargs: Any
    ) -> None:
        self.missing_as_nan = missing_as_nan
        super().__init__(data_root=data_root, **kwargs)

    def load_sequences(self) -> Iterator[SkeletonSequence]:
        sequences, actions = [], set()
        for labels in read_penn_labels(self.data_root):
            try:
                sequences.append(self._skeleton(labels))
                actions.add(labels.action)
            except BadSequenceError as bad:
                self.reject(labels.name, BadSkeletonError(str(bad)))
        self._metainfo.setdefault('classes', tuple(sorted(actions)))
        yield from sequences

    def _skeleton(self, labels: PennLabels) -> SkeletonSequence:
        joints, (width, height) = labels.keypoints(), labels.image_size
        seen = labels.visible & inside_image(joints, labels.image_size)
        if not self.missing_as_nan:
            joints = np.where(np.isnan(joints), np.float32(0), joints)
        return SkeletonSequence(
            labels.name,
            str(labels.file),
            labels.action,
            joints[None],
            dict(split='train' if labels.training else 'test', source=labels.source),
            seen[None].astype(np.float32),
            (height, width),
        )
