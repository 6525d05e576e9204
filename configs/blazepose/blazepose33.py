# BlazePose on 33 landmarks of single images, in COCO's format, from MediaPipe's weights:
# python tools/data/convert_blazepose.py work_dirs/blazepose/full.pth
_base_ = 'mmpose::_base_/default_runtime.py'

custom_imports = dict(imports=['rpstn'], allow_failed_imports=False)

# Sigma is about the release's: its heatmaps' peaks measure 1.2 to 1.4 cells.
codec = dict(
    type='IntegralRegressionLabel', input_size=(256, 256), heatmap_size=(64, 64), sigma=1.25,
    normalize=False)
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor', mean=[0.] * 3, std=[255.] * 3, bgr_to_rgb=True),
    backbone=dict(type='BlazePose'),
    head=dict(type='BlazePoseHead', decoder=codec))
load_from = 'work_dirs/blazepose/full.pth'

load = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale', padding=1.25)]
train_pipeline = load + [
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', rotate_factor=20.),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PhotometricDistortion'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')]
val_pipeline = load + [
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs')]

data = dict(
    type='BlazePoseDataset', data_mode='topdown', data_root='data/blazepose33',
    data_prefix=dict(img='images/'))
train_dataloader = dict(
    batch_size=32, num_workers=2, persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(ann_file='annotations/train.json', pipeline=train_pipeline, **data))
val_dataloader = dict(
    batch_size=32, num_workers=2, persistent_workers=True, drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(ann_file='annotations/val.json', test_mode=True, pipeline=val_pipeline, **data))
test_dataloader = val_dataloader
val_evaluator = dict(type='PCKAccuracy', thr=0.2, norm_item='bbox')
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=10, val_interval=1)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, end=100, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=10, by_epoch=True, convert_to_iter_based=True)]
default_hooks = dict(checkpoint=dict(save_best='PCK', rule='greater'))
