"""The annotation and prediction container of one clip."""

from __future__ import annotations

from typing import Any

from mmengine.structures import BaseDataElement
from mmpose.structures import PoseDataSample


class ClipDataSample(BaseDataElement):
    """T :class:`PoseDataSample` of one clip, in temporal order.

    MMEngine's ``pseudo_collate`` transposes plain lists, which would mix the frames of different
    clips; a data element is collated as it is.

    Args:
        frames: one sample per frame, padded frames (repeats at the end of
            a video, metainfo ``padded=True``) included.
    """

    def __init__(self, frames: list[PoseDataSample], *, metainfo: dict | None = None) -> None:
        super().__init__(metainfo=metainfo)
        self.frames = list(frames)

    def __len__(self) -> int:
        return len(self.frames)

    def to(self, *args: Any, **kwargs: Any) -> ClipDataSample:
        """Move the tensors of every frame, as ``torch.Tensor.to`` does."""
        return type(self)(
            [frame.to(*args, **kwargs) for frame in self.frames], metainfo=self.metainfo
        )
