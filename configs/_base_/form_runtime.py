# Classification of skeleton sequences: schedule, evaluation, hooks.
_base_ = 'mmaction::_base_/default_runtime.py'

custom_imports = dict(imports=['rpstn'], allow_failed_imports=False)

max_epochs = 15
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-3, weight_decay=.05, fused=True),
    clip_grad=dict(max_norm=5.))
param_scheduler = [
    dict(type='LinearLR', start_factor=.05, begin=0, end=2, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=2, end=max_epochs, convert_to_iter_based=True)
]
auto_scale_lr = dict(enable=False, base_batch_size=32)

val_evaluator = dict(type='FormMetric')
test_evaluator = val_evaluator

# The last epoch counts: the validation shows the test set, by which nothing may be chosen.
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(interval=5, max_keep_ckpts=1, save_best=None))
custom_hooks = [dict(type='ConfusionMatrixHook')]

# Fixed, so that a repeated run on the CPU gives the same loss.
randomness = dict(seed=0)

vis_backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
visualizer = dict(vis_backends=vis_backends)
