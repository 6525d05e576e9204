# MMAction2's ST-GCN on the data, augmentation and schedule of tdm_penn_actions.py.
_base_ = '_base_/penn_actions.py'

# The limbs of rpstn.skeletons' penn13 as (child, parent), around the right hip.
inward = [(7, 8), (2, 8), (1, 7), (3, 1), (5, 3), (4, 2), (6, 4), (9, 7), (11, 9), (10, 8),
          (12, 10), (0, 2)]
model = dict(
    type='RecognizerGCN',
    # Its third channel is whether the joint is visible, as in MMAction2's own 2D configs.
    backbone=dict(
        type='STGCN', in_channels=3,
        graph_cfg=dict(layout=dict(num_node=13, inward=inward, center=8), mode='stgcn_spatial')),
    cls_head=dict(type='GCNHead', num_classes=15, in_channels=256, label_smooth_eps=.1))

fill = dict(type='FillMissing')
train_dataloader = dict(dataset=dict(pipeline=[fill, *_base_.train_pipeline]))
test_dataloader = dict(dataset=dict(pipeline=[fill, *_base_.test_pipeline]))
val_dataloader = test_dataloader
