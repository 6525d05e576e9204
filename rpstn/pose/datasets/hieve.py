"""Human in Events (HiEve, Lin et al., 2020): crowded surveillance videos, 14 joints.

https://arxiv.org/abs/2005.04490. K = 14 joints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mmpose.registry import DATASETS

from rpstn.data.paths import find_data
from rpstn.data_files import read_json
from rpstn.files import is_stray
from rpstn.limits import FARTHEST
from rpstn.video.readers import ImageReader, UnreadableFrameError, VideoReader

from .boxes import inside_image, joints_boxes
from .holdout import check_subset, choose_subset
from .metainfo import HIEVE14
from .sequence import BadSequenceError
from .tracks import PersonLabel, Track, TrackClipDataset

_JOINTS = 14
_IMAGES_APART = 1_000_000  # more than a video has frames


@DATASETS.register_module()
class HiEveClipDataset(TrackClipDataset):
    """Clips of single people of HiEve.

    **The layout is assumed, not checked against the download**, which needs a registration. Joints
    and their order are published (paper, section 3; humaninevents.org); videos are ``<n>.mp4``, 19
    for training, whose labels alone are public. For the labels of pose tracking we assume the form
    of PoseTrack's evaluation (``poseval``), by whose measures HiEve is scored, one file per video::

        {"annolist": [{"image": [{"name": "000000.jpg"}],
                       "annorect": [{"track_id": [3],
                                     "annopoints": [{"point": [{"id": [0], "x": [412.5],
                                                                "y": [87.0], "is_visible": [1]},
                                                               ...]}]}, ...]}, ...]}

    The reader is strict: it says which file and field is not so. Numbers may stand without their
    brackets; ``is_visible`` may be absent, 0 marks an occluded joint; a joint that is not named, or
    lies outside the frame, has no label. Boxes are those of the joints, as ``x1`` ... ``y2`` of a
    person are those of the head in PoseTrack's files.

    ``data_root`` holds ``labels/pose/<n>.json`` and ``videos/<n>.mp4``, or, much faster, as videos
    are decoded from their beginning, their frames in ``images/<n>/NNNNNN.jpg``.

    Args:
        data_root: the folder, or its name below a data root (see :func:`find_data`).
        subset: ``'trainval'`` is all that is labelled; ``'val'`` are videos held out of it,
            ``'train'`` the rest.
        labels_dir: folder of the labels, below ``data_root``.
        first_frame: the number by which names, of labels and images, call a video's first
            frame. Defaults to 0.
        val_fraction: share of ``'val'`` in the videos.
        kwargs: see :class:`TrackClipDataset`.

    Raises:
        FileNotFoundError: there are no labels.
        BadSequenceError: see :class:`ClipDataset`.
    """

    METAINFO = HIEVE14

    def __init__(
        self,
        data_root: str = 'HIE20',
        subset: str = 'train',
        labels_dir: str = 'labels/pose',
        first_frame: int = 0,
        val_fraction: float = 0.2,
        **kwargs: Any,
    ) -> None:
        check_subset(subset, val_fraction, ('train', 'val', 'trainval'))
        self.subset = subset
        self.labels_dir = labels_dir
        self.first_frame = first_frame
        self.val_fraction = val_fraction
        super().__init__(data_root=str(find_data(data_root)), **kwargs)

    def load_tracks(self) -> Iterator[Track]:
        folder = Path(self.data_root) / self.labels_dir
        files = {file.stem: file for file in sorted(folder.glob('*.json')) if not is_stray(file)}
        if not files:
            raise FileNotFoundError(f'HiEve: no labels (<n>.json) in {folder}')
        chosen = set(files)
        if self.subset != 'trainval':
            chosen = choose_subset(
                dict.fromkeys(files, True), self.subset, self.val_fraction, lambda video: video
            )
        for number, (name, file) in enumerate(files.items()):
            if name not in chosen:
                continue
            try:
                yield from self._tracks_of(name, file, number)
            except (BadSequenceError, UnreadableFrameError) as error:
                self.reject(BadSequenceError(str(error)))

    def _tracks_of(self, video: str, file: Path, number: int) -> list[Track]:
        images = _field(_read(file), 'annolist', f'{file}')
        frames = [
            self._frame_number(image, f'{file}: annolist {i}') for i, image in enumerate(images)
        ]
        reader, count = self._reader(video, max(frames, default=0) + 1)
        size = reader.size()
        tracks: dict[int, dict[int, PersonLabel]] = {}
        annotation_id = number * _IMAGES_APART * 1000
        for i, (frame, image) in enumerate(zip(frames, images)):
            where = f'{file}: annolist {i}'
            if frame >= count:
                raise BadSequenceError(
                    f'{where}: image name must be one of {count} frames of '
                    f'{reader.path} from {self.first_frame} on, got '
                    f'{frame + self.first_frame}'
                )
            for j, person in enumerate(_field(image, 'annorect', where)):
                at = f'{where}, annorect {j}'
                labels = tracks.setdefault(int(_number(person, 'track_id', at)), {})
                if frame in labels:
                    raise BadSequenceError(
                        f'{at}: track_id must occur once in a frame, got '
                        f'{_number(person, "track_id", at):g} twice'
                    )
                annotation_id += 1
                label = _label(person, size, annotation_id, number * _IMAGES_APART + frame, at)
                if label.labelled.any():
                    labels[frame] = label
                else:
                    self.leave_out('people without any joint in the frame')
        return [
            Track(f'{video}/{track}', reader, count, size, labels)
            for track, labels in sorted(tracks.items())
            if labels
        ]

    def _frame_number(self, image: dict, where: str) -> int:
        name = (_field(image, 'image', where) or [{}])[0].get('name')
        if not isinstance(name, str) or not re.fullmatch(r'[0-9]{1,9}', Path(name).stem):
            raise BadSequenceError(f"{where}: image name must be like '000000.jpg', got {name!r}")
        number = int(Path(name).stem) - self.first_frame
        if number < 0:
            raise BadSequenceError(
                f'{where}: image name must number frames from first_frame='
                f'{self.first_frame} on, got {name!r}'
            )
        return number

    def _reader(self, video: str, labelled: int) -> tuple[ImageReader | VideoReader, int]:
        """The frames, and how many: of a video as many as are labelled, as counting decodes it."""
        folder = Path(self.data_root) / 'images' / video
        if not folder.is_dir():
            return VideoReader(str(Path(self.data_root) / 'videos' / f'{video}.mp4')), labelled
        numbered = {int(f.stem): f for f in folder.iterdir() if re.fullmatch(r'[0-9]{1,9}', f.stem)}
        wanted = range(self.first_frame, self.first_frame + len(numbered))
        missing = [n for n in wanted if n not in numbered]
        if missing or not numbered:
            raise BadSequenceError(
                f'{folder}: frames must be numbered from first_frame='
                f'{self.first_frame} without a gap, got none of number '
                f'{missing[0] if missing else self.first_frame}'
            )
        return ImageReader(tuple(str(numbered[n]) for n in wanted)), len(numbered)


def _read(file: Path) -> dict:
    try:
        return read_json(file)
    except (OSError, ValueError) as error:
        raise BadSequenceError(f'{file}: cannot be read as JSON ({error})') from None


def _field(item: dict, field: str, where: str) -> list[dict]:
    value = item.get(field) if isinstance(item, dict) else None
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise BadSequenceError(f'{where}: {field} must be a list of objects, got {value!r:.60}')
    return value


def _number(item: dict, field: str, where: str, otherwise: float | None = None) -> float:
    value = item.get(field, otherwise)
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise BadSequenceError(f'{where}: {field} must be a number or [number], got {value!r:.60}')
    return value


def _label(
    person: dict, size: tuple[int, int], annotation_id: int, image_id: int, where: str
) -> PersonLabel:
    keypoints = np.zeros((_JOINTS, 2), np.float32)
    labelled, occluded = np.zeros((2, _JOINTS), bool)
    groups = _field(person, 'annopoints', where) if person.get('annopoints') else []
    for point in (p for group in groups for p in _field(group, 'point', where)):
        joint = _number(point, 'id', where)
        if joint not in range(_JOINTS):
            raise BadSequenceError(f'{where}: point id must be 0 to {_JOINTS - 1}, got {joint}')
        at = f'{where}, joint {joint:g}'
        x, y = (_number(point, side, at) for side in 'xy')
        if max(abs(x), abs(y)) > FARTHEST:
            raise BadSequenceError(
                f'{at}: x and y must lie within {FARTHEST:,.0f} of the origin, got {x:g} and {y:g}'
            )
        keypoints[int(joint)] = x, y
        labelled[int(joint)] = True
        occluded[int(joint)] = _number(point, 'is_visible', at, 1) == 0
    labelled &= inside_image(keypoints, size)
    box = joints_boxes(keypoints[None], labelled[None], size)[0]
    return PersonLabel(keypoints, labelled, labelled & occluded, box, annotation_id, image_id)
