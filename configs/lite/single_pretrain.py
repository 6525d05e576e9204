# The single-frame model that RPSTN-Lite and its twin start from: from ImageNet, at 192x192, pairs
# of frames 8 apart in place of clips, for which a video is decoded once, too.
_base_ = 'single_lite.py'

codec = dict(type='MSRAHeatmap', input_size=(192, 192), heatmap_size=(48, 48), sigma=1.5)
model = dict(
    head=dict(loss=dict(clip_len=2, temporal_weight=0.), decoder=codec))
load_from = None

occlude, boxes, frames, pack = _base_.augmentation
flip, turn, crop, colours, target = frames['transforms']
crop, target = dict(crop, input_size=codec['input_size']), dict(target, encoder=codec)
pairs = dict(clip_len=2, frame_stride=8)
jhmdb, teacher, penn = _base_.train_dataloader.dataset.datasets
train_dataloader = dict(
    batch_size=16,
    dataset=dict(
        datasets=[dict(jhmdb, **pairs), dict(teacher, **pairs), dict(penn, **pairs)],
        sample_ratio_factor=[6., 3., 2.],
        pipeline=[occlude, boxes,
                  dict(frames, transforms=[flip, turn, crop, colours, target]), pack]))
val_pipeline = [_base_.load, boxes, dict(type='ForEachFrame', transforms=[crop]), pack]
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=val_pipeline))

max_epochs = 16
train_cfg = dict(max_epochs=max_epochs, val_interval=4)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, end=100, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=1e-6, T_max=max_epochs, by_epoch=True,
         convert_to_iter_based=True)]
