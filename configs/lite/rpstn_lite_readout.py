# RPSTN-Lite as it ships: rpstn_lite.py, and behind its recurrence joints that attend to each other.
# They move joints and make none surer, and are fitted by tools/research/ablations/fit_readout.py,
# as the heatmaps' error, by which all else is trained, teaches no places.
_base_ = 'rpstn_lite.py'

model = dict(head=dict(readout=dict(type='TokenRelation', keep_height=True, sharpness=60.)))
