# Penn Action's 2D skeletons, in sizes of the body, and its 15 actions, on the data set's own split.
_base_ = 'form_runtime.py'

num_frames = 64
dataset = dict(
    type='PennSkeletonDataset',
    prepare=[dict(type='CleanSkeleton', outliers=False), dict(type='CenterSkeleton', unit='body')])
pack = [dict(type='FormatGCNInput', num_person=1), dict(type='PackActionInputs')]
train_pipeline = [
    dict(type='MirrorSkeleton', skeleton='penn13'),
    dict(type='ResampleSkeleton', num_frames=num_frames, crop=.1, warp=.1),
    dict(type='JitterSkeleton', white=.01, drift=.01),
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
