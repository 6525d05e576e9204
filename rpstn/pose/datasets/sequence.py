"""One person's annotated frames, and many of them packed for the workers of a data loader.

N frames of a sequence, K joints.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rpstn.data.points import too_far
from rpstn.errors import BadSequenceError
from rpstn.limits import FARTHEST, PIXELS, LimitError
from rpstn.video.readers import FrameReader


@dataclass(frozen=True)
class PoseSequence:
    """Joints and boxes of one person in the frames of one video.

    Args:
        name: unique in its data set, e.g. ``'0001'`` or ``'jump/clip'``.
        reader: where the images come from.
        keypoints: (N, K, 2) float32, 0-based pixels (x, y).
        labelled: (N, K) bool, the joint has a label inside the frame: it counts for
            the loss and the metric.
        occluded: (N, K) bool, labelled, but hidden in the image.
        boxes: (N, 4) float32, x1 y1 x2 y2 in 0-based pixels.
        image_size: (width, height); None if the data set does not
            say. Images of another size are refused when they are read.
        action: class of the action, or ''.
    """

    name: str
    reader: FrameReader
    keypoints: np.ndarray
    labelled: np.ndarray
    occluded: np.ndarray
    boxes: np.ndarray
    image_size: tuple[int, int] | None
    action: str = ''

    def __len__(self) -> int:
        return len(self.keypoints)

    def check(self) -> None:
        """Refuse what no pipeline could use.

        Raises:
            BadSequenceError: wrong shapes, no frames, NaN or infinite labelled joints or boxes,
                boxes without area, an image without area.
        """
        shape = np.shape(self.keypoints)
        if len(shape) != 3 or shape[2] != 2:
            self._refuse('keypoints', 'must be (N, K, 2)', f'shape {shape}')
        if shape[0] == 0:
            self._refuse('keypoints', 'must hold at least one frame', '0 frames')
        for field, expected in (
            ('labelled', shape[:2]),
            ('occluded', shape[:2]),
            ('boxes', (shape[0], 4)),
        ):
            found = np.shape(getattr(self, field))
            if found != expected:
                self._refuse(field, f'must be {expected}', f'shape {found}')
        if self.image_size is not None and min(self.image_size) <= 0:
            self._refuse('image_size', 'must be positive', f'{self.image_size}')
        if self.image_size is not None:
            try:
                PIXELS.check(math.prod(self.image_size), 'x'.join(map(str, self.image_size)))
            except LimitError as error:
                self._refuse('image_size', 'must be smaller', str(error))
        broken = self.labelled & ~np.isfinite(self.keypoints).all(axis=2)
        if broken.any():
            frame, joint = np.argwhere(broken)[0]
            self._refuse(
                'keypoints',
                'must be finite where labelled',
                f'{self.keypoints[frame, joint].tolist()} for joint {joint} of frame '
                f'{frame} ({broken.sum()} such joints)',
            )
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        far = too_far(self.boxes).any(axis=1)
        if far.any():
            frame = int(np.flatnonzero(far)[0])
            self._refuse(
                'boxes',
                f'must lie within {FARTHEST:,.0f} of the origin',
                f'{self.boxes[frame].tolist()} in frame {frame} ({far.sum()} such boxes)',
            )
        flat = ~(np.isfinite(self.boxes).all(axis=1) & (sides > 0).all(axis=1))
        if flat.any():
            frame = int(np.flatnonzero(flat)[0])
            self._refuse(
                'boxes',
                'must be finite with x1 < x2 and y1 < y2',
                f'{self.boxes[frame].tolist()} in frame {frame} ({flat.sum()} such boxes)',
            )

    def _refuse(self, field: str, allowed: str, found: str) -> None:
        raise BadSequenceError(f'{self.name} ({self.reader.path}): {field} {allowed}, got {found}')


class PackedSequences:
    """Sequences in a few big arrays, each unpacked as views when it is asked for.

    A list of thousands of Python objects would be copied into every forked worker by reference
    counting alone (MMEngine's ``serialize_data`` has the same reason).

    Args:
        sequences: all with the same number of joints.
    """

    def __init__(self, sequences: Iterable[PoseSequence]) -> None:
        sequences = list(sequences)
        heads = [
            pickle.dumps(
                (s.name, s.reader, s.image_size and tuple(map(int, s.image_size)), s.action),
                protocol=4,
            )
            for s in sequences
        ]
        self._heads = np.frombuffer(b''.join(heads), np.uint8)
        self._head_ends = np.cumsum([0, *map(len, heads)])
        self._ends = np.cumsum([0, *map(len, sequences)])
        self._keypoints = _join([s.keypoints for s in sequences], np.float32)
        self._labelled = _join([s.labelled for s in sequences], bool)
        self._occluded = _join([s.occluded for s in sequences], bool)
        self._boxes = _join([s.boxes for s in sequences], np.float32)
        self._index = {s.name: i for i, s in enumerate(sequences)}
        if len(self._index) != len(sequences):
            names = [s.name for s in sequences]
            twice = next(n for n in names if names.count(n) > 1)
            raise BadSequenceError(f'{twice}: two sequences have this name; names must be unique')

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> PoseSequence:
        index = range(len(self))[index]
        # Pickled by this very object, never read from a file.
        name, reader, image_size, action = pickle.loads(
            self._heads[self._head_ends[index] : self._head_ends[index + 1]].data
        )
        part = slice(self._ends[index], self._ends[index + 1])
        return PoseSequence(
            name,
            reader,
            self._keypoints[part],
            self._labelled[part],
            self._occluded[part],
            self._boxes[part],
            image_size,
            action,
        )

    def first_frame(self, index: int) -> int:
        """The number of frames in all sequences before this one."""
        return int(self._ends[index])

    def index(self, name: str) -> int:
        """The position of the sequence called ``name``; KeyError if there is none."""
        return self._index[name]

    def lengths(self) -> np.ndarray:
        """(number of sequences,) frames of each."""
        return np.diff(self._ends)


def _join(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.asarray(p, dtype) for p in parts]) if parts else np.empty(0, dtype)
