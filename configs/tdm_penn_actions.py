# Temporal distance matrices on Penn Action's 2D skeletons.
_base_ = '_base_/penn_actions.py'

model = dict(
    type='TemporalDistanceRecognizer',
    representation=dict(
        type='DistanceMatrices', skeleton='penn13', axes=(0, 1), limbs='none'),
    backbone=dict(type='TemporalResNet1D', in_channels=78),
    cls_head=dict(type='TemporalHead', num_classes=15, in_channels=256, label_smooth_eps=.1))
