# The single-frame twin of rpstn_lite.py: the same network but for relation and propagation, from
# the same model, on the same clips, with the same loss.
_base_ = 'rpstn_lite.py'

model = dict(
    _delete_=True,
    type='TurnedPoseEstimator',
    data_preprocessor=dict(fold_frames=True, **_base_.model.data_preprocessor),
    backbone={{_base_.model.backbone.encoder}},
    head=dict(
        type='HeatmapHead',
        in_channels=_base_.channels,
        out_channels=33,
        deconv_out_channels=None,
        loss=_base_.model.head.loss,
        decoder={{_base_.codec}}))
load_from = _base_.single
