# T = 1 in place of 5, in training and test; an epoch has the frames, and nearly the steps, it had.
_base_ = '../rpstn_penn.py'

train_dataloader = dict(
    batch_size=_base_.train_dataloader.batch_size * 5,
    sampler=dict(type='RepeatSampler', times=5),
    dataset=dict(clip_len=1))
val_dataloader = dict(dataset=dict(clip_len=1))
test_dataloader = dict(dataset=dict(clip_len=1))

find_unused_parameters = True  # F and the propagation serve later frames only
