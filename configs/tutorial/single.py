# The single-frame twin of rpstn.py: the same network but for relation and propagation, from the
# same weights, on the same clips, with the same loss.
_base_ = 'rpstn.py'

model = dict(head=dict(
    relation=None,
    propagator=dict(_delete_=True, type='NoPropagator', pretrained=_base_.start)))
