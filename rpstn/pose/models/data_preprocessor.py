"""Clips to network input."""

from __future__ import annotations

from typing import Any

import torch
from mmpose.models.data_preprocessors import PoseDataPreprocessor
from mmpose.registry import MODELS

from rpstn.errors import SettingError

from .estimator import frames_of


@MODELS.register_module()
class ClipDataPreprocessor(PoseDataPreprocessor):
    """MMPose's preprocessor (channel order, mean, std), on every frame of a batch of clips.

    Args:
        fold_frames: hand the frames out as one batch of images, (B*T, 3, H, W) with B*T
            :class:`PoseDataSample`, for MMPose's single-frame estimators; otherwise clips
            (B, T, 3, H, W) with B :class:`ClipDataSample`. Defaults to False.
        **kwargs: of :class:`PoseDataPreprocessor`.
    """

    def __init__(self, fold_frames: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fold_frames = fold_frames

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalise a collated batch: ``inputs`` B tensors (T, 3, H, W), ``data_samples`` B clips.

        Raises:
            SettingError: the clips of a batch differ in shape.
        """
        shapes = {tuple(clip.shape) for clip in data['inputs']}
        if len(shapes) > 1:
            raise SettingError(
                f'the clips of one batch must have one shape (T, 3, H, W), got {sorted(shapes)}'
            )
        clips = torch.stack(list(data['inputs']))
        samples = self.cast_data(data['data_samples'])
        folded = super().forward(
            dict(inputs=clips.flatten(0, 1), data_samples=frames_of(samples)), training
        )
        if self.fold_frames:
            return folded
        return dict(inputs=folded['inputs'].unflatten(0, clips.shape[:2]), data_samples=samples)
