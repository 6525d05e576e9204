# The single-frame baseline of rpstn_jhmdb.py.
_base_ = ['_base_/paper_100e.py', '_base_/single_frame.py']

model = dict(head=dict(out_channels=15))

data = dict(type='JHMDBClipDataset', data_root='jhmdb', split=1)
train_dataloader = dict(
    dataset=dict(subset='train', pipeline={{_base_.jhmdb_pipeline}}, **data))
val_dataloader = dict(dataset=dict(subset='val', **data))
test_dataloader = dict(dataset=dict(subset='test', **data))
