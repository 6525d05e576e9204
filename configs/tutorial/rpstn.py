# RPSTN behind the shipped model's encoder, which is frozen: relation and propagation learn from
# synthetic clips, in minutes on two cores (docs/tutorial.md).
_base_ = '../_base_/athletes.py'

# The shipped model's single-frame part, as tools/research/demo_train.py saves it.
start = 'work_dirs/demo_train/start.pth'
model = dict(
    backbone=dict(
        num_joints=13,
        encoder=dict(frozen=True),
        pretrained=dict(checkpoint=start, joints='penn13')),
    head=dict(num_joints=13, propagator=dict(pretrained=start)))
# What is new learns faster than what comes from there.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={
    'head.relation': dict(lr_mult=4., decay_mult=0.),
    'head.propagator.carry': dict(lr_mult=4., decay_mult=0.),
    'head.propagator.kernel': dict(lr_mult=4., decay_mult=0.)}))
