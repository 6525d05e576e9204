# Simulated squats of the paper's seven classes, as 3D joints in metres; needs no files.
_base_ = 'form_runtime.py'

num_frames = 64
dataset = dict(type='SyntheticSquatDataset', prepare=[dict(type='CenterSkeleton')])
pack = [dict(type='FormatGCNInput', num_person=1), dict(type='PackActionInputs')]
train_pipeline = [
    dict(type='MirrorSkeleton', skeleton='cocoplus19'),
    dict(
        type='ResampleSkeleton', num_frames=num_frames, start='standing',
        skeleton='cocoplus19', crop=.1, warp=.1),
    dict(type='JitterSkeleton', white=.01, drift=.01),
    *pack
]
test_pipeline = [
    dict(type='ResampleSkeleton', num_frames=num_frames, start='standing', skeleton='cocoplus19'),
    *pack]

train_dataloader = dict(
    batch_size=32, num_workers=0, drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(**dataset, part='train', num_sequences=700, pipeline=train_pipeline))
test_dataloader = dict(
    batch_size=64, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **dataset, part='test', num_sequences=210, pipeline=test_pipeline, test_mode=True))
val_dataloader = test_dataloader
