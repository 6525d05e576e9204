"""Clips of people in videos in which several are annotated, and not all frames are.

N frames of a sequence, T frames of a clip, K joints.
"""

from __future__ import annotations

import logging
import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.logging import print_log

from rpstn.errors import SettingError
from rpstn.video.readers import FrameReader, ImageReader, VideoPart, VideoReader

from .boxes import fill_boxes, joints_boxes
from .clip_dataset import ClipDataset
from .sequence import BadSequenceError, PoseSequence


@dataclass(frozen=True)
class PersonLabel:
    """One person in one frame, as annotated.

    Args:
        keypoints: (K, 2) 0-based pixels.
        labelled, occluded: (K,) bool, as in :class:`PoseSequence`.
        box: (4,) x1 y1 x2 y2, NaN for none: that of the joints is used then.
        annotation_id, image_id: by which MMPose's COCO metrics match persons and images.
    """

    keypoints: np.ndarray
    labelled: np.ndarray
    occluded: np.ndarray
    box: np.ndarray
    annotation_id: int
    image_id: int


@dataclass(frozen=True)
class Track:
    """One person through a video.

    Args:
        name: unique in the data set, e.g. ``'000342_mpii_test/3'``.
        reader: all frames of the video.
        num_frames: of the video.
        image_size: (width, height).
        labels: by 0-based frame of the video; at least one.
    """

    name: str
    reader: ImageReader | VideoReader
    num_frames: int
    image_size: tuple[int, int]
    labels: dict[int, PersonLabel]


