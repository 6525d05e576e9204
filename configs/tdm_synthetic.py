# Temporal distance matrices on simulated squats: trains with no file.
_base_ = '_base_/synthetic_squats.py'

model = dict(
    type='TemporalDistanceRecognizer',
    representation=dict(type='DistanceMatrices', skeleton='cocoplus19', limbs='none'),
    backbone=dict(type='TemporalResNet1D', in_channels=171),
    cls_head=dict(type='TemporalHead', num_classes=7, in_channels=256, label_smooth_eps=.1))
