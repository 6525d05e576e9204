# The baseline: MMPose's own single-frame estimator and heatmap head with ResNet-50, on the frames
# of the same clips.
_base_ = 'clips.py'

model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='ClipDataPreprocessor',
        fold_frames=True,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(
        type='ResNet',
        depth=50,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.pytorch.org/models/resnet50-0676ba61.pth')),
    head=dict(
        type='HeatmapHead',
        in_channels=2048,
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder={{_base_.codec}}))
