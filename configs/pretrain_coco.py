# A single-frame model on COCO at 256x256, for P and F of RPSTN to start from, as pretrain_mpii.py.
# Inherits MMPose's data at this size, from its hourglass, and has the model of its
# td-hm_res50_8xb64-210e_coco-256x192.py. Data in data/coco/, as MMPose lays it out.
_base_ = ('mmpose::body_2d_keypoint/topdown_heatmap/coco/'
          'td-hm_hourglass52_8xb32-210e_coco-256x256.py')

custom_imports = dict(imports=['rpstn'], allow_failed_imports=False)

model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=50,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.pytorch.org/models/resnet50-0676ba61.pth')),
    head=dict(
        _delete_=True,
        type='HeatmapHead',
        in_channels=2048,
        out_channels=17,
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder={{_base_.codec}}))
train_dataloader = dict(batch_size=64)
