"""From transforms of an image to transforms of a clip.

T frames of a clip, K joints.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from rpstn.errors import SettingError

from ..crops import padded_box


@TRANSFORMS.register_module()
class ClipBBox(BaseTransform):
    """Choose what each frame is cut out by; MMPose's ``GetBBoxCenterScale``, for clips.

    ``bbox`` itself stays as it is: the metric measures with the person's own box.

    Args:
        mode: ``'frame'``, the box of each frame, as it will be when a stream is followed;
            or ``'clip'``, for every frame the one box that holds those of the whole clip, which
            keeps the person's motion in the image.
        padding: factor on the box's sides. Defaults to 1.25.

    Added keys of each frame: ``bbox_center`` and ``bbox_scale`` (1, 2), pixels.
    """

    def __init__(self, mode: str = 'frame', padding: float = 1.25) -> None:
        if mode not in ('frame', 'clip'):
            raise SettingError(f"mode must be 'frame' or 'clip', got {mode!r}")
        self.mode = mode
        self.padding = padding

    def transform(self, results: dict) -> dict:
        boxes = np.stack([frame['bbox'] for frame in results['frames']])
        if self.mode == 'clip':
            union = np.concatenate([boxes[..., :2].min(axis=0), boxes[..., 2:].max(axis=0)], 1)
            boxes = np.broadcast_to(union, boxes.shape)
        for frame, box in zip(results['frames'], boxes, strict=True):
            frame['bbox_center'], frame['bbox_scale'] = padded_box(box, self.padding)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(mode={self.mode!r}, padding={self.padding})'


@TRANSFORMS.register_module()
class ForEachFrame(BaseTransform):
    """Apply MMPose's transforms of one image to every frame, with the same random numbers.

    Before each transform the states of ``np.random`` and ``random`` are kept, and set again for
    each frame, so that all frames of a clip get the same rotation, scale, flip and colours. They
    go on as the first frame left them. A transform whose decisions depend on the frame's content
    (:class:`RandomHalfBody`) may still decide differently for each frame.

    Where a transform flips a frame, ``keypoints_occluded`` is swapped along with the joints,
    which MMPose's :class:`RandomFlip` does not know of.

    Args:
        transforms: built from MMPose's registry.
    """

    def __init__(self, transforms: Sequence[dict | Callable]) -> None:
        self.transforms = [t if callable(t) else TRANSFORMS.build(t) for t in transforms]

    def transform(self, results: dict) -> dict | None:
        frames = results['frames']
        for transform in self.transforms:
            before = after = _random_state()
            drew = False
            for i, frame in enumerate(frames):
                if drew:
                    _set_random_state(before)
                frames[i] = _apply(transform, frame)
                if frames[i] is None:
                    return None
                if i == 0:
                    after = _random_state()
                    # Setting a state costs as much as a small transform; most draw nothing.
                    drew = not _same_state(before, after)
            if drew:
                _set_random_state(after)
        return results

    def __repr__(self) -> str:
        inner = ''.join(f'\n    {transform},' for transform in self.transforms)
        return f'{type(self).__name__}([{inner}\n])'


def _apply(transform: Callable, frame: dict) -> dict | None:
    """The transformed frame. ``flip`` is taken out meanwhile, to tell a new flip from an old."""
    earlier = {key: frame.pop(key) for key in ('flip', 'flip_direction') if key in frame}
    frame = transform(frame)
    if frame is None:
        return None
    if (
        frame.get('flip')
        and frame['flip_direction'] in ('horizontal', 'vertical')
        and 'keypoints_occluded' in frame
    ):
        frame['keypoints_occluded'] = frame['keypoints_occluded'].take(
            frame['flip_indices'], axis=1
        )
    return {**earlier, **frame}


def _random_state() -> tuple:
    return np.random.get_state(), random.getstate()


def _same_state(a: tuple, b: tuple) -> bool:
    # Python's state is a tuple of numbers; NumPy's holds an array at position 1.
    return a[1] == b[1] and a[0][2:] == b[0][2:] and np.array_equal(a[0][1], b[0][1])


def _set_random_state(state: tuple) -> None:
    np.random.set_state(state[0])
    random.setstate(state[1])
