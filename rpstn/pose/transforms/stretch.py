"""Cutting a box out with its sides stretched to the input's, as the authors' released code does."""

from __future__ import annotations

import numpy as np
from mmpose.datasets.transforms import TopdownAffine
from mmpose.registry import TRANSFORMS

from ..crops import Crop


@TRANSFORMS.register_module()
class TopdownStretch(TopdownAffine):
    """MMPose's :class:`TopdownAffine` without keeping the aspect: the box fills the input exactly.

    A rotation turns the box in the image, before it is stretched. Prediction maps joints back by
    the box's centre and both its sides, so nothing else needs to know.

    Args:
        input_size: (W, H) pixels.
    """

    def __init__(self, input_size: tuple[int, int]) -> None:
        super().__init__(tuple(input_size))

    def transform(self, results: dict) -> dict:
        """Warp ``img``, and ``keypoints`` into ``transformed_keypoints``, as TopdownAffine does."""
        center, scale = results['bbox_center'][0], results['bbox_scale'][0]
        rotation = results['bbox_rotation'][0] if 'bbox_rotation' in results else 0.0
        crop = Crop(center, scale, self.input_size, rotation, keep_aspect=False)
        results['img'] = crop.cut(results['img'])
        keypoints = np.array(results['keypoints'], np.float32)
        keypoints[..., :2] = crop.to_input(keypoints[..., :2])
        results.update(
            transformed_keypoints=keypoints,
            input_size=self.input_size,
            input_center=center,
            input_scale=scale,
        )
        return results
