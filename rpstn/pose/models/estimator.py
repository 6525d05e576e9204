"""Pose estimators over clips, and of crops that are turned.

Shapes: B clips, T frames, K joints, (H, W) input pixels, (h, w) heatmap cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmpose.codecs import UDPHeatmap
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from mmpose.utils.typing import InstanceList, PixelDataList
from torch import Tensor

from rpstn.errors import SettingError

from ..crops import rotate_about
from ..structures import ClipDataSample
from .backbone import ClipBackbone
from .head import RPSTNHead


def frames_of(data_samples: Sequence[ClipDataSample]) -> list[PoseDataSample]:
    """The samples of all frames, clip after clip."""
    return [frame for clip in data_samples for frame in clip.frames]


@MODELS.register_module()
class TurnedPoseEstimator(TopdownPoseEstimator):
    """MMPose's top-down estimator for crops that may be turned, as :class:`ClipBody` turns them.

    MMPose's own turns images in training alone, and would leave the joints of a turned crop turned.
    """

    def add_pred_to_datasample(
        self,
        batch_pred_instances: InstanceList,
        batch_pred_fields: PixelDataList | None,
        batch_data_samples: Sequence[PoseDataSample],
    ) -> Sequence[PoseDataSample]:
        """As MMPose's, joints from the crop into the image, and turned where the crop was."""
        samples = super().add_pred_to_datasample(
            batch_pred_instances, batch_pred_fields, batch_data_samples
        )
        # MMPose's warp for unbiased data processing turns the other way round.
        sign = -1 if isinstance(self.head.decoder, UDPHeatmap) else 1
        for sample in samples:
            rotation = float(np.ravel(sample.metainfo.get('bbox_rotation', 0.0))[0])
            if rotation:
                keypoints = sample.pred_instances.keypoints
                keypoints[..., :2] = rotate_about(
                    keypoints[..., :2], sample.metainfo['input_center'], sign * rotation
                )
        return samples


@MODELS.register_module()
class VideoPoseEstimator(TurnedPoseEstimator):
    """The top-down estimator on clips (B, T, 3, H, W) in place of images.

    - ``mode='tensor'``: heatmaps (B, T, K, h, w) of a normalised clip.
    - ``mode='loss'``: MMPose's losses over all frames.
    - ``mode='predict'``: a flat list of the clips' :class:`PoseDataSample`, in temporal order,
      with ``pred_instances`` in image pixels. Padded frames are left out, so MMPose's metrics
      count every frame of a video once.

    Takes the arguments of :class:`TopdownPoseEstimator`; ``backbone`` is :class:`RPSTNBackbone`
    and ``head`` :class:`RPSTNHead`, or modules with their interface.

    Raises:
        SettingError: backbone, head and codec disagree on joints, channels or sizes.
    """

    backbone: ClipBackbone
    head: RPSTNHead

    def __init__(self, backbone: dict, head: dict, **kwargs: Any) -> None:
        super().__init__(backbone=backbone, head=head, **kwargs)
        for field in ('num_joints', 'channels'):
            ours, theirs = getattr(self.backbone, field), getattr(self.head, field)
            if ours != theirs:
                raise SettingError(
                    f'backbone has {field}={ours} and head {field}={theirs}: '
                    'give both the same number'
                )
        decoder = self.head.decoder
        if decoder is not None:
            width, height = self.backbone.input_size
            stride = self.backbone.heatmap_stride
            fits = dict(
                input_size=(width, height), heatmap_size=(width // stride, height // stride)
            )
            got = {name: tuple(int(n) for n in getattr(decoder, name)) for name in fits}
            if got != fits:
                raise SettingError(
                    f'with backbone.input_size={(width, height)} and heatmap_stride='
                    f'{stride} the codec needs {fits}, got {got}'
                )

    def _forward(
        self, inputs: Tensor, data_samples: Sequence[ClipDataSample] | None = None
    ) -> Tensor:
        return self.head.propagate(self.extract_feat(inputs))

    def loss(self, inputs: Tensor, data_samples: Sequence[ClipDataSample]) -> dict:
        """Losses of clips (B, T, 3, H, W) with B clip samples."""
        return super().loss(inputs, frames_of(data_samples))

    def predict(
        self, inputs: Tensor, data_samples: Sequence[ClipDataSample]
    ) -> list[PoseDataSample]:
        """Predictions of clips (B, T, 3, H, W) with B clip samples."""
        frames = super().predict(inputs, frames_of(data_samples))
        return [frame for frame in frames if not frame.metainfo.get('padded', False)]
