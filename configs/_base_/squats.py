# Real squats as 3D joints in metres (squat_mediapipe19), seven forms, on the data set's own split.
_base_ = 'form_runtime.py'

num_frames = 64
dataset = dict(
    type='SkeletonFormDataset',
    prepare=[
        dict(type='CleanSkeleton', max_reach=200., sigma=1.),
        dict(type='CenterSkeleton', unit=100.)])
pack = [dict(type='FormatGCNInput', num_person=1), dict(type='PackActionInputs')]
train_pipeline = [
    dict(type='MirrorSkeleton', skeleton='mediapipe19'),
    dict(type='ResampleSkeleton', num_frames=num_frames, crop=.2, warp=.1),
    dict(type='JitterSkeleton', white=.01, drift=.01, axes=(1, 1, 3)),
    *pack
]
test_pipeline = [dict(type='ResampleSkeleton', num_frames=num_frames), *pack]

train_dataloader = dict(
    batch_size=32, num_workers=0, drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        **dataset, split=dict(type='given', part='train'), pipeline=train_pipeline))
test_dataloader = dict(
    batch_size=64, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **dataset, split=dict(type='given', part='test'), pipeline=test_pipeline,
        test_mode=True))
val_dataloader = test_dataloader
