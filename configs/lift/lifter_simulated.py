# As _base_/lifter.py, with as many clips of simulated bodies, whose depths are known:
# tools/research/lifter/simulate_bodies.py makes them.
_base_ = '../_base_/lifter.py'

steps, batch_size = 1600, 32
model = dict(ramp=steps * 4 // 5, weights=dict(depth=100.))
train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(
        simulated='work_dirs/simulated_bodies/clips.npz', windows=steps * batch_size))
train_cfg = dict(max_iters=steps)
param_scheduler = [
    dict(type='LinearLR', start_factor=.04, begin=0, end=steps // 10, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=steps // 10, end=steps, by_epoch=False)]
default_hooks = dict(checkpoint=dict(interval=steps))
