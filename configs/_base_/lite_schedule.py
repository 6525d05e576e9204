# What all steps of training RPSTN-Lite share: JHMDB, and clips that the teacher alone labelled;
# AdamW, a warm-up and a cosine, averaged weights (which are what is validated and saved).
_base_ = 'lite.py'

jhmdb = dict(
    _base_.jhmdb, labels='teacher_blazepose/train', pipeline=[_base_.load, *_base_.augmentation])
unlabelled = dict(
    jhmdb, data_root='jhmdb_unlabelled', labels='teacher_blazepose/unlabelled')
train_dataloader = dict(
    batch_size=4,
    **_base_.workers,
    sampler=dict(type='DefaultSampler', shuffle=True),
    # 2 x 158 and 100 clips an epoch.
    dataset=dict(type='ConcatDataset', datasets=[
        dict(type='RepeatDataset', times=2, dataset=jhmdb), unlabelled]))

max_epochs = 8
train_cfg = dict(max_epochs=max_epochs, val_interval=4)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-4, weight_decay=1e-2),
    clip_grad=dict(max_norm=1.), paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, end=40, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=1e-6, T_max=max_epochs, by_epoch=True,
         convert_to_iter_based=True)]
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.005, gamma=100,
         update_buffers=True, priority=49)]
