# movement_squat for joints about the hips, too, as BlazePose answers them: about the feet.
# Simulated squats are trained on beside the real ones, as a day of their own. Ships.
_base_ = 'movement_squat.py'

feet = dict(type='CenterSkeleton', feet=_base_.skeleton, footing=('foot_index', 'ankle'))
prepare = [*_base_.prepare[:2], dict(feet, unit=100.)]
test_dataloader = dict(dataset=dict(prepare=prepare))
val_dataloader = test_dataloader

classes = (
    'bending forward', 'heels lifting', 'knees caving', 'no depth', 'olympic squat',
    'powerlifting squat', 'toes lifting')
# What Waseda's classes are called here; those that are left out have no like (docs/form.md).
waseda = {
    'good': 'powerlifting squat',
    'inward knee': 'knees caving',
    'shallowness': 'no depth',
}
simulated = dict(
    type='SyntheticSquatDataset',
    num_sequences=10 * len(waseda),
    repetitions=(1, 1),
    skeleton=_base_.skeleton,
    sensor=dict(view='front', noise=.01, bias=.02, scale=.03),
    mapping=waseda,
    metainfo=dict(classes=classes),
    prepare=[
        dict(type='ProjectSkeleton'),
        dict(type='CleanSkeleton', max_reach=2., sigma=1.),
        dict(feet, unit=1.)],
    pipeline=_base_.train_dataloader.dataset.pipeline)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        ignore_keys=['unit', 'axes'],  # what prepare gives is in metres, y down, for both
        datasets=[dict(_base_.train_dataloader.dataset, prepare=prepare), simulated]))
