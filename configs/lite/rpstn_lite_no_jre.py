# RPSTN-Lite without any relation: propagation alone. Its scores are fitted as RPSTN-Lite's.
_base_ = 'rpstn_lite.py'

model = dict(head=dict(
    relation=None,
    decoder=dict(
        type='CalibratedHeatmap',
        knots=[
            (0., 0.), (0.2, 0.411), (0.35, 0.605), (0.5, 0.81), (0.65, 0.921), (0.8, 0.955),
            (1., 1.)])))
