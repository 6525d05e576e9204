# Temporal distance matrices (Ogata et al., CVPRW 2019) on real squats.
_base_ = '_base_/squats.py'

model = dict(
    type='TemporalDistanceRecognizer',
    representation=dict(type='DistanceMatrices', skeleton='mediapipe19', limbs='none'),
    backbone=dict(type='TemporalResNet1D', in_channels=171),
    cls_head=dict(type='TemporalHead', num_classes=7, in_channels=256, label_smooth_eps=.1))
