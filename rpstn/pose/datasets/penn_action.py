"""Penn Action (Zhang, Zhu, Derpanis, ICCV 2013): 2,326 sequences of 15 actions, 13 joints.

N frames of a sequence, 13 joints.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmpose.registry import DATASETS

from rpstn.data.paths import find_data
from rpstn.data.penn_action import PennLabels, read_penn_labels
from rpstn.data.points import inside_image
from rpstn.errors import SettingError
from rpstn.video.readers import ImageReader

from .boxes import fill_boxes, joints_boxes
from .clip_dataset import ClipDataset
from .holdout import SUBSETS, check_subset, choose_subset
from .metainfo import PENN13
from .sequence import BadSequenceError, PoseSequence

# In a folder of frames that were drawn from the annotations.
RENDERED_MARKER = 'RENDERED.txt'
_RENDERED_ROOT = 'penn_action_rendered'


@DATASETS.register_module()
class PennActionDataset(ClipDataset):
    """Clips of Penn Action, from the original download as it is.

    ``data_root`` holds ``labels/NNNN.mat`` and ``frames/NNNN/NNNNNN.jpg``. What the labels hide is
    told, and cured, in :mod:`rpstn.data.penn_action`. Here a joint is

    - unlabelled, at (0, 0), where it was not annotated; unlabelled where it lies outside the frame;
    - labelled and occluded where it is hidden.

    A box that is missing or without area (drawn around the visible joints, in these frames one) is
    taken from the labelled joints, or else from the nearest frame that has one; how many is logged.

    Args:
        data_root: the folder, or its name below a data root (see :func:`find_data`).
        subset: ``'trainval'`` and ``'test'`` are the official ones (the files' own ``train``
            field), ``'all'`` is both. ``'val'`` is a part held out from the former, ``'train'``
            the rest. Ten neighbours in the numbering, often of one video, stay together.
        val_fraction: share of ``'val'`` in the sequences of ``'trainval'``.
        actions: use only these, e.g. ``['squat']``.
        frames_dir: where the frames are: a folder below ``data_root`` or any
            other. Defaults to ``<data_root>/frames``, and where there are none, to those of
            tools/data/render_penn.py in ``penn_action_rendered/frames`` below a data root. A
            warning says when rendered frames are used: results on them are none on Penn Action.
        check_frames: whether a sequence needs its frames. Without them only annotations
            can be used.
        kwargs: see :class:`ClipDataset`.

    Raises:
        FileNotFoundError: no labels, or no frames at all.
        BadSequenceError: see :class:`ClipDataset`.
    """

    METAINFO = PENN13

    def __init__(
        self,
        data_root: str = 'penn_action',
        subset: str = 'train',
        val_fraction: float = 0.1,
        actions: Sequence[str] | None = None,
        frames_dir: str | None = None,
        check_frames: bool = True,
        **kwargs: Any,
    ) -> None:
        self.subset = subset
        self.val_fraction = val_fraction
        check_subset(self.subset, val_fraction, (*SUBSETS, 'all'))
        self.actions = None if actions is None else set(actions)
        self.check_frames = check_frames
        root = find_data(data_root)
        self.frames_dir = _find_frames(root, frames_dir, check_frames)
        if (
            self.frames_dir.parent.name == _RENDERED_ROOT
            or (self.frames_dir / RENDERED_MARKER).exists()
        ):
            print_log(
                f'{type(self).__name__}: the frames in {self.frames_dir} are NOT the '
                'photographs but rendered from the annotations; results on them are not '
                'results on Penn Action',
                logger='current',
                level=logging.WARNING,
            )
        super().__init__(data_root=str(root), **kwargs)

    def load_sequences(self) -> Iterator[PoseSequence]:
        clips = read_penn_labels(self.data_root)
        known = {labels.action for labels in clips} - {''}
        if self.actions is not None and not self.actions <= known:
            raise SettingError(
                f'actions must be among {sorted(known)}, got {sorted(self.actions - known)}'
            )
        chosen = {labels.name for labels in clips}
        if self.subset != 'all':
            training = {labels.name: labels.training for labels in clips}
            sources = {labels.name: labels.source for labels in clips}
            chosen = choose_subset(training, self.subset, self.val_fraction, sources.__getitem__)
        mended: list[str] = []
        for labels in clips:
            used = labels.name in chosen and (self.actions is None or labels.action in self.actions)
            if not used and not labels.error:  # what a file that has one would be is unknown
                continue
            try:
                sequence, count = self._sequence(labels)
            except BadSequenceError as bad:
                self.reject(bad)
                continue
            if count:
                mended.append(f'{labels.name} ({count})')
            yield sequence
        if mended:
            print_log(
                f'{type(self).__name__}: boxes missing or without area taken from the '
                f'joints or the nearest frame, in {", ".join(mended)}',
                logger='current',
                level=logging.INFO,
            )

    def _sequence(self, labels: PennLabels) -> tuple[PoseSequence, int]:
        """The sequence, and how many of its boxes had to be mended."""
        points, size = labels.keypoints(), labels.image_size
        labelled = inside_image(points, size)  # which NaN is not
        boxes = labels.boxes[: len(points)]
        boxes = np.concatenate([boxes, np.full((len(points) - len(boxes), 4), np.nan)])
        filled, count = fill_boxes(boxes, joints_boxes(points, labelled, size))
        sequence = PoseSequence(
            labels.name,
            self._reader(labels.name, len(points)),
            np.where(np.isnan(points), np.float32(0), points),
            labelled,
            labelled & ~labels.visible,
            filled.astype(np.float32),
            size,
            labels.action,
        )
        return sequence, count

    def _reader(self, name: str, frames: int) -> ImageReader:
        folder = self.frames_dir / name
        if self.check_frames:
            try:
                present = set(os.listdir(folder))
            except OSError:
                raise BadSequenceError(f'{folder}: the folder of frames does not exist') from None
            missing = [
                f'{t:06d}.jpg' for t in range(1, frames + 1) if f'{t:06d}.jpg' not in present
            ]
            if missing:
                raise BadSequenceError(
                    f'{folder / missing[0]}: the frame does not exist; '
                    f'{len(missing)} of {frames} are missing'
                )
        return ImageReader(tuple(f'{folder}{os.sep}{t:06d}.jpg' for t in range(1, frames + 1)))


def _find_frames(root: Path, frames_dir: str | None, required: bool) -> Path:
    if frames_dir is None:
        places, elsewhere = [root / 'frames'], f'{_RENDERED_ROOT}/frames' if required else ''
    else:
        places, elsewhere = [root / frames_dir, Path(frames_dir)], frames_dir
    if elsewhere and not Path(elsewhere).is_absolute():
        try:
            places.append(find_data(elsewhere))
        except FileNotFoundError:
            pass
    for place in places:
        if place.is_dir() and (not required or any(p.is_dir() for p in place.iterdir())):
            return place
    if required:
        raise FileNotFoundError(
            f'no frames of Penn Action (NNNN/NNNNNN.jpg); looked in: '
            f'{", ".join(map(str, dict.fromkeys(places)))}. Unpack the original frames there, '
            'set frames_dir, or render stand-ins from the labels with tools/data/render_penn.py.'
        )
    return places[0]
