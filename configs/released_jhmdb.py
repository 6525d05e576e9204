# The released network's variant for JHMDB, split 1: one norm more.
_base_ = ['_base_/paper_100e.py', '_base_/released.py']

model = dict(
    backbone=dict(num_joints=15),
    head=dict(num_joints=15, propagator=dict(norm_filtered=True)))

data = dict(type='JHMDBClipDataset', data_root='jhmdb', split=1)
train_dataloader = dict(
    dataset=dict(subset='train', pipeline={{_base_.jhmdb_pipeline}}, **data))
val_dataloader = dict(dataset=dict(subset='val', **data))
test_dataloader = dict(dataset=dict(subset='test', **data))
