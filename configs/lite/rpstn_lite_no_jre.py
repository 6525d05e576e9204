# RPSTN-Lite without JRE: propagation alone.
_base_ = 'rpstn_lite.py'

model = dict(head=dict(relation=None))
