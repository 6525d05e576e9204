# Our best on real squats: movement relative to the person's own standing pose, and the stance.
_base_ = '_base_/squats.py'

skeleton = 'mediapipe19'
model = dict(
    type='TemporalDistanceRecognizer',
    representation=[
        dict(type='StandingDisplacements', skeleton=skeleton, weights=(1., 1., .3)),
        dict(type='JointVelocities', skeleton=skeleton, axes=(0, 1)),
        dict(
            type='StandingDisplacements', skeleton=skeleton, axes=(0, 1), origin='feet')],
    backbone=dict(type='TemporalResNet1D', in_channels=57 + 38 + 38),
    cls_head=dict(
        type='TemporalHead', num_classes=7, in_channels=256, label_smooth_eps=.1, dropout=.2))

# The direction of the camera, and proportions, of depth above all.
augment = [
    dict(type='RotateSkeleton', angles=(0, 10, 0)),
    dict(type='StretchSkeleton', scales=(.05, .05, .1))]
train_dataloader = dict(dataset=dict(pipeline=[*augment, *_base_.train_pipeline]))
test_dataloader = dict(dataset=dict(pipeline=[
    _base_.test_pipeline[0], dict(type='AddMirrored', skeleton=skeleton), *_base_.pack]))
val_dataloader = test_dataloader
