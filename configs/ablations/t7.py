# T = 7 in place of 5, in training and test; an epoch has the frames, and nearly the steps, it had.
_base_ = '../rpstn_penn.py'

train_dataloader = dict(
    batch_size=round(_base_.train_dataloader.batch_size * 5 / 7),
    sampler=dict(type='RepeatSampler', times=5 / 7),
    dataset=dict(clip_len=7))
val_dataloader = dict(dataset=dict(clip_len=7))
test_dataloader = dict(dataset=dict(clip_len=7))
