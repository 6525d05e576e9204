# The single-frame twin of rpstn_lite.py: the same network but for relation and propagation, from
# the same model, on the same clips, with the same loss. Its scores are fitted as RPSTN-Lite's.
_base_ = 'rpstn_lite.py'

model = dict(head=dict(
    relation=None,
    propagator=dict(_delete_=True, type='NoPropagator', pretrained=_base_.single),
    decoder=dict(
        type='CalibratedHeatmap',
        knots=[
            (0., 0.), (0.2, 0.515), (0.35, 0.686), (0.5, 0.895), (0.65, 0.947), (0.8, 0.987),
            (1., 0.993)])))
