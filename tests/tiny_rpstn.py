"""A tiny RPSTN for tests of graphs, engines and benchmarks."""

from __future__ import annotations

from mmengine.config import Config

# So many channels that Conv_a is folded into S.
SIZE, JOINTS, CHANNELS = 64, 5, 48


def tiny_config(
    channels: int = CHANNELS, relation: dict | None = None, norms: str = 'paper'
) -> Config:
    """SIZE x SIZE images, heatmaps of a quarter of that, JOINTS joints."""
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
                    num_joints=JOINTS,
                    channels=channels,
                    input_size=(SIZE, SIZE),
                    encoder=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8),
                ),
                head=dict(
                    type='RPSTNHead',
                    num_joints=JOINTS,
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
