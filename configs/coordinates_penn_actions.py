# The network of tdm_penn_actions.py on the coordinates themselves.
_base_ = 'tdm_penn_actions.py'

model = dict(
    representation=dict(
        _delete_=True, type='JointCoordinates', skeleton='penn13', axes=(0, 1)),
    backbone=dict(in_channels=26))
