# Without JRE: propagation alone.
_base_ = '../rpstn_penn.py'

model = dict(head=dict(relation=None))
