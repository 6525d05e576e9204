"""PoseTrack18 (Andriluka et al., CVPR 2018): videos of several people, 17 joints.

https://arxiv.org/abs/1710.10000. K = 17 joints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mmpose.registry import DATASETS

from rpstn.data.paths import find_data
from rpstn.data.points import too_far
from rpstn.data_files import read_json
from rpstn.files import is_stray
from rpstn.limits import FARTHEST, FRAMES, LimitError
from rpstn.video.readers import ImageReader, UnreadableFrameError

from .boxes import inside_image
from .holdout import check_subset, choose_subset
from .metainfo import POSETRACK18
from .sequence import BadSequenceError
from .tracks import PersonLabel, Track, TrackClipDataset

_JOINTS = 17


@DATASETS.register_module()
class PoseTrack18ClipDataset(TrackClipDataset):
    """Clips of single people of PoseTrack18, from the annotation files that MMPose reads.

    ``data_root`` holds ``images/{train,val}/<video>/NNNNNN.jpg``, numbered from 0, and
    ``annotations/posetrack18_{train,val}.json``, or, in their place, the folders
    ``annotations/{train,val}`` of one file per video. Of an image are read ``id``, ``file_name``
    (relative to ``data_root``), ``nframes`` of its video, ``width`` and ``height`` (the first frame
    is opened where they are absent, as in the files per video); of an annotation ``id``,
    ``image_id``, ``track_id``, ``keypoints`` (17 times x, y, 0 or 1) and ``bbox`` (x, y, width,
    height).

    A joint counts where it is marked and lies inside the image; nothing is said about occlusion.
    The ears are joints here, as in MMPose, but hardly ever marked. Regions to be ignored are not
    read: every person is found by its own box.

    Args:
        data_root: the folder, or its name below a data root (see :func:`find_data`).
        subset: ``'trainval'`` is the official training list and ``'test'`` the official
            validation list, which papers report on, as the test set's labels are not public.
            ``'val'`` are videos held out of the former, ``'train'`` the rest.
        ann_file: file or folder, below ``data_root``, in place of the subset's.
        val_fraction: share of ``'val'`` in the videos of ``'trainval'``.
        kwargs: see :class:`TrackClipDataset`.

    Raises:
        FileNotFoundError: there are no annotations.
        BadSequenceError: see :class:`ClipDataset`.
    """

    METAINFO = POSETRACK18

    def __init__(
        self,
        data_root: str = 'posetrack18',
        subset: str = 'train',
        ann_file: str | None = None,
        val_fraction: float = 0.1,
        **kwargs: Any,
    ) -> None:
        check_subset(subset, val_fraction)
        self.subset = subset
        self.val_fraction = val_fraction
        self.annotations = ann_file
        super().__init__(data_root=str(find_data(data_root)), **kwargs)

    def load_tracks(self) -> Iterator[Track]:
        videos: dict[str, tuple[Path, list[dict], dict[int, list[dict]]]] = {}
        for file in self._files():
            try:
                videos.update(_read_file(file))
            except BadSequenceError as error:
                self.reject(error)
        chosen = set(videos)
        if self.subset in ('train', 'val'):
            chosen = choose_subset(
                dict.fromkeys(videos, True), self.subset, self.val_fraction, lambda video: video
            )
        for video in sorted(chosen):
            yield from self._tracks_of(video, *videos[video])

    def _files(self) -> list[Path]:
        root = Path(self.data_root)
        name = 'val' if self.subset == 'test' else 'train'
        tried = (
            [root / self.annotations]
            if self.annotations
            else [root / f'annotations/posetrack18_{name}.json', root / 'annotations' / name]
        )
        for path in tried:
            if path.is_file():
                return [path]
            files = sorted(file for file in path.glob('*.json') if not is_stray(file))
            if files:
                return files
        raise FileNotFoundError(
            'PoseTrack18: no annotations; looked for ' + ' and '.join(map(str, tried))
        )

    def _tracks_of(
        self, folder: str, file: Path, images: list[dict], people: dict[int, list[dict]]
    ) -> Iterator[Track]:
        """The tracks of a video, the folder of its images being ``folder``."""
        try:
            reader, size = self._video(file, images)
        except (BadSequenceError, UnreadableFrameError) as error:
            self.reject(BadSequenceError(f'{file}: video {folder}: {error}'))
            return
        tracks: dict[int, dict[int, PersonLabel]] = {}
        for image in images:
            frame = _frame_number(image)
            for annotation in people.get(image['id'], ()):
                where = f'{file}: annotation {annotation.get("id")}'
                try:
                    label = _label(annotation, size, where)
                    track = tracks.setdefault(_whole(annotation, 'track_id', where), {})
                    if frame in track:
                        raise BadSequenceError(
                            f'{where}: track_id must occur once in image {image["id"]}, got '
                            f'{annotation["track_id"]} twice'
                        )
                except BadSequenceError as error:
                    self.reject(error)
                    continue
                if label.labelled.any():
                    track[frame] = label
                else:
                    self.leave_out('annotations without any marked joint in the image')
        name = Path(folder).name
        for number, labels in sorted(tracks.items()):
            if labels:
                yield Track(f'{name}/{number}', reader, len(reader.paths), size, labels)

    def _video(self, file: Path, images: list[dict]) -> tuple[ImageReader, tuple[int, int]]:
        """All frames of a video, and their size."""
        first = images[0]
        path = Path(self.data_root) / first['file_name']
        count = _whole(first, 'nframes', f'image {first["id"]}')
        try:
            FRAMES.check(count)
        except LimitError as error:
            raise BadSequenceError(f'image {first["id"]}: nframes must be lower, {error}') from None
        frames = max(map(_frame_number, images))
        if frames >= count:
            raise BadSequenceError(
                f'nframes must exceed the frame numbers, 0 to {frames}, got {count}'
            )
        digits = len(path.stem)
        reader = ImageReader(
            tuple(str(path.with_name(f'{t:0{digits}d}{path.suffix}')) for t in range(count))
        )
        if 'width' not in first and 'height' not in first:
            return reader, ImageReader((str(path),)).size()
        where = f'image {first["id"]}'
        return reader, (_whole(first, 'width', where), _whole(first, 'height', where))


def _read_file(file: Path) -> dict[str, tuple[Path, list[dict], dict[int, list[dict]]]]:
    """Folder of a video's images -> the file, its images, annotations by image."""
    try:
        content = read_json(file)
    except (OSError, ValueError) as error:
        raise BadSequenceError(f'{file}: cannot be read as JSON ({error})') from None
    for field in ('images', 'annotations'):
        value = content.get(field) if isinstance(content, dict) else None
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise BadSequenceError(
                f'{file}: {field} must be a list of objects, got {type(value).__name__}'
            )
    videos: dict[str, list[dict]] = {}
    for image in content['images']:
        where = f'{file}: image {image.get("id")}'
        _whole(image, 'id', where)
        name = image.get('file_name')
        if not isinstance(name, str) or not re.fullmatch(r'.*/[0-9]{1,9}\.\w+', name):
            raise BadSequenceError(
                f'{where}: file_name must be like '
                f"'images/val/000342_mpii_test/000000.jpg', got {name!r}"
            )
        if Path(name).is_absolute() or '..' in Path(name).parts:
            raise BadSequenceError(f'{where}: file_name must lie in the data set, got {name!r}')
        videos.setdefault(str(Path(name).parent), []).append(image)
    known = {image['id'] for image in content['images']}
    people: dict[int, list[dict]] = {}
    for annotation in content['annotations']:
        where = f'{file}: annotation {annotation.get("id")}'
        if _whole(annotation, 'image_id', where) not in known:
            raise BadSequenceError(
                f'{where}: image_id must be the id of an image, got {annotation.get("image_id")!r}'
            )
        people.setdefault(annotation['image_id'], []).append(annotation)
    return {folder: (file, images, people) for folder, images in videos.items()}


