"""Reading the images of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from rpstn.video.readers import ImageReader, UnreadableFrameError

from ..datasets.clip_dataset import frame_info, shared_metainfo


@TRANSFORMS.register_module()
class LoadClip(BaseTransform):
    """Read all frames of a clip in one go through ``results['reader']``.

    Every frame gets ``img`` (H, W, 3) BGR uint8, ``img_shape`` and ``ori_shape`` (H, W).

    A single image as MMPose's inferencers hand it over, ``img_path``, perhaps ``img``, ``bbox``
    (1, 4), and the data set's metainfo, is taken as a clip of one frame.

    Raises:
        UnreadableFrameError: naming the file and the frame, which cannot be read, or has another
            size than the annotation states (``results['image_size']``, not checked where it is
            None): its joints would lie elsewhere. The data set draws another clip in its place,
            or stops, as its ``bad_data`` says.
    """

    def transform(self, results: dict) -> dict:
        if 'frames' not in results:
            results = _single_image(results)
        frames = results['frames']
        images = results['reader'].read([frame['frame_index'] for frame in frames])
        stated = results.get('image_size')
        for frame, image in zip(frames, images, strict=True):
            size = image.shape[1::-1]
            if stated is not None and size != tuple(stated):
                raise UnreadableFrameError(
                    f'{results["reader"].path}: frame {frame["frame_index"]} '
                    f'({Path(frame["img_path"]).name}) has {size[0]}x{size[1]} pixels, the '
                    f'annotation states {stated[0]}x{stated[1]}; its joints would not fit'
                )
            frame['img'] = image
            frame['img_shape'] = frame['ori_shape'] = image.shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


class _ImageInMemory:
    """One image that was read already, as a :class:`FrameReader`."""

    def __init__(self, path: str, image: np.ndarray) -> None:
        self.path = path
        self.image = image

    def read(self, indices: Sequence[int]) -> list[np.ndarray]:
        return [self.image.copy() for _ in indices]


def _single_image(results: dict) -> dict:
    """An image and its box as a clip of one frame, whose joints are not known."""
    path, image = results['img_path'], results.get('img')
    reader = ImageReader((path,)) if image is None else _ImageInMemory(path, image)
    count = len(results['keypoint_id2name'])
    flags = np.zeros(count, bool)
    frame = frame_info(
        0, path, path, 0, False, np.asarray(results['bbox'])[0], np.zeros((count, 2)), flags, flags
    )
    frame['bbox_score'] = np.asarray(results['bbox_score'], np.float32)
    return dict(
        video=path, reader=reader, image_size=None, frames=[{**shared_metainfo(results), **frame}]
    )
