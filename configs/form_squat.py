# Our best on real squats: movement relative to the person's own standing pose.
_base_ = '_base_/squats.py'

model = dict(
    type='TemporalDistanceRecognizer',
    representation=[
        dict(type='StandingDisplacements', skeleton='mediapipe19', weights=(1., 1., .3)),
        dict(type='JointVelocities', skeleton='mediapipe19', axes=(0, 1))],
    backbone=dict(type='TemporalResNet1D', in_channels=57 + 38, dropout=.2, channels=128),
    cls_head=dict(
        type='TemporalHead', num_classes=7, in_channels=128, label_smooth_eps=.1, dropout=.5))

augment = [
    dict(type='RotateSkeleton', angles=(0, 10, 0)),
    dict(type='StretchSkeleton', scales=(.05, .05, .5))]
train_dataloader = dict(dataset=dict(pipeline=[*augment, *_base_.train_pipeline]))
