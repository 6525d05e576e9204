# RPSTN on Penn Action: ResNet-50, 256x256, T = 5, the paper's schedule and augmentation.
# The paper starts P and F from single-frame models (docs/datasets.md) and stretches the box to a
# square; here P and F start from ImageNet, aspect and a margin are kept.
# Validated on sequences held out of the official training list.
_base_ = ['_base_/paper_100e.py', '_base_/rpstn.py']

model = dict(backbone=dict(num_joints=13), head=dict(num_joints=13))

data = dict(type='PennActionDataset', data_root='penn_action')
train_dataloader = dict(dataset=dict(subset='train', **data))
val_dataloader = dict(dataset=dict(subset='val', **data))
test_dataloader = dict(dataset=dict(subset='test', **data))
