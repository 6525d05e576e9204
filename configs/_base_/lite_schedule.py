# What all steps of training RPSTN-Lite share: JHMDB with the teacher's labels and rendered Penn
# motions, AdamW, a warm-up and a cosine, averaged weights (which are what is validated and saved).
_base_ = 'lite.py'

teacher = dict(type='TeacherClipDataset', data_root='jhmdb_unlabelled', clip_len=_base_.clip_len)
penn = dict(type='PennActionDataset', data_root='penn_action_rendered', clip_len=_base_.clip_len)
to_jhmdb = dict(type='MapClipJoints', target='jhmdb15')
train_dataloader = dict(
    batch_size=4,
    **_base_.workers,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CombinedDataset',
        metainfo=dict(from_file='configs/_base_/datasets/jhmdb.py'),
        datasets=[
            dict(_base_.jhmdb, subset='train', pipeline=[_base_.load]),
            dict(teacher, pipeline=[_base_.load, dict(to_jhmdb, source='blazepose33')]),
            dict(penn, subset='trainval', pipeline=[_base_.load, dict(to_jhmdb, source='penn13')])],
        # Clips of each in an epoch, per video: about 316 + 121 + 100 of 158 + 121 + 200.
        sample_ratio_factor=[2., 1., 0.5],
        pipeline=_base_.augmentation))

max_epochs = 5
train_cfg = dict(max_epochs=max_epochs, val_interval=1)
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
