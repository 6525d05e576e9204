# BlazePose as MediaPipe releases it, on crops by the person's box.
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
