# The single-frame twin of rpstn_lite.py: the same network but for relation and propagation, from
# the same model, on the same clips, with the same loss.
_base_ = 'rpstn_lite.py'

model = dict(head=dict(
    relation=None,
    propagator=dict(_delete_=True, type='NoPropagator', pretrained=_base_.single)))
