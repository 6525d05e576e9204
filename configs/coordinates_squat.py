# The network of tdm_squat.py on the coordinates themselves.
_base_ = 'tdm_squat.py'

model = dict(
    representation=dict(
        _delete_=True, type='JointCoordinates', skeleton='mediapipe19'),
    backbone=dict(in_channels=57))
