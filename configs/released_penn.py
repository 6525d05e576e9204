# The released network on Penn Action: ResNet-101 as P, ResNet-50 as F, the release's default.
_base_ = ['_base_/paper_100e.py', '_base_/released.py']

model = dict(backbone=dict(num_joints=13), head=dict(num_joints=13))

data = dict(type='PennActionDataset', data_root='penn_action')
train_dataloader = dict(dataset=dict(subset='train', **data))
val_dataloader = dict(dataset=dict(subset='val', **data))
test_dataloader = dict(dataset=dict(subset='test', **data))