class TrackClipDataset(ClipDataset):
    """Base of data sets whose videos show several people, labelled in some of the frames.

    A sequence is one person's track. Frames between labels belong to it, without labels: they are
    shown to the network, and count neither for the loss nor for the metric. Their boxes lie between
    those of the labels around them (linear), beyond the ends they are the nearest label's.

    **Which frames a clip shows.** ``start='random'`` draws it anywhere in a run of labels, the runs
    being a track cut where labels are more than ``max_gap`` frames apart; a run shorter than a clip
    takes the video's neighbouring frames in. With ``start='fixed'`` clips slide over each run as in
    :class:`ClipDataset`, or, with ``frames_before`` or ``frames_after``, there is one clip for each
    label: ``frames_before`` frames, the labelled one, ``frames_after`` frames, ``frame_stride``
    apart, the video's first or last frame repeated where it ends. RPSTN looks back only, so its
    clip ends at the label (``frames_before=T - 1``); models that look at both sides put it in the
    middle. While testing, the label's frame alone counts, all others are ``padded``, so that a
    person is evaluated exactly once per label either way.

    Frames of items carry ``id`` and ``img_id`` of their annotation, and, while testing,
    ``raw_ann_info`` in COCO's form, so ``CocoMetric(use_area=False)`` needs no file: its ground
    truth is what the data set uses, boxes cut at the image's border.

    Args:
        frames_before, frames_after: see above. With one of them, the other is 0.
        max_gap: frames from one label to the next of a run. Defaults to 4, the distance of
            labels in PoseTrack18's validation videos.
        check_frames: whether a sequence needs its image files. Defaults to True.
        kwargs: see :class:`ClipDataset`.
    """

    def __init__(
        self,
        data_root: str,
        frames_before: int | None = None,
        frames_after: int | None = None,
        max_gap: int = 4,
        check_frames: bool = True,
        **kwargs: Any,
    ) -> None:
        self.keyed = frames_before is not None or frames_after is not None
        self.frames_before, self.frames_after = frames_before or 0, frames_after or 0
        self.max_gap = max_gap
        self.check_frames = check_frames
        for field, least in (('frames_before', 0), ('frames_after', 0), ('max_gap', 1)):
            value = getattr(self, field)
            if not isinstance(value, int) or value < least:
                raise SettingError(f'{field} must be an integer of at least {least}, got {value!r}')
        if self.keyed:
            length, start = kwargs.get('clip_len', 5), kwargs.get('start', 'random')
            if length != self.frames_before + 1 + self.frames_after:
                raise SettingError(
                    f'clip_len must be frames_before + 1 + frames_after = '
                    f'{self.frames_before + 1 + self.frames_after}, got {length}'
                )
            if start != 'fixed':
                raise SettingError(
                    f"with frames_before or frames_after, start must be 'fixed', got {start!r}"
                )
        self._left_out: Counter[str] = Counter()
        super().__init__(data_root=data_root, **kwargs)

    @abstractmethod
    def load_tracks(self) -> Iterator[Track]:
        """Every track, once; what is bad is handed to :meth:`reject`."""

    def leave_out(self, what: str) -> None:
        """Count an annotation that says nothing, e.g. a person without joints; it is logged."""
        self._left_out[what] += 1

    @classmethod
    def _load_metainfo(cls, metainfo: dict | None = None) -> dict:
        # CocoMetric writes the categories into the ground truth that it makes of the samples.
        person = dict(id=1, name='person', supercategory='person')
        return {**super()._load_metainfo(metainfo), 'CLASSES': [person]}

    def load_data_list(self) -> list[dict]:
        """One dict(sequence, start) per clip; in keyed clips, start is the labelled frame."""
        self._left_out.clear()
        self._ids_of: dict[str, np.ndarray] = {}
        items = super().load_data_list()
        # (all frames, 2): annotation and image, -1 where the person is not annotated.
        self._ids = np.concatenate(
            [self._ids_of[self.sequences[i].name] for i in range(len(self.sequences))]
        )
        del self._ids_of
        for what, count in self._left_out.items():
            print_log(
                f'{type(self).__name__}: left out {count} {what}',
                logger='current',
                level=logging.WARNING,
            )
        if not self.keyed:
            return items
        return [
            dict(sequence=i, start=int(key))
            for i in range(len(self.sequences))
            for key in np.flatnonzero(self._annotations(i)[:, 0] >= 0)
        ]

    def load_sequences(self) -> Iterator[PoseSequence]:
        folders: dict[str, set[str]] = {}
        mended = 0
        for track in self.load_tracks():
            for run in self._runs(sorted(track.labels)):
                sequence, ids, replaced = self._to_sequence(track, run)
                missing = _missing_file(sequence.reader, folders) if self.check_frames else None
                if missing is not None:
                    self.reject(BadSequenceError(f'{sequence.name}: {missing} does not exist'))
                    continue
                mended += replaced
                self._ids_of[sequence.name] = ids
                yield sequence
        if mended:
            print_log(
                f'{type(self).__name__}: {mended} annotations have no box with an area; that '
                'of their joints is used',
                logger='current',
                level=logging.WARNING,
            )

    def _runs(self, frames: list[int]) -> list[list[int]]:
        """Labelled frames of a track, cut at wide gaps, unless each makes a clip of its own."""
        cuts = (
            []
            if self.keyed
            else [i for i in range(1, len(frames)) if frames[i] - frames[i - 1] > self.max_gap]
        )
        return [frames[a:b] for a, b in zip([0, *cuts], [*cuts, len(frames)])]

    def _extent(self, run: list[int], num_frames: int) -> tuple[int, int]:
        """First and last frame of the video that the clips of a run may show."""
        first, last = run[0], run[-1]
        if self.keyed:
            first -= self.frames_before * self.frame_stride
            last += self.frames_after * self.frame_stride
        elif self.start == 'random' and last - first + 1 < self.span:
            first = max(last - self.span + 1, 0)
            last = first + self.span - 1
        return max(first, 0), min(last, num_frames - 1)

    def _to_sequence(self, track: Track, run: list[int]) -> tuple[PoseSequence, np.ndarray, int]:
        """The sequence of a run, (N, 2) ids of its frames, and how many boxes were replaced."""
        first, last = self._extent(run, track.num_frames)
        labels = [track.labels[frame] for frame in run]
        at = np.asarray(run) - first
        keypoints, labelled, occluded = (
            np.stack([getattr(label, field) for label in labels])
            for field in ('keypoints', 'labelled', 'occluded')
        )
        boxes, replaced = fill_boxes(
            np.stack([label.box for label in labels]).astype(float),
            joints_boxes(keypoints, labelled, track.image_size),
        )
        frames = np.arange(last - first + 1)
        between = np.stack([np.interp(frames, at, side) for side in boxes.T], axis=1)

        def spread(values: np.ndarray, otherwise: float) -> np.ndarray:
            every = np.full((len(frames), *values.shape[1:]), otherwise, values.dtype)
            every[at] = values
            return every

        reader = (
            ImageReader(track.reader.paths[first : last + 1])
            if isinstance(track.reader, ImageReader)
            else VideoPart(track.reader, first)
        )
        ids = np.array([(label.annotation_id, label.image_id) for label in labels], np.int64)
        sequence = PoseSequence(
            f'{track.name}@{run[0]:06d}',
            reader,
            spread(keypoints, 0),
            spread(labelled, False),
            spread(occluded, False),
            between.astype(np.float32),
            track.image_size,
        )
        return sequence, spread(ids, -1), replaced

    def _annotations(self, number: int) -> np.ndarray:
        first = self.sequences.first_frame(number)
        return self._ids[first : first + int(self.sequences.lengths()[number])]

    def clip_frames(self, number: int, start: int) -> tuple[np.ndarray, np.ndarray]:
        annotated = self._annotations(number)[:, 0] >= 0
        if not self.keyed:
            frames, padded = super().clip_frames(number, start)
            return frames, padded | (self.test_mode & ~annotated[frames])
        wanted = start + np.arange(-self.frames_before, self.frames_after + 1) * self.frame_stride
        frames = np.clip(wanted, 0, len(annotated) - 1)
        return frames, (frames != wanted) | (self.test_mode & (wanted != start))

    def get_data_info(self, idx: int) -> dict:
        """As :class:`ClipDataset`'s, with the annotation of each frame that has one."""
        info = super().get_data_info(idx)
        ids, reader = self._annotations(self.sequences.index(info['video'])), info['reader']
        for frame in info['frames']:
            annotation_id, image_id = ids[frame['frame_index']].tolist()
            if isinstance(reader, VideoPart):
                frame['img_path'] = f'{reader.path}#{reader.first + frame["frame_index"]}'
            if annotation_id >= 0 and not frame['padded']:
                frame.update(id=annotation_id, img_id=image_id)
                if self.test_mode:
                    frame['raw_ann_info'] = _coco_annotation(frame)
        return info


def _coco_annotation(frame: dict) -> dict:
    x1, y1, x2, y2 = frame['bbox'][0].tolist()
    state = frame['keypoints_visible'][0] * (2 - frame['keypoints_occluded'][0])
    keypoints = np.concatenate([frame['keypoints'][0], state[:, None]], axis=1)
    return dict(
        id=frame['id'],
        image_id=frame['img_id'],
        category_id=1,
        iscrowd=0,
        bbox=[x1, y1, x2 - x1, y2 - y1],
        keypoints=keypoints.ravel().tolist(),
        num_keypoints=int((state > 0).sum()),
    )


def _missing_file(reader: FrameReader, folders: dict[str, set[str]]) -> str | None:
    """The first image file that is not there; each folder is listed once."""
    for path in reader.paths if isinstance(reader, ImageReader) else ():
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder] = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        if name not in folders[folder]:
            return path
    return None
