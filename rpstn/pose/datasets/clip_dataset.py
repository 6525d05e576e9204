"""Clips of consecutive frames out of annotated sequences, one person per sequence.

T frames of a clip, K joints.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy

import numpy as np
from mmengine.dataset import BaseDataset, force_full_init
from mmengine.logging import print_log
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import TRANSFORMS

from rpstn.errors import SettingError
from rpstn.video.readers import ImageReader, UnreadableFrameError

from .sequence import BadSequenceError, PackedSequences, PoseSequence

# What MMPose's own data sets add to every image's results.
_SHARED_METAINFO = (
    'dataset_name',
    'upper_body_ids',
    'lower_body_ids',
    'flip_pairs',
    'dataset_keypoint_weights',
    'flip_indices',
    'skeleton_links',
)
_REPORTED = 20
_CHUNK = 64  # frames in memory at once


class ClipDataset(BaseDataset):
    """Base of the data sets that give clips of T frames; subclasses yield the sequences.

    With ``start='random'`` there is one item per sequence, and its first frame is drawn with
    ``np.random`` at each access. With ``start='fixed'`` the items are consecutive windows that
    show every frame exactly once; the last window of a sequence is padded by repeating its last
    frame, and frames so added are marked ``padded`` and count neither for the loss nor for the
    metric. With a stride s, frames 0, s, 2s, ... make one series of windows, frames 1, 1 + s,
    ... the next.

    An item is ``dict(video, reader, image_size, frames=[T dicts])``; a frame's dict holds what
    MMPose's top-down data sets give for an image (``bbox`` (1, 4), ``keypoints`` (1, K, 2),
    ``keypoints_visible`` (1, K), 1 where labelled, ...), and ``keypoints_occluded`` (1, K),
    ``video``, ``frame_index`` and ``padded``.

    Args:
        data_root: folder of the data.
        metainfo: as MMPose's data sets take it; the class's own by default.
        clip_len: T.
        frame_stride: distance between the frames of a clip.
        start: ``'random'`` or ``'fixed'``.
        bad_data: ``'skip'`` leaves out what cannot be used, and says so; ``'raise'`` stops
            at it. Frames that cannot be read while testing (``test_mode``) always stop it.
        pipeline: transforms; :class:`LoadClip` comes first.
        test_mode: no other clip is drawn in place of an unreadable one.
        indices: use only these items.
        max_refetch: other clips tried in place of an unreadable one.
        lazy_init: leave loading to ``full_init``.
        serialize_data: as in MMEngine.

    Raises:
        BadSequenceError: nothing usable is found; or any sequence is bad, with ``'raise'``.
    """

    METAINFO: dict = {}

    def __init__(
        self,
        data_root: str | None = '',
        metainfo: dict | None = None,
        clip_len: int = 5,
        frame_stride: int = 1,
        start: str = 'random',
        bad_data: str = 'skip',
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        indices: int | Sequence[int] | None = None,
        max_refetch: int = 100,
        lazy_init: bool = False,
        serialize_data: bool = True,
    ) -> None:
        for field, value in (('clip_len', clip_len), ('frame_stride', frame_stride)):
            if not isinstance(value, int) or value < 1:
                raise SettingError(f'{field} must be an integer of at least 1, got {value!r}')
        _choose('start', start, ('random', 'fixed'))
        _choose('bad_data', bad_data, ('skip', 'raise'))
        self.clip_len = clip_len
        self.frame_stride = frame_stride
        self.start = start
        self.bad_data = bad_data
        self.bad_sequences: list[str] = []
        self._unreadable: set[str] = set()
        # MMEngine's Compose looks in the root registry, unless a default scope is set.
        transforms = [t if callable(t) else TRANSFORMS.build(t) for t in pipeline]
        super().__init__(
            data_root=data_root,
            data_prefix={},
            metainfo=metainfo,
            pipeline=transforms,
            test_mode=test_mode,
            indices=indices,
            max_refetch=max_refetch,
            lazy_init=lazy_init,
            serialize_data=serialize_data,
        )

    @abstractmethod
    def load_sequences(self) -> Iterator[PoseSequence]:
        """Every sequence of the data set, once; a bad one is handed to :meth:`reject`."""

    def reject(self, error: BadSequenceError) -> None:
        """Note a sequence that cannot be used, or stop, as ``bad_data`` says."""
        if self.bad_data == 'raise':
            raise error
        self.bad_sequences.append(str(error))

    @property
    def span(self) -> int:
        """Frames from the first to the last of a clip, both included."""
        return (self.clip_len - 1) * self.frame_stride + 1

    @classmethod
    def _load_metainfo(cls, metainfo: dict | None = None) -> dict:
        metainfo = deepcopy(cls.METAINFO) if metainfo is None else metainfo
        return parse_pose_metainfo(metainfo) if metainfo else {}

    def load_data_list(self) -> list[dict]:
        """One dict(sequence, start) per item; the sequences themselves are kept packed."""
        self.bad_sequences = []
        self.sequences = PackedSequences(self._usable_sequences())
        self._report_bad_sequences()
        if self.start == 'random':
            return [dict(sequence=i, start=-1) for i in range(len(self.sequences))]
        return [
            dict(sequence=i, start=start)
            for i, length in enumerate(self.sequences.lengths())
            for start in _window_starts(int(length), self.clip_len, self.frame_stride)
        ]

    def _usable_sequences(self) -> Iterator[PoseSequence]:
        for sequence in self.load_sequences():
            try:
                sequence.check()
                if self.start == 'random' and len(sequence) < self.span:
                    raise BadSequenceError(
                        f'{sequence.name} ({sequence.reader.path}): a clip needs {self.span} '
                        f'frames (clip_len {self.clip_len}, frame_stride {self.frame_stride}), '
                        f'got {len(sequence)}'
                    )
            except BadSequenceError as error:
                self.reject(error)
            else:
                yield sequence

    def _report_bad_sequences(self) -> None:
        bad, name = self.bad_sequences, type(self).__name__
        if not len(self.sequences):
            raise BadSequenceError(
                f'{name}: no usable sequence in {self.data_root!r}; '
                + (f'all {len(bad)} are bad, the first: {bad[0]}' if bad else 'there are none')
            )
        if not bad:
            return
        lines = [f'  {line}' for line in bad[:_REPORTED]]
        if len(bad) > _REPORTED:
            lines.append(f'  ... and {len(bad) - _REPORTED} more (dataset.bad_sequences)')
        total = len(bad) + len(self.sequences)
        print_log(
            f'{name}: skipped {len(bad)} of {total} sequences:\n' + '\n'.join(lines),
            logger='current',
            level=logging.WARNING,
        )

    def get_data_info(self, idx: int) -> dict:
        """The item before the pipeline, its images still unread; see the class."""
        info = super().get_data_info(idx)
        number, start = info['sequence'], info['start']
        sequence = self.sequences[number]
        if start < 0:
            start = int(np.random.randint(len(sequence) - self.span + 1))
        shared = shared_metainfo(self._metainfo)
        first = self.sequences.first_frame(number)
        frames = [
            self._frame(sequence, int(index), bool(pads), first, shared)
            for index, pads in zip(*self.clip_frames(number, start), strict=True)
        ]
        return dict(
            video=sequence.name,
            reader=sequence.reader,
            image_size=sequence.image_size,
            action=sequence.action,
            frames=frames,
            sample_idx=info['sample_idx'],
        )

    def clip_frames(self, number: int, start: int) -> tuple[np.ndarray, np.ndarray]:
        """Where a clip's frames lie in its sequence, (T,), and which of them only pad it, (T,)."""
        wanted = start + np.arange(self.clip_len) * self.frame_stride
        length = int(self.sequences.lengths()[number])
        last = _last_in_series(start, length, self.frame_stride)
        return np.minimum(wanted, last), wanted > last

    @staticmethod
    def _frame(sequence: PoseSequence, index: int, padded: bool, first: int, shared: dict) -> dict:
        reader = sequence.reader
        labelled, occluded = (
            flags[index] & (not padded) for flags in (sequence.labelled, sequence.occluded)
        )
        path = reader.paths[index] if isinstance(reader, ImageReader) else f'{reader.path}#{index}'
        return dict(
            frame_info(
                first + index,
                path,
                sequence.name,
                index,
                padded,
                sequence.boxes[index],
                np.nan_to_num(sequence.keypoints[index], posinf=0, neginf=0),
                labelled,
                occluded,
            ),
            **shared,
        )

    @force_full_init
    def prepare_data(self, idx: int) -> dict | None:
        """The item after the pipeline; None, so that another is drawn, if it cannot be read."""
        info = self.get_data_info(idx)
        clip = f'{info["video"]} ({info["reader"].path}), frame {info["frames"][0]["frame_index"]}'
        try:
            return self.pipeline(info)
        except UnreadableFrameError as error:
            if self.test_mode or self.bad_data == 'raise':
                raise
            # Once per file and worker: the first message says all there is to know.
            file = str(error).split(': ')[0]
            if file not in self._unreadable:
                self._unreadable.add(file)
                print_log(
                    f'{type(self).__name__}: {error}; another clip is drawn in its place',
                    logger='current',
                    level=logging.WARNING,
                )
            return None
        except Exception as error:
            # In a worker, whose traceback shows no data, nothing else would tell the clip.
            raise RuntimeError(f'{clip}: {type(error).__name__}: {error}') from error

    @force_full_init
    def read_frame(self, name: str, frame_index: int) -> np.ndarray:
        """The image (H, W, 3), BGR uint8, of one frame of the sequence called ``name``."""
        return self.sequences[self.sequences.index(name)].reader.read([frame_index])[0]

    @force_full_init
    def read_frames(self, name: str, frame_indices: Sequence[int]) -> Iterator[np.ndarray]:
        """The images of many frames of one sequence, read by the dozen.

        So a video is not decoded anew for each, and a long one does not fill the memory.
        """
        reader = self.sequences[self.sequences.index(name)].reader
        for start in range(0, len(frame_indices), _CHUNK):
            yield from reader.read(frame_indices[start : start + _CHUNK])


