"""UI-PRMD's optical capture through random cameras, to measure the lifter on.

Vakanski et al., "A Data Set of Human Body Movements for Physical Rehabilitation Exercises", Data
2018. Nothing is trained on it.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS
from mmpose.structures import PoseDataSample
from torch.utils.data import Dataset

from rpstn.data.paths import find_data
from rpstn.data.plug_in_gait import joint_centres
from rpstn.data.ui_prmd import read_ui_prmd
from rpstn.errors import SettingError

from ..evaluation.random_views import View, random_view

_TEST_PEOPLE, _TEST_MOVEMENT, _VALIDATION_PERSON = ('s06', 's07'), 'm05', 's05'
_STRIDE = 5  # of 50 Hz
SPLITS = ('val', 'test', 'rest')


def split_of(name: str) -> str:
    """``'test'``: people s06, s07, and sit to stand; ``'val'``: s05; ``'rest'``."""
    movement, person = name.split('_')[:2]
    if movement == _TEST_MOVEMENT or person in _TEST_PEOPLE:
        return 'test'
    return 'val' if person == _VALIDATION_PERSON else 'rest'


@DATASETS.register_module()
class CapturedViews(Dataset):
    """Each sequence through one or more cameras, at 10 frames a second.

    Frames in which a marker is missing are left out. The same cameras in every run.

    Args:
        data_root: folder of ``mMM.npz``, or its name below a data root.
        split: one of :data:`SPLITS`, see :func:`split_of`.
        cameras: of each sequence.
        noise: of joints in the image, standard deviation as a share of the trunk's length.

    Raises:
        FileNotFoundError: the folder is absent.
        SettingError: an unknown split.
    """

    def __init__(
        self,
        data_root: str = 'ui_prmd_vicon',
        split: str = 'val',
        cameras: int = 1,
        noise: float = 0.0,
    ) -> None:
        if split not in SPLITS:
            raise SettingError(f'split must be one of {", ".join(SPLITS)}, got {split!r}')
        self.metainfo: dict[str, Any] = dict(dataset_name='ui_prmd_vicon')
        self.views: list[View] = []
        self.images: list[np.ndarray] = []
        for one in read_ui_prmd(find_data(data_root)):
            if split_of(one.name) != split:
                continue
            frames = one.markers[::_STRIDE]
            frames = frames[(frames != 0).any(2).all(1)]  # no marker is missing
            joints = joint_centres(frames, list(one.marker_names))
            # Its own cameras, whatever else is measured, and the same at any noise.
            number = zlib.crc32(one.name.encode())
            rng, off = np.random.default_rng(number), np.random.default_rng([number, 1])
            for _ in range(cameras if len(joints) else 0):
                view = random_view(joints, rng)
                self.views.append(view)
                self.images.append(view.noisy_image(noise, off) if noise else view.image())

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, index: int) -> dict[str, Any]:
        view = self.views[index]
        sample = PoseDataSample(metainfo=dict(view=view.kind))
        sample.gt_instances = InstanceData(keypoints_3d=view.joints.astype(np.float32))
        return dict(
            inputs=torch.from_numpy(self.images[index].astype(np.float32)), data_samples=sample
        )
