# movement_squat for joints about the hips, too, as BlazePose answers them: about the feet. Ships.
_base_ = 'movement_squat.py'

prepare = [
    *_base_.prepare[:2],
    dict(
        type='CenterSkeleton', unit=100., feet=_base_.skeleton, footing=('foot_index', 'ankle'))]
train_dataloader = dict(dataset=dict(prepare=prepare))
test_dataloader = dict(dataset=dict(prepare=prepare))
val_dataloader = test_dataloader
