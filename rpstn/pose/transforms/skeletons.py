"""Clips of one skeleton as clips of another, so that data sets can be trained on together.

K joints of the source, K' of the target.
"""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import TRANSFORMS

from rpstn.errors import SettingError
from rpstn.skeletons import get_skeleton, joint_mapping, map_joints

from ..datasets.clip_dataset import shared_metainfo
from ..datasets.metainfo import METAINFO


@TRANSFORMS.register_module()
class MapClipJoints(BaseTransform):
    """Give every frame the joints of another data set, by :mod:`rpstn.skeletons`.

    MMPose's ``KeypointConverter`` copies joints; this one also makes those that are means of
    others (neck, belly). A joint that the source has not is unlabelled, one made of others is
    labelled where all its parts are, and occluded where one of them is.

    Args:
        source: skeleton of the data set, e.g. ``'penn13'``.
        target: ``'jhmdb15'``, ``'penn13'`` or ``'blazepose33'``.

    Raises:
        SettingError: an unknown skeleton.
    """

    def __init__(self, source: str, target: str) -> None:
        if target not in METAINFO:
            raise SettingError(
                f'MapClipJoints: target must be one of {sorted(METAINFO)}, got {target!r}'
            )
        self.source, self.target = get_skeleton(source).name, target
        self.members = joint_mapping(source, target)
        self.shared = shared_metainfo(parse_pose_metainfo(METAINFO[target]))

    def transform(self, results: dict) -> dict:
        for frame in results['frames']:
            keypoints = map_joints(frame['keypoints'], self.source, self.target)
            labelled, occluded = (
                np.stack(
                    [
                        reduce(flags[:, list(indices)], axis=1) if indices else np.zeros(len(flags))
                        for indices in self.members
                    ],
                    axis=1,
                ).astype(np.float32)
                for flags, reduce in (
                    (frame['keypoints_visible'], np.min),
                    (frame['keypoints_occluded'], np.max),
                )
            )
            frame.update(
                keypoints=np.nan_to_num(keypoints).astype(np.float32),
                keypoints_visible=labelled,
                keypoints_occluded=occluded * labelled,
                **self.shared,
            )
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(source={self.source!r}, target={self.target!r})'
