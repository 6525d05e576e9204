# The single-frame model that RPSTN-Lite and its twin start from: from ImageNet, on pairs of frames
# 8 apart in place of clips, for which a video is decoded once, too.
_base_ = 'single_lite.py'

# Stem and first two stages stay as they are: a quarter of the time.
model = dict(
    backbone=dict(frozen=False, backbone=dict(frozen_stages=2)),
    head=dict(loss=dict(clip_len=2, temporal_weight=0.)))
load_from = None

pairs = dict(clip_len=2, frame_stride=8)
jhmdb, teacher, penn = _base_.train_dataloader.dataset.datasets
train_dataloader = dict(
    batch_size=16,
    dataset=dict(
        datasets=[dict(jhmdb, **pairs), dict(teacher, **pairs), dict(penn, **pairs)],
        sample_ratio_factor=[6., 3., 2.],
        pipeline=_base_.augmentation))  # with fewer occluders than clips have

max_epochs = 12
train_cfg = dict(max_epochs=max_epochs, val_interval=4)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, end=100, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=1e-6, T_max=max_epochs, by_epoch=True,
         convert_to_iter_based=True)]
