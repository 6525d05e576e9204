"""Videos whose joints another model has found: labels of a teacher, beside no video.

N frames of a clip, K joints.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mmpose.registry import DATASETS

from rpstn.data.paths import find_data
from rpstn.data_files import read_npz
from rpstn.errors import SettingError, first_line
from rpstn.files import is_stray
from rpstn.video.readers import VideoReader

from .boxes import fill_boxes, inside_image
from .clip_dataset import ClipDataset
from .metainfo import BLAZEPOSE33, METAINFO
from .sequence import BadSequenceError, PoseSequence

_FIELDS = ('video', 'joints', 'keypoints', 'scores', 'boxes', 'image_size')


@DATASETS.register_module()
class TeacherClipDataset(ClipDataset):
    """Clips of videos labelled by ``tools/research/label_by_teacher.py``.

    ``labels`` holds ``<class>/<clip>.npz``: ``video`` (path below ``data_root``), ``joints`` (K
    names), ``keypoints`` (N, K, 2) 0-based pixels, ``scores`` (N, K), 0 where the teacher is not
    to be trusted, ``boxes`` (N, 4), NaN where it saw nobody, and ``image_size``. Joints below
    ``min_score``, outside the frame, or that the teacher has not, are unlabelled; nothing counts as
    occluded. A clip of which less than half of the frames have ``min_joints`` labelled joints is
    bad data.

    Args:
        data_root: the videos' folder, or its name below a data root (:func:`find_data`).
        labels: the labels' folder, or its name below a data root.
        joints: skeleton of the labels. Defaults to ``'blazepose33'``.
        min_score: Defaults to 0.5.
        min_joints: Defaults to 8.
        kwargs: see :class:`ClipDataset`.

    Raises:
        FileNotFoundError: a folder, or all labels, are absent.
        SettingError: an unknown skeleton.
        BadSequenceError: see :class:`ClipDataset`.
    """

    METAINFO = BLAZEPOSE33

    def __init__(
        self,
        data_root: str = 'jhmdb_unlabelled',
        labels: str = 'teacher_blazepose/unlabelled',
        joints: str = 'blazepose33',
        min_score: float = 0.5,
        min_joints: int = 8,
        **kwargs: Any,
    ) -> None:
        if joints not in METAINFO:
            raise SettingError(f'joints must be one of {sorted(METAINFO)}, got {joints!r}')
        self.labels = find_data(labels)
        self.min_score = min_score
        self.min_joints = min_joints
        kwargs.setdefault('metainfo', METAINFO[joints])
        super().__init__(data_root=str(find_data(data_root)), **kwargs)

    def load_sequences(self) -> Iterator[PoseSequence]:
        files = sorted(file for file in self.labels.rglob('*.npz') if not is_stray(file))
        if not files:
            raise FileNotFoundError(
                f'{self.labels}: no labels (<class>/<clip>.npz) there; '
                'tools/research/label_by_teacher.py writes them'
            )
        names = [
            self._metainfo['keypoint_id2name'][k]
            for k in range(len(self._metainfo['keypoint_id2name']))
        ]
        for file in files:
            try:
                yield self._sequence(file, names)
            except BadSequenceError as error:
                self.reject(error)

    def _sequence(self, file: Path, names: list[str]) -> PoseSequence:
        try:
            fields = read_npz(file)
        except (OSError, ValueError) as error:
            raise BadSequenceError(f'{file}: cannot be read ({error})') from None
        if missing := [name for name in _FIELDS if name not in fields]:
            raise BadSequenceError(f'{file}: has no field {missing[0]}')
        try:
            return self._checked(file, fields, names)
        except BadSequenceError:
            raise
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            raise BadSequenceError(
                f'{file}: is not as label_by_teacher.py writes it ({first_line(error)})'
            ) from None

    def _checked(self, file: Path, fields: dict[str, np.ndarray], names: list[str]) -> PoseSequence:
        if fields['joints'].tolist() != names:
            raise BadSequenceError(
                f'{file}: joints must be {names}, got {fields["joints"].tolist()}'
            )
        named = Path(str(fields['video']))
        if named.is_absolute() or '..' in named.parts:
            raise BadSequenceError(f'{file}: video must lie in the data set, got {named}')
        video = Path(self.data_root) / named
        if not video.is_file():
            raise BadSequenceError(f'{file}: its video {video} does not exist')
        width, height = map(int, fields['image_size'])
        size = (width, height)
        keypoints = fields['keypoints'].astype(np.float32)
        # A score that is no number is below every threshold.
        labelled = (
            (fields['scores'] >= self.min_score)
            & inside_image(keypoints, size)
            & np.isfinite(keypoints).all(-1)
        )
        enough = labelled.sum(1) >= self.min_joints
        if enough.mean() < 0.5:
            raise BadSequenceError(
                f'{file}: {enough.sum()} of {len(enough)} frames have '
                f'{self.min_joints} joints of score {self.min_score}; at '
                'least half are needed'
            )
        boxes, _ = fill_boxes(fields['boxes'], np.full_like(fields['boxes'], np.nan))
        labelled &= enough[:, None]
        return PoseSequence(
            str(file.relative_to(self.labels).with_suffix('')),
            VideoReader(str(video)),
            np.nan_to_num(keypoints),
            labelled,
            np.zeros_like(labelled),
            boxes.astype(np.float32),
            size,
            file.parent.name,
        )
