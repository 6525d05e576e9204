"""The 2D skeletons of Penn Action (Zhang, Zhu, Derpanis, ICCV 2013) with its 15 actions.

T frames, 13 joints.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from mmaction.registry import DATASETS

from rpstn.pose.datasets import PennActionDataset, PoseSequence

from .sequence import BadSkeletonError, SkeletonSequence
from .skeleton_dataset import SkeletonDataset

# The parts of the files' own split, and what the clip data set calls them.
_PARTS = dict(train='trainval', test='test')


@DATASETS.register_module()
class PennSkeletonDataset(SkeletonDataset):
    """Penn Action's label files as skeleton sequences; no frames are needed.

    ``keypoint`` (1, T, 13, 2) is in 0-based pixels, ``keypoint_score`` (1, T, 13) is 1 for a
    visible joint, and 0 for one that is hidden (its label is the annotators' guess), outside the
    frame or missing. :class:`rpstn.pose.datasets.PennActionDataset` says what traps the files
    hold; it reads them, and keeps the parsed labels.

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
        self, data_root: str = 'penn_action', missing_as_nan: bool = True, **kwargs
    ) -> None:
        self.missing_as_nan = missing_as_nan
        super().__init__(data_root=data_root, **kwargs)

    def load_sequences(self) -> Iterator[SkeletonSequence]:
        sequences, bad = [], {}
        for part, subset in _PARTS.items():
            clips = PennActionDataset(
                self.data_root, subset=subset, check_frames=False, start='fixed', lazy_init=True
            )
            sequences += [(part, sequence) for sequence in clips.load_sequences()]
            # A file that cannot be read has no part, both find it.
            bad.update(dict.fromkeys(clips.bad_sequences))
        for reason in bad:
            self.reject(Path(reason.split(': ')[0]).stem, BadSkeletonError(reason))
        self._metainfo.setdefault('classes', tuple(sorted({s.action for _, s in sequences})))
        for part, sequence in sorted(sequences, key=lambda pair: pair[1].name):
            yield self._skeleton(sequence, part)

    def _skeleton(self, sequence: PoseSequence, part: str) -> SkeletonSequence:
        joints = sequence.keypoints
        if self.missing_as_nan:
            # The clip data set puts a joint that is missing exactly there, one outside the frame
            # is elsewhere, and one really there is labelled.
            missing = ~sequence.labelled & (joints == 0).all(axis=2)
            joints = np.where(missing[..., None], np.float32(np.nan), joints)
        width, height = sequence.image_size
        return SkeletonSequence(
            sequence.name,
            f'{self.data_root}/labels/{sequence.name}.mat',
            sequence.action,
            joints[None],
            dict(split=part, source=sequence.name[:-1]),
            (sequence.labelled & ~sequence.occluded)[None].astype(np.float32),
            (height, width),
        )
