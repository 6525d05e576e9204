# Our best on Penn Action's 2D skeletons: coordinates, velocities and distances together.
_base_ = '_base_/penn_actions.py'

skeleton = 'penn13'
model = dict(
    type='TemporalDistanceRecognizer',
    representation=[
        dict(type='JointCoordinates', skeleton=skeleton, axes=(0, 1)),
        dict(type='JointVelocities', skeleton=skeleton, axes=(0, 1)),
        dict(type='DistanceMatrices', skeleton=skeleton, axes=(0, 1))],
    backbone=dict(type='TemporalResNet1D', in_channels=26 + 26 + 78),
    cls_head=dict(
        type='TemporalHead', num_classes=15, in_channels=256, label_smooth_eps=.1))

test_dataloader = dict(dataset=dict(pipeline=[
    _base_.test_pipeline[0], dict(type='AddMirrored', skeleton=skeleton), *_base_.pack]))
val_dataloader = test_dataloader
