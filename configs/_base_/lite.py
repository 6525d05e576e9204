# RPSTN-Lite: one EfficientNet-Lite0 with a light neck for both P and F, 64 channels, 192x192; its
# data: JHMDB, split 1, teacher labels and rendered Penn motions, all as JHMDB's 15 joints.
_base_ = 'default_runtime.py'

codec = dict(type='MSRAHeatmap', input_size=(192, 192), heatmap_size=(48, 48), sigma=1.5)
channels, clip_len = 64, 8
model = dict(
    type='VideoPoseEstimator',
    data_preprocessor=dict(
        type='ClipDataPreprocessor', mean=[127.] * 3, std=[128.] * 3, bgr_to_rgb=True),
    backbone=dict(
        type='SharedBackbone', num_joints=15, channels=channels, input_size=codec['input_size'],
        encoder=dict(
            type='UpsampledBackbone', channels=channels,
            backbone=dict(
                type='EfficientNetLite',
                init_cfg=dict(type='Pretrained', checkpoint='efficientnet-lite0')))),
    head=dict(
        type='RPSTNHead', num_joints=15, channels=channels, norms='none',
        relation=dict(type='JRE'), propagator=dict(type='ResidualJRPSP', carry=True), decoder=codec,
        loss=dict(type='TemporalMSELoss', clip_len=clip_len, temporal_weight=0.5)))

load = dict(type='LoadClip')
# Strong, the same in all frames of a clip; shifts stand for the boxes that follow a person.
augmentation = [
    dict(type='ClipOccluders', joints='jhmdb15', prob=0.7, passing=0.7),
    dict(type='ClipBBox', mode='frame', padding=1.25),
    dict(type='ForEachFrame', transforms=[
        dict(type='RandomFlip', direction='horizontal'),
        dict(type='RandomBBoxTransform', shift_factor=0.08, shift_prob=0.5,
             scale_factor=(0.75, 1.35), rotate_factor=50., rotate_prob=0.7),
        dict(type='TopdownAffine', input_size=codec['input_size']),
        dict(type='PhotometricDistortion'),
        dict(type='GenerateTarget', encoder=codec)]),
    dict(type='PackClipInputs')]
val_pipeline = [
    load,
    dict(type='ClipBBox', mode='frame', padding=1.25),
    dict(type='ForEachFrame', transforms=[
        dict(type='TopdownAffine', input_size=codec['input_size'])]),
    dict(type='PackClipInputs')]

jhmdb = dict(type='JHMDBClipDataset', data_root='jhmdb', split=1, clip_len=clip_len)
# Whole videos (at most 40 frames), as a stream would show them.
whole = dict(jhmdb, clip_len=40, start='fixed', test_mode=True, pipeline=val_pipeline)
workers = dict(num_workers=1, persistent_workers=True)
val_dataloader = dict(
    batch_size=1, drop_last=False, dataset=dict(whole, subset='val'), **workers,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False))
test_dataloader = dict(val_dataloader, dataset=dict(whole, subset='test'))
val_evaluator = dict(
    type='FrameEvaluator', metrics=[dict(type='VideoPCK', thr=0.2, per_joint=False)])
test_evaluator = dict(type='FrameEvaluator', metrics=[dict(type='VideoPCK', thr=0.2)])
# MMPose's inferencers ask for it.
data_mode = 'topdown'
