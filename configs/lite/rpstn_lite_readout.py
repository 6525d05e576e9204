# RPSTN-Lite as it ships: rpstn_lite.py, and behind its recurrence joints that attend to each other.
# They move joints and make none surer, and are fitted by tools/research/ablations/fit_readout.py,
# as the heatmaps' error, by which all else is trained, teaches no places. A score is the share of
# joints with such a peak that are right in whole frames of the validation clips (fit_scores.py,
# beside it).
_base_ = 'rpstn_lite.py'

model = dict(head=dict(
    readout=dict(type='TokenRelation', keep_height=True, sharpness=60.),
    decoder=dict(
        type='CalibratedHeatmap',
        knots=[
            (0., 0.), (0.2, 0.329), (0.35, 0.596), (0.5, 0.834), (0.65, 0.941), (0.8, 0.964),
            (1., 0.984)])))
