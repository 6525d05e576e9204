# Right or wrong, of UI-PRMD's movements: our best representation, depth as good as the rest, people
# left out.
_base_ = 'form_squat.py'

skeleton = 'mediapipe19'
dataset = dict(
    type='UIPRMDDataset',
    prepare=[
        dict(type='CleanSkeleton', max_reach=2., sigma=2.),
        dict(type='CenterSkeleton', feet=skeleton)])
people_out = dict(type='leave_group_out', group='subject', num_folds='all', fold=6)

model = dict(
    representation=[
        dict(type='StandingDisplacements', skeleton=skeleton),
        dict(type='JointVelocities', skeleton=skeleton),
        dict(type='StandingDisplacements', skeleton=skeleton, origin='feet')],
    backbone=dict(in_channels=3 * 57),
    cls_head=dict(num_classes=2))
augment = [
    dict(type='RotateSkeleton', angles=(0, 10, 0)),
    dict(type='StretchSkeleton', scales=(.05, .05, .05)),
    dict(type='MirrorSkeleton', skeleton=skeleton),
    dict(type='ResampleSkeleton', num_frames=64, crop=.1, warp=.1),
    dict(type='JitterSkeleton', white=.01, drift=.01)]
train_dataloader = dict(dataset=dict(
    **dataset, split=dict(**people_out, part='train'), pipeline=[*augment, *_base_.pack]))
test_dataloader = dict(dataset=dict(**dataset, split=dict(**people_out, part='test')))
val_dataloader = test_dataloader

# Fewer sequences of more kinds than the squats: twice the epochs.
train_cfg = dict(max_epochs=30)
param_scheduler = [
    dict(type='LinearLR', start_factor=.05, begin=0, end=2, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=2, end=30, convert_to_iter_based=True)]
