# The single-frame baseline of rpstn_subjhmdb.py.
_base_ = 'baseline_jhmdb.py'

train_dataloader = dict(dataset=dict(type='SubJHMDBClipDataset'))
val_dataloader = dict(dataset=dict(type='SubJHMDBClipDataset'))
test_dataloader = dict(dataset=dict(type='SubJHMDBClipDataset'))
