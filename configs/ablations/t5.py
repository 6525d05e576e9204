# T = 5, the paper's: rpstn_penn.py as it is, but not so on another base.
_base_ = '../rpstn_penn.py'

train_dataloader = dict(dataset=dict(clip_len=5))
val_dataloader = dict(dataset=dict(clip_len=5))
test_dataloader = dict(dataset=dict(clip_len=5))