def _frame_number(image: dict) -> int:
    return int(Path(image['file_name']).stem)


def _whole(item: dict, field: str, where: str) -> int:
    value = item.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadSequenceError(f'{where}: {field} must be a whole number, got {value!r}')
    return value


def _label(annotation: dict, size: tuple[int, int], where: str) -> PersonLabel:
    """A person in the units of :class:`PersonLabel`; its box is cut at the image's border."""
    points = _numbers(annotation, 'keypoints', 3 * _JOINTS, where).reshape(_JOINTS, 3)
    box = np.full(4, np.nan)
    if annotation.get('bbox'):  # some people have none
        x, y, width, height = _numbers(annotation, 'bbox', 4, where)
        box = np.clip([x, y, x + width, y + height], 0, np.tile(np.asarray(size) - 1, 2))
    return PersonLabel(
        points[:, :2].astype(np.float32),
        (points[:, 2] > 0) & inside_image(points[:, :2], size),
        np.zeros(_JOINTS, bool),
        box,
        _whole(annotation, 'id', where),
        annotation['image_id'],
    )


def _numbers(item: dict, field: str, count: int, where: str) -> np.ndarray:
    try:
        values = np.asarray(item.get(field), float)
    except (TypeError, ValueError, OverflowError):
        values = np.empty(0)
    if values.shape == (count,) and (far := too_far(values)).any():
        found = values[far][0]
        raise BadSequenceError(
            f'{where}: {field} must lie within {FARTHEST:,.0f} of the origin, got {found:g}'
        )
    if values.shape != (count,) or not np.isfinite(values).all():
        got = item.get(field)
        got = f'{len(got)} entries' if isinstance(got, list) else repr(got)
        raise BadSequenceError(f'{where}: {field} must hold {count} finite numbers, got {got}')
    return values
