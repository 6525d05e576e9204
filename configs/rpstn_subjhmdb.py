# RPSTN on sub-JHMDB, split 1: 316 clips of whole bodies. Splits 2 and 3 by
# --cfg-options {train,val,test}_dataloader.dataset.split=2; their average:
# tools/research/average_splits.py.
_base_ = 'rpstn_jhmdb.py'

train_dataloader = dict(dataset=dict(type='SubJHMDBClipDataset'))
val_dataloader = dict(dataset=dict(type='SubJHMDBClipDataset'))
test_dataloader = dict(dataset=dict(type='SubJHMDBClipDataset'))
