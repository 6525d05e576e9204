# The single-frame baseline of rpstn_demo.py: the same backbone, MMPose's own heatmap head.
_base_ = 'rpstn_demo.py'

model = dict(
    _delete_=True,
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='ClipDataPreprocessor',
        fold_frames=True,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone={{_base_.model.backbone.encoder}},
    head=dict(
        type='HeatmapHead',
        in_channels=256,
        out_channels=13,
        deconv_out_channels=(64, 64, 64),
        deconv_kernel_sizes=(4, 4, 4),
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder={{_base_.codec}}))
