# Synthetic athletes, no files needed, cut out as RPSTN-Lite's training cuts (lite.py), and the
# schedule of the tutorial.
_base_ = 'lite.py'

crop = dict(type='ForEachFrame', transforms=[
    dict(type='TopdownAffine', input_size=_base_.codec['input_size'])])
target = dict(type='ForEachFrame', transforms=[dict(type='GenerateTarget', encoder=_base_.codec)])
upright = dict(type='ClipBody', joints='penn13', padding=1.25)
# Things come and go before limbs, so that other frames show what they hide.
occluders = dict(
    type='ClipOccluders', joints='penn13', prob=1., most=3, limb_share=0.8, passing=0.9)
athletes = dict(
    type='SyntheticClipDataset', joints='penn13', image_size=(192, 192), num_frames=8,
    clip_len=8, occluder_prob=0.3, cache_mb=400)
train_dataloader = dict(
    batch_size=4, num_workers=1, persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(athletes, num_sequences=160, seed=0, pipeline=[
        _base_.load, occluders, dict(upright, scale_factor=(0.95, 1.2), rotate_factor=8.),
        crop, target, dict(type='PackClipInputs')]))
# Half of the frames of every clip with a thing over one limb, the same in every run.
whole = dict(
    _delete_=True, **athletes, start='fixed', test_mode=True, pipeline=[
        _base_.load, dict(type='SpanOccluders', joints='penn13', span=4), upright, crop,
        dict(type='PackClipInputs')])
val_dataloader = dict(batch_size=4, dataset=dict(whole, num_sequences=12, seed=1))
test_dataloader = dict(batch_size=4, dataset=dict(whole, num_sequences=60, seed=2))

max_epochs = 4
train_cfg = dict(max_epochs=max_epochs, val_interval=2)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-4, weight_decay=1e-2),
    clip_grad=dict(max_norm=1.), paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, end=20, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=1e-6, T_max=max_epochs, by_epoch=True,
         convert_to_iter_based=True)]
