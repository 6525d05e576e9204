# Clips of five frames, cut out by the person's box, aspect kept, at the paper's sizes.
codec = dict(type='MSRAHeatmap', input_size=(256, 256), heatmap_size=(64, 64), sigma=2)

# The paper's augmentation: rotation up to 40 degrees and flip ...
train_pipeline = [
    dict(type='LoadClip'),
    dict(type='ClipBBox', mode='frame', padding=1.25),
    dict(type='ForEachFrame', transforms=[
        dict(type='RandomFlip', direction='horizontal'),
        dict(type='RandomBBoxTransform', shift_prob=0., scale_prob=0., rotate_factor=40.,
             rotate_prob=0.8),
        dict(type='TopdownAffine', input_size=codec['input_size']),
        dict(type='GenerateTarget', encoder=codec)]),
    dict(type='PackClipInputs')
]
# ... on JHMDB also scale 0.8 to 1.4; colour is ours, for so few videos.
jhmdb_pipeline = [
    dict(type='LoadClip'),
    dict(type='ClipBBox', mode='frame', padding=1.25),
    dict(type='ForEachFrame', transforms=[
        dict(type='RandomFlip', direction='horizontal'),
        dict(type='RandomBBoxTransform', shift_prob=0., scale_factor=(0.8, 1.4),
             rotate_factor=40., rotate_prob=0.8),
        dict(type='TopdownAffine', input_size=codec['input_size']),
        dict(type='PhotometricDistortion'),
        dict(type='GenerateTarget', encoder=codec)]),
    dict(type='PackClipInputs')
]
val_pipeline = [
    dict(type='LoadClip'),
    dict(type='ClipBBox', mode='frame', padding=1.25),
    dict(type='ForEachFrame', transforms=[
        dict(type='TopdownAffine', input_size=codec['input_size'])]),
    dict(type='PackClipInputs')
]

# What every data set of clips shares; type, data_root and split come with the config.
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(clip_len=5, start='random', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(clip_len=5, start='fixed', test_mode=True, pipeline=val_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(
    type='FrameEvaluator', metrics=[dict(type='VideoPCK', thr=0.2, per_joint=False)])
test_evaluator = dict(type='FrameEvaluator', metrics=[dict(type='VideoPCK', thr=0.2)])

# What MMPose's inferencers ask of a config: boxes first, and no detector unless one is named.
data_mode = 'topdown'
dataset_type = 'JHMDBClipDataset'
