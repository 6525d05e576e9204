# The lifter that ships: no depth is known of anything it learns from. Videos are as RPSTN-Lite
# sees them (docs/lifter.md has the command). Half of the clips are images of simulated bodies,
# which tools/research/lifter/simulate_bodies.py makes.
_base_ = '../_base_/lifter.py'

steps, batch_size = 1300, 24
model = dict(
    prior=dict(init_cfg=dict(checkpoint='work_dirs/lifter_rpstn_lite/prior.pth')))
train_dataloader = dict(
    batch_size=batch_size,
    dataset=dict(
        teacher=None, videos='lifter_rpstn_lite',
        simulated='work_dirs/simulated_bodies/clips.npz', depths=False,
        windows=steps * batch_size))
