# A small RPSTN on synthetic clips, from random weights, in minutes on two cores; no files needed.
# The tutorial, which starts from trained weights, is configs/tutorial.
_base_ = ['_base_/default_runtime.py', '_base_/rpstn.py']

codec = dict(type='MSRAHeatmap', input_size=(128, 128), heatmap_size=(32, 32), sigma=1.5)
model = dict(
    backbone=dict(
        num_joints=13, channels=64, input_size=codec['input_size'],
        encoder=dict(depth=18, stem_channels=32, base_channels=32, init_cfg=None)),
    head=dict(num_joints=13, channels=64, decoder=codec))

crop = dict(type='ForEachFrame', transforms=[
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec)])
pipeline = [dict(type='LoadClip'), dict(type='ClipBBox'), crop, dict(type='PackClipInputs')]
data = dict(
    type='SyntheticClipDataset', joints='penn13', image_size=(160, 160), num_frames=10,
    occluder_prob=0.6, cache_mb=600, pipeline=pipeline)
loader = dict(batch_size=16, num_workers=1)
train_dataloader = dict(**loader, dataset=dict(num_sequences=320, seed=0, **data))
val_dataloader = dict(**loader, dataset=dict(num_sequences=12, seed=1, **data))
test_dataloader = dict(**loader, dataset=dict(num_sequences=60, seed=2, **data))

max_epochs = 6
train_cfg = dict(max_epochs=max_epochs, val_interval=2)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=20, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=1e-5, T_max=max_epochs, by_epoch=True,
         convert_to_iter_based=True)
]
