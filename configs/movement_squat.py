# Days never seen: how far joints go from where they stand, as the camera sees it, and a
# discriminant that knows of days. Trained in one pass.
_base_ = '_base_/squats.py'

skeleton = 'mediapipe19'
parts = ('nose', 'shoulder', 'hip', 'knee', 'ankle', 'heel', 'foot_index')
model = dict(
    type='TemporalDistanceRecognizer',
    representation=[
        dict(type='MovementRange', skeleton=skeleton, parts=parts),
        dict(type='MovementPhases', skeleton=skeleton, parts=parts, shares=(.5, 1.))],
    backbone=dict(type='NoBackbone', in_channels=13 * 2 * (2 + 3)),
    cls_head=dict(type='TemporalHead', num_classes=7, in_channels=13 * 2 * (2 + 3)))

prepare = [
    dict(type='ProjectSkeleton'),
    dict(type='CleanSkeleton', max_reach=200., sigma=1.),
    dict(type='CenterSkeleton', unit=100.)]
pipeline = [
    _base_.test_pipeline[0], dict(type='AddMirrored', skeleton=skeleton), _base_.pack[0]]
train_dataloader = dict(
    drop_last=False, sampler=dict(shuffle=False),
    dataset=dict(
        prepare=prepare, pipeline=[*pipeline, dict(type='PackActionInputs', meta_keys=('day',))]))
test_dataloader = dict(
    dataset=dict(prepare=prepare, pipeline=[*pipeline, dict(type='PackActionInputs')]))
val_dataloader = test_dataloader

train_cfg = dict(
    _delete_=True, type='DiscriminantLoop', max_epochs=1, group='day', between=.5,
    shrinkage=(.4, .6))
param_scheduler = None
default_hooks = dict(checkpoint=dict(interval=1))
