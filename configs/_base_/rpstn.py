# RPSTN with ResNet-50 for both F and P; the joints come with the data.
_base_ = 'clips.py'

model = dict(
    type='VideoPoseEstimator',
    data_preprocessor=dict(
        type='ClipDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(
        type='RPSTNBackbone',
        input_size={{_base_.codec.input_size}},
        encoder=dict(
            type='ResNet',
            depth=50,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='https://download.pytorch.org/models/resnet50-0676ba61.pth'))),
    head=dict(
        type='RPSTNHead',
        relation=dict(type='JRE'),
        propagator=dict(type='JRPSP'),
        decoder={{_base_.codec}}))
