# The paper's own setting, as far as it tells it: the Waseda squat set, 300 frames, Adadelta.
_base_ = 'tdm_synthetic.py'

max_epochs = 100
resample = dict(
    type='ResampleSkeleton', num_frames=300, start='standing', skeleton='cocoplus19')
train_pipeline = [dict(resample, crop=.1, warp=.1), *_base_.pack]
test_pipeline = [resample, *_base_.pack]
dataset = dict(
    _delete_=True, type='WasedaSquatDataset',
    prepare=[dict(type='CleanSkeleton'), dict(type='CenterSkeleton')])
train_dataloader = dict(dataset=dict(
    **dataset, split=dict(type='random', part='train'), pipeline=train_pipeline))
test_dataloader = dict(dataset=dict(
    **dataset, split=dict(type='random', part='test'), pipeline=test_pipeline,
    test_mode=True))
val_dataloader = test_dataloader

train_cfg = dict(max_epochs=max_epochs)
optim_wrapper = dict(
    _delete_=True, type='OptimWrapper', optimizer=dict(type='Adadelta', lr=.01))
param_scheduler = None
