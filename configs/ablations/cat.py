# "Cat": the last frame's features and heatmaps are concatenated to the next frame's features, in
# place of the propagation by a dynamic kernel.
_base_ = '../rpstn_penn.py'

model = dict(head=dict(propagator=dict(type='CatPropagator')))
