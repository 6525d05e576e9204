# As _base_/lifter.py, with JRE between the joints' features.
_base_ = '../_base_/lifter.py'

model = dict(head=dict(relation=dict(type='JRE')))
