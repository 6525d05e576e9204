# RPSTN-Lite: from the single-frame model of single_pretrain.py, 8-frame clips.
_base_ = '../_base_/lite_schedule.py'

# Propagation and relation start as the identity, so that every frame starts with that model's
# heatmaps; only they, and P's last layer, are trained. (With all weights trained, clips, whose
# frames are alike, cost what the single-frame model had learned.)
single = 'work_dirs/single_pretrain/epoch_16.pth'
model = dict(
    backbone=dict(
        encoder=dict(frozen=True),
        pretrained=dict(checkpoint=single, joints='jhmdb15')),
    head=dict(propagator=dict(pretrained=single)))
# What is new learns faster than what comes from there.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={
    'head.propagator.carry': dict(lr_mult=4., decay_mult=0.),
    'head.propagator.kernel': dict(lr_mult=4., decay_mult=0.)}))
