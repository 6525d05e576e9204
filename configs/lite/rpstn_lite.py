# RPSTN-Lite but for its readout (rpstn_lite_readout.py): from the single-frame model of
# single_pretrain.py, 8-frame clips.
_base_ = '../_base_/lite_schedule.py'

# Propagation and relation start as the identity, so that every frame starts with that model's
# heatmaps; only they, and P's last layer, are trained. (With all weights trained, clips, whose
# frames are alike, cost what the single-frame model had learned.)
single = 'work_dirs/single_pretrain/epoch_6.pth'
model = dict(
    backbone=dict(
        encoder=dict(frozen=True),
        pretrained=dict(checkpoint=single, joints='blazepose33')),
    head=dict(propagator=dict(pretrained=single)))
# More, and mostly passing, occluders: other frames show what they hide.
occluders = dict(
    type='ClipOccluders', joints='blazepose33', prob=1., most=4, limb_share=0.8, passing=0.9)
pipeline = [_base_.load, occluders, *_base_.augmentation[1:]]
repeated, unlabelled = _base_.train_dataloader.dataset.datasets
train_dataloader = dict(dataset=dict(datasets=[
    dict(repeated, dataset=dict(repeated.dataset, pipeline=pipeline)),
    dict(unlabelled, pipeline=pipeline)]))
# What is new learns faster than what comes from there.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={
    'head.relation': dict(lr_mult=4., decay_mult=0.),
    'head.propagator.carry': dict(lr_mult=4., decay_mult=0.),
    'head.propagator.kernel': dict(lr_mult=4., decay_mult=0.)}))
