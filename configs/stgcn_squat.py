# MMAction2's ST-GCN on the data, augmentation and schedule of tdm_squat.py.
_base_ = '_base_/squats.py'

# The limbs of rpstn.skeletons' mediapipe19 as (child, parent), around the right hip.
inward = [(9, 10), (4, 10), (3, 9), (5, 3), (7, 5), (6, 4), (8, 6), (11, 9), (13, 11),
          (12, 10), (14, 12), (15, 13), (16, 14), (17, 13), (18, 14), (0, 4), (1, 0), (2, 0)]
model = dict(
    type='RecognizerGCN',
    backbone=dict(
        type='STGCN',
        graph_cfg=dict(
            layout=dict(num_node=19, inward=inward, center=10), mode='stgcn_spatial')),
    cls_head=dict(type='GCNHead', num_classes=7, in_channels=256, label_smooth_eps=.1))

fill = dict(type='FillMissing')
train_dataloader = dict(dataset=dict(pipeline=[fill, *_base_.train_pipeline]))
test_dataloader = dict(dataset=dict(pipeline=[fill, *_base_.test_pipeline]))
val_dataloader = test_dataloader
