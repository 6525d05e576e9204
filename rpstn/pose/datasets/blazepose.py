"""Single images with BlazePose's 33 landmarks, annotated in COCO's format."""

from __future__ import annotations

from mmpose.datasets.datasets import BaseCocoStyleDataset
from mmpose.registry import DATASETS

from .metainfo import BLAZEPOSE33


@DATASETS.register_module()
class BlazePoseDataset(BaseCocoStyleDataset):
    """MMPose's data set of COCO's format, each person of which has the joints ``blazepose33``.

    Args are those of ``mmpose.datasets.CocoDataset``.
    """

    METAINFO: dict = BLAZEPOSE33
