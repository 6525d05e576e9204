"""A network that sees coloured dots, and images of them: known answers for whole estimators."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import MODELS
from torch import Tensor, nn

from rpstn.pose import VideoPoseEstimator

from body_dots import BODY

COLORS = np.eye(3)  # one joint is blue, one green, one red


@MODELS.register_module(force=True)
class DotBackbone(nn.Module):
    """Heatmaps and features (., 3, H, W) that are the colours of the image, dots being joints."""

    num_joints = channels = 3
    heatmap_stride = 1

    def __init__(self, input_size) -> None:
        super().__init__()
        self.input_size = tuple(input_size)
        self.started = 0

    def encoder(self, images: Tensor) -> Tensor:
        return images

    def start(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.started += len(images)
        return images, images

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        self.started += len(clips)
        return clips, clips[:, 0]


@MODELS.register_module(force=True)
class BodyBackbone(DotBackbone):
    """Heatmaps and features (., 7, H, W): how bright each pixel is, in the colour of each joint."""

    num_joints = channels = len(BODY)

    def encoder(self, images: Tensor) -> Tensor:
        colours = torch.tensor(list(BODY.values()), dtype=images.dtype)
        alike = torch.einsum('nchw,kc->nkhw', images, colours / colours.norm(dim=1, keepdim=True))
        length = images.norm(dim=1, keepdim=True).clamp(min=1e-6)
        return images.amax(dim=1, keepdim=True) * (alike / length) ** 60

    def start(self, images: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.encoder(images)
        return super().start(maps)

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(self.encoder(clips.flatten(0, 1)).unflatten(0, clips.shape[:2]))


@pytest.fixture
def dot_model() -> Callable[..., VideoPoseEstimator]:
    """``dot_model(transform, codec='MSRAHeatmap', input_size=(128, 128), padding=1.25)``.

    A real estimator with the config it was built from, ``transform`` cutting out its crops. With
    ``body=True`` its joints are those of :data:`BODY`, and crops are upright.
    """

    def build(
        transform: dict,
        codec: str = 'MSRAHeatmap',
        input_size=(128, 128),
        padding: float = 1.25,
        clip_len: int = 3,
        body: bool = False,
    ) -> VideoPoseEstimator:
        init_default_scope('mmpose')
        coding = dict(type=codec, input_size=input_size, heatmap_size=input_size, sigma=2)
        if codec == 'MSRAHeatmap':
            coding['unbiased'] = True
        points = {
            k: dict(name=name, id=k, color=[0, 0, 0], type='upper', swap='')
            for k, name in enumerate(BODY if body else 'abc')
        }
        count = len(points)
        choose = dict(type='ClipBBox', mode='frame', padding=padding)
        if body:
            choose = dict(type='ClipBody', joints='jhmdb15', padding=padding, input_size=input_size)
        meta = dict(
            dataset_name='dots',
            keypoint_info=points,
            skeleton_info={},
            paper_info={},
            joint_weights=[1.0] * count,
            sigmas=[0.1] * count,
        )
        config = Config(
            dict(
                model=dict(
                    type='VideoPoseEstimator',
                    backbone=dict(
                        type='BodyBackbone' if body else 'DotBackbone', input_size=input_size
                    ),
                    data_preprocessor=dict(
                        type='ClipDataPreprocessor', mean=[0.0] * 3, std=[255.0] * 3
                    ),
                    head=dict(
                        type='RPSTNHead',
                        num_joints=count,
                        channels=count,
                        relation=None,
                        propagator=dict(type='NoPropagator'),
                        norm_weight=1.0,
                        decoder=coding,
                    ),
                ),
                test_dataloader=dict(
                    dataset=dict(
                        type='ClipDataset',
                        clip_len=clip_len,
                        metainfo=meta,
                        pipeline=[
                            dict(type='LoadClip'),
                            choose,
                            dict(
                                type='ForEachFrame',
                                transforms=[dict(input_size=input_size, **transform)],
                            ),
                            dict(type='PackClipInputs'),
                        ],
                    )
                ),
            )
        )
        model = MODELS.build(config.model).eval()
        nn.init.zeros_(model.head.propagator.predict.bias)
        model.head.propagator.predict.weight.data = torch.eye(count)[..., None, None]
        model.cfg, model.dataset_meta = config, parse_pose_metainfo(meta)
        return model

    return build


@pytest.fixture
def dots() -> Callable[..., np.ndarray]:
    """``dots(centres, radius, size, colors=COLORS)``: an image (width, height), dots at (N, 2)."""

    def draw(
        centres: np.ndarray, radius: float, size: tuple[int, int], colors: np.ndarray = COLORS
    ) -> np.ndarray:
        along = [
            np.exp(-((np.arange(side) - centres[:, axis, None]) ** 2 / (2 * radius**2)))
            for axis, side in enumerate(size)
        ]
        peaks = [np.outer(y, x) for x, y in zip(*along)]
        return np.rint(255 * np.tensordot(np.stack(peaks, -1), colors, 1)).astype(np.uint8)

    return draw