def shared_metainfo(metainfo: dict) -> dict:
    """What MMPose's transforms need to find in every frame's dict, out of a data set's metainfo."""
    return {key: metainfo[key] for key in _SHARED_METAINFO if key in metainfo}


def frame_info(
    number: int,
    path: str,
    video: str,
    index: int,
    padded: bool,
    box: np.ndarray,
    keypoints: np.ndarray,
    labelled: np.ndarray,
    occluded: np.ndarray,
) -> dict:
    """The dict of a frame that the pipeline is given, but for :func:`shared_metainfo`.

    ``number`` is unique in the data set, ``path`` that of the image, or of the video with
    ``#index``; box (4,), keypoints (K, 2), labelled and occluded (K,) as in PoseSequence.
    """
    return dict(
        id=number,
        img_id=number,
        img_path=path,
        video=video,
        frame_index=index,
        padded=bool(padded),
        category_id=1,
        bbox=box[None].astype(np.float32),
        bbox_score=np.ones(1, np.float32),
        keypoints=keypoints[None].astype(np.float32),
        keypoints_visible=labelled[None].astype(np.float32),
        keypoints_occluded=occluded[None].astype(np.float32),
    )


def _choose(field: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SettingError(f'{field} must be one of {allowed}, got {value!r}')


def _last_in_series(start: int, length: int, stride: int) -> int:
    """The last frame that is a multiple of ``stride`` after ``start``."""
    return start + (length - 1 - start) // stride * stride


def _window_starts(length: int, clip_len: int, stride: int) -> list[int]:
    """First frames of the windows that together show each of ``length`` frames exactly once."""
    return [
        start
        for offset in range(min(stride, length))
        for start in range(offset, length, clip_len * stride)
    ]
