# The paper's schedule: Adam 5e-4, learning rate x 0.333 at epochs 8, 15, 25, 40 and 80 of 100.
_base_ = 'default_runtime.py'

train_cfg = dict(max_epochs=100, val_interval=1)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=5e-4))
auto_scale_lr = dict(enable=False, base_batch_size=8)
param_scheduler = [
    dict(type='MultiStepLR', milestones=[8, 15, 25, 40, 80], gamma=0.333, by_epoch=True)
]
