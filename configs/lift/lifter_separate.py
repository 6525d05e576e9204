# As _base_/lifter.py, torso and legs by networks of their own.
_base_ = '../_base_/lifter.py'

model = dict(backbone=dict(separate=True))
