# As lifter.py, with as many clips of simulated bodies, whose depths are known:
# tools/research/lifter/simulate_bodies.py makes them.
_base_ = 'lifter.py'

steps, batch_size = 1300, 32
train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(
        simulated='work_dirs/simulated_bodies/clips.npz', windows=steps * batch_size))
