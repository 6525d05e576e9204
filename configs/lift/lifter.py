# The lifter that ships: no depth is known of anything it learns from. Half of the clips are images
# of simulated bodies, which tools/research/lifter/simulate_bodies.py makes.
_base_ = '../_base_/lifter.py'

steps, batch_size = 1300, 24
train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(
        simulated='work_dirs/simulated_bodies/clips.npz', depths=False,
        windows=steps * batch_size))
