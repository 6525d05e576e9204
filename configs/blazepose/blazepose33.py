# BlazePose on 33 landmarks of single images, in COCO's format, from MediaPipe's weights:
# python tools/data/convert_blazepose.py work_dirs/blazepose/full.pth
_base_ = '../_base_/blazepose.py'

load_from = 'work_dirs/blazepose/full.pth'

data = dict(
    type='BlazePoseDataset', data_mode='topdown', data_root='data/blazepose33',
    data_prefix=dict(img='images/'))
train_dataloader = dict(
    batch_size=32, num_workers=2, persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(ann_file='annotations/train.json', pipeline={{_base_.train_pipeline}}, **data))
val_dataloader = dict(
    batch_size=32, num_workers=2, persistent_workers=True, drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        ann_file='annotations/val.json', test_mode=True, pipeline={{_base_.val_pipeline}}, **data))
test_dataloader = val_dataloader
val_evaluator = dict(type='PCKAccuracy', thr=0.2, norm_item='bbox')
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=10, val_interval=1)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, end=100, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=10, by_epoch=True, convert_to_iter_based=True)]
default_hooks = dict(checkpoint=dict(save_best='PCK', rule='greater'))
