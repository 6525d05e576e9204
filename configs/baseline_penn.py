# The single-frame baseline of rpstn_penn.py.
_base_ = ['_base_/paper_100e.py', '_base_/single_frame.py']

model = dict(head=dict(out_channels=13))

data = dict(type='PennActionDataset', data_root='penn_action')
train_dataloader = dict(dataset=dict(subset='train', **data))
val_dataloader = dict(dataset=dict(subset='val', **data))
test_dataloader = dict(dataset=dict(subset='test', **data))
