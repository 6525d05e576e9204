# form_squat for joints about the hips, too, as BlazePose answers them: about the feet. Ships.
_base_ = 'form_squat.py'

prepare = [
    dict(type='CleanSkeleton', max_reach=200., sigma=1.),
    dict(type='CenterSkeleton', unit=100., feet='mediapipe19')]
train_dataloader = dict(dataset=dict(prepare=prepare))
test_dataloader = dict(dataset=dict(prepare=prepare))
val_dataloader = test_dataloader
