# The unsupervised lifter: real 2D poses to learn from, an optical capture to measure on.
_base_ = 'default_runtime.py'

prior = 'work_dirs/pose_prior/prior.pth'  # tools/research/lifter/fit_pose_prior.py makes it
steps, batch_size = 1300, 16
model = dict(
    type='UnsupervisedLifter',
    backbone=dict(type='JointFeatures', width=128),
    head=dict(type='DepthHead'),
    prior=dict(type='PoseFlow', init_cfg=dict(type='Pretrained', checkpoint=prior)),
    ramp=steps * 4 // 5)

train_dataloader = dict(
    batch_size=batch_size,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),  # windows are drawn at random
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='PoseTracks', penn_action='penn_action', teacher='teacher_blazepose',
        windows=steps * batch_size))
# The people who are not in the test chose between settings.
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='CapturedViews', split='val'))
test_dataloader = dict(
    val_dataloader, dataset=dict(type='CapturedViews', split='test', cameras=2))
val_evaluator = dict(type='LiftingMetric')
test_evaluator = val_evaluator

train_cfg = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=steps, val_interval=400)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-2),
    clip_grad=dict(max_norm=1.))
# Not OneCycleLR, whose state in a checkpoint is no plain data.
param_scheduler = [
    dict(type='LinearLR', start_factor=.04, begin=0, end=steps // 10, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=steps // 10, end=steps, by_epoch=False)]
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(interval=steps, by_epoch=False, save_best=None),
    visualization=dict(_delete_=True, type='PoseVisualizationHook', enable=False))
log_processor = dict(by_epoch=False)
