# RPSTN-Lite: BlazePose's encoder, frozen, with a light neck for both P and F, 64 channels; its 33
# landmarks on crops of 256x256 about the body, turned upright. Data: see lite_schedule.py.
_base_ = 'default_runtime.py'

codec = dict(
    type='MSRAHeatmap', input_size=(256, 256), heatmap_size=(64, 64), sigma=2., unbiased=True)
channels, clip_len = 64, 8
model = dict(
    type='VideoPoseEstimator',
    data_preprocessor=dict(
        type='ClipDataPreprocessor', mean=[0.] * 3, std=[255.] * 3, bgr_to_rgb=True),
    backbone=dict(
        type='SharedBackbone', num_joints=33, channels=channels, input_size=codec['input_size'],
        encoder=dict(
            type='UpsampledBackbone', channels=channels, width=channels, kernel=7, backbone=dict(
                type='GuidedBlazePose',
                init_cfg=dict(type='Pretrained', checkpoint='work_dirs/blazepose/full.pth')))),
    head=dict(
        type='RPSTNHead', num_joints=33, channels=channels, norms='none',
        relation=dict(type='JRE'),
        propagator=dict(
            type='ResidualJRPSP', kernel_channels=32, carry=dict(width=32, stride=2)),
        decoder=codec,
        loss=dict(type='TemporalMSELoss', clip_len=clip_len, temporal_weight=0.5)))

load = dict(type='LoadClip')
upright = dict(type='ClipBody', joints='blazepose33', padding=1.25)
# Strong, the same in all frames of a clip; crops are a frame late and as crooked as in a stream.
augmentation = [
    dict(type='ClipOccluders', joints='blazepose33', prob=0.7, passing=0.7),
    dict(type='ForEachFrame', transforms=[dict(type='RandomFlip', direction='horizontal')]),
    dict(upright, lag=True, scale_factor=(0.9, 1.7), rotate_factor=15., shift_factor=0.05),
    dict(type='ForEachFrame', transforms=[
        dict(type='TopdownAffine', input_size=codec['input_size']),
        dict(type='PhotometricDistortion'),
        dict(type='GenerateTarget', encoder=codec)]),
    dict(type='PackClipInputs')]
val_pipeline = [
    load,
    upright,
    dict(type='ForEachFrame', transforms=[
        dict(type='TopdownAffine', input_size=codec['input_size'])]),
    dict(type='PackClipInputs')]

# Limbs are JHMDB's labels, face, hands and feet the teacher's.
jhmdb = dict(
    type='TeacherClipDataset', data_root='jhmdb/ReCompress_Videos', clip_len=clip_len)
# Whole videos (at most 40 frames), as a stream would show them.
whole = dict(jhmdb, clip_len=40, start='fixed', test_mode=True, pipeline=val_pipeline)
workers = dict(num_workers=1, persistent_workers=True)
val_dataloader = dict(
    batch_size=1, drop_last=False, dataset=dict(whole, labels='teacher_blazepose/val'), **workers,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='FrameEvaluator', metrics=[dict(type='VideoPCK', thr=0.2, per_joint=False)])
test_evaluator = dict(type='FrameEvaluator', metrics=[dict(type='VideoPCK', thr=0.2)])
# MMPose's inferencers ask for it.
data_mode = 'topdown'
