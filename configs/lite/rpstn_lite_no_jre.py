# RPSTN-Lite without any relation: propagation alone.
_base_ = 'rpstn_lite.py'

model = dict(head=dict(relation=None))
