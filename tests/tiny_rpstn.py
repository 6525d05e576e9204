"""A tiny RPSTN for tests of graphs, engines and benchmarks."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from rpstn.pose.datasets.metainfo import METAINFO

# So many channels that Conv_a is folded into S.
SIZE, JOINTS, CHANNELS = 64, 5, 48


def tiny_config(
    channels: int = CHANNELS,
    relation: dict | None = None,
    norms: str = 'paper',
    joints: int = JOINTS,
) -> Config:
    """SIZE x SIZE images, heatmaps of a quarter of that."""
    return Config(
        dict(
            model=dict(
                type='VideoPoseEstimator',
                data_preprocessor=dict(
                    type='ClipDataPreprocessor',
                    mean=[123.675, 116.28, 103.53],
                    std=[58.395, 57.12, 57.375],
                    bgr_to_rgb=True,
                ),
                backbone=dict(
                    type='RPSTNBackbone',
                    num_joints=joints,
                    channels=channels,
                    input_size=(SIZE, SIZE),
                    encoder=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8),
                ),
                head=dict(
                    type='RPSTNHead',
                    num_joints=joints,
                    channels=channels,
                    norms=norms,
                    relation=relation or dict(type='JRE'),
                    propagator=dict(type='JRPSP', norms=norms),
                    decoder=dict(
                        type='MSRAHeatmap',
                        input_size=(SIZE, SIZE),
                        heatmap_size=(SIZE // 4, SIZE // 4),
                        sigma=1,
                    ),
                ),
            )
        )
    )


def tiny_files(folder: Path, skeleton: str, crop: dict) -> tuple[Path, Path]:
    """Config and random weights of a model of the skeleton, whose crops a transform chooses."""
    size = (SIZE, SIZE)
    cut = dict(type='ForEachFrame', transforms=[dict(type='TopdownAffine', input_size=size)])
    config = tiny_config(channels=8, joints=len(METAINFO[skeleton]['keypoint_info']))
    config.test_dataloader = dict(
        dataset=dict(
            type='JHMDBClipDataset',
            metainfo=METAINFO[skeleton],
            clip_len=3,
            pipeline=[dict(type='LoadClip'), crop, cut, dict(type='PackClipInputs')],
        )
    )
    init_default_scope('mmpose')
    torch.manual_seed(0)
    paths = folder / f'{skeleton}.py', folder / f'{skeleton}.pth'
    config.dump(paths[0])
    torch.save(dict(state_dict=MODELS.build(config.model).state_dict()), paths[1])
    return paths
