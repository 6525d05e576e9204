# "w/o P": no propagation, each frame for itself.
_base_ = '../rpstn_penn.py'

model = dict(head=dict(propagator=dict(type='NoPropagator')))
