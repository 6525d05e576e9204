# RPSTN on JHMDB, split 1: ResNet-50, 256x256, T = 5.
# Validated on videos held out of the official training list.
_base_ = ['_base_/paper_100e.py', '_base_/rpstn.py']

model = dict(backbone=dict(num_joints=15), head=dict(num_joints=15))

data = dict(type='JHMDBClipDataset', data_root='jhmdb', split=1)
train_dataloader = dict(
    dataset=dict(subset='train', pipeline={{_base_.jhmdb_pipeline}}, **data))
val_dataloader = dict(dataset=dict(subset='val', **data))
test_dataloader = dict(dataset=dict(subset='test', **data))
