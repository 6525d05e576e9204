"""From the results of a clip to tensors and data samples."""

from __future__ import annotations

import torch
from mmcv.transforms import BaseTransform
from mmpose.datasets.transforms import PackPoseInputs
from mmpose.registry import TRANSFORMS

from rpstn.errors import SettingError

from ..structures import ClipDataSample

_META_KEYS = (
    'id',
    'img_id',
    'img_path',
    'video',
    'frame_index',
    'padded',
    'category_id',
    'ori_shape',
    'img_shape',
    'input_size',
    'input_center',
    'input_scale',
    'bbox_rotation',
    'flip',
    'flip_direction',
    'flip_indices',
    'dataset_name',
    'raw_ann_info',
)


@TRANSFORMS.register_module()
class PackClipInputs(BaseTransform):
    """Pack a clip: ``inputs`` uint8 (T, 3, H, W) and ``data_samples``, a :class:`ClipDataSample`.

    Each frame is packed by MMPose's :class:`PackPoseInputs`; its metainfo also tells ``video``,
    ``frame_index`` and ``padded``, and its ``gt_instances`` hold ``keypoints_occluded`` (1, K).

    Args:
        meta_keys: keys of a frame that become metainfo.
        pack_transformed: keep the joints in input pixels, for drawing.
    """

    def __init__(
        self, meta_keys: tuple[str, ...] = _META_KEYS, pack_transformed: bool = False
    ) -> None:
        self.pack_frame = PackPoseInputs(meta_keys=meta_keys, pack_transformed=pack_transformed)

    def transform(self, results: dict) -> dict:
        inputs, samples = [], []
        for frame in results['frames']:
            packed = self.pack_frame(frame)
            sample = packed['data_samples']
            if 'keypoints_occluded' in frame:
                sample.gt_instances.set_field(frame['keypoints_occluded'], 'keypoints_occluded')
            inputs.append(packed['inputs'])
            samples.append(sample)
        shapes = {tuple(image.shape) for image in inputs}
        if len(shapes) > 1:
            raise SettingError(
                f'{results["video"]}: the frames of a clip must have one size, got '
                f'{sorted(shapes)}; crop them, e.g. with TopdownAffine'
            )
        return dict(
            inputs=torch.stack(inputs),
            data_samples=ClipDataSample(samples, metainfo=dict(video=results['video'])),
        )

    def __repr__(self) -> str:
        return f'{type(self).__name__}(pack_frame={self.pack_frame})'
