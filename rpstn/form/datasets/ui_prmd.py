"""UI-PRMD: movements of rehabilitation done as they should be, and not, by motion capture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmaction.registry import DATASETS

from rpstn.data.ui_prmd import MOVEMENTS, read_ui_prmd
from rpstn.errors import SettingError

from .sequence import BadSkeletonError, SkeletonSequence
from .skeleton_dataset import SkeletonDataset


@DATASETS.register_module()
class UIPRMDDataset(SkeletonDataset):
    """Joint centres of UI-PRMD's repetitions, each right or wrong.

    Its groups are ``subject`` and ``movement``.

    Args:
        data_root: folder of the ``mMM.npz`` files, see :class:`SkeletonDataset`.
        movements: only these, e.g. ``('m05',)``; all by default.
        kwargs: see :class:`SkeletonDataset`.
    """

    METAINFO = dict(skeleton='mediapipe19', unit='m', axes=(1, 1, 1), classes=('right', 'wrong'))

    def __init__(
        self, data_root: str = 'ui_prmd_vicon', movements: Sequence[str] = (), **kwargs: Any
    ) -> None:
        unknown = sorted(set(movements) - MOVEMENTS.keys())
        if unknown:
            raise SettingError(f'movements must be of {sorted(MOVEMENTS)}, got {unknown}')
        self.movements = tuple(movements)
        super().__init__(data_root=data_root, **kwargs)

    def load_sequences(self) -> Iterator[SkeletonSequence]:
        try:
            for found in read_ui_prmd(self.data_root, self.movements):
                yield SkeletonSequence(
                    found.name,
                    str(Path(self.data_root) / f'{found.movement}.npz'),
                    'right' if found.correct else 'wrong',
                    found.joints()[None],
                    dict(subject=found.subject, movement=found.movement),
                )
        except ValueError as error:
            raise BadSkeletonError(str(error)) from None
