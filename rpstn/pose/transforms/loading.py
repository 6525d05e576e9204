"""Reading the images of a clip."""
from __future__ import annotations

from pathlib import Path

from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from ..datasets.readers import UnreadableFrameError


@TRANSFORMS.register_module()
class LoadClip(BaseTransform):
    """Read all frames of a clip in one go through ``results['reader']``.

    Every frame gets ``img`` (H, W, 3) BGR uint8, ``img_shape`` and ``ori_shape`` (H, W).

    Raises:
        UnreadableFrameError: naming the file and the frame, which cannot be read, or has another
            size than the annotation states (``results['image_size']``, not checked where it is
            None): its joints would lie elsewhere. The data set draws another clip in its place,
            or stops, as its ``bad_data`` says.
    """

    def transform(self, results: dict) -> dict:
        frames = results['frames']
        images = results['reader'].read([frame['frame_index'] for frame in frames])
        stated = results.get('image_size')
        for frame, image in zip(frames, images, strict=True):
            size = image.shape[1::-1]
            if stated is not None and size != tuple(stated):
                raise UnreadableFrameError(
                    f'{results["reader"].path}: frame {frame["frame_index"]} '
                    f'({Path(frame["img_path"]).name}) has {size[0]}x{size[1]} pixels, the '
                    f'annotation states {stated[0]}x{stated[1]}; its joints would not fit')
            frame['img'] = image
            frame['img_shape'] = frame['ori_shape'] = image.shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
