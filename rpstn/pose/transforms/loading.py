"""Reading the images of a clip."""
from __future__ import annotations

import logging

from mmcv.transforms import BaseTransform
from mmengine.logging import print_log
from mmpose.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadClip(BaseTransform):
    """Read all frames of a clip in one go through ``results['reader']``.

    Every frame gets ``img`` (H, W, 3) BGR uint8, ``img_shape`` and ``ori_shape`` (H, W). Images
    of another size than the annotation states are used, with a warning for each video: their
    joints may not fit.

    Raises:
        UnreadableFrameError: naming the file and the frame. The data set draws another clip in
            its place, or stops, as its ``bad_data`` says.
    """

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def transform(self, results: dict) -> dict:
        frames = results['frames']
        images = results['reader'].read([frame['frame_index'] for frame in frames])
        for frame, image in zip(frames, images, strict=True):
            frame['img'] = image
            frame['img_shape'] = frame['ori_shape'] = image.shape[:2]
        self._check_size(results, images[0].shape[:2])
        return results

    def _check_size(self, results: dict, shape: tuple[int, int]) -> None:
        stated = tuple(results.get('image_size', shape[::-1]))
        if stated != tuple(shape[::-1]) and results['video'] not in self._warned:
            self._warned.add(results['video'])
            print_log(f'{results["reader"].path}: images are {shape[1]}x{shape[0]}, the annotation '
                      f'states {stated[0]}x{stated[1]}; joints may not fit', logger='current',
                      level=logging.WARNING)

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
