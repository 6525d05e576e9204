# The single-frame model that RPSTN-Lite and its twin start from: neck and last layer behind
# BlazePose's frozen encoder, on pairs of frames 8 apart in place of clips.
_base_ = '../_base_/lite_schedule.py'

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
        loss=dict(type='TemporalMSELoss', clip_len=2, temporal_weight=0.),
        decoder={{_base_.codec}}))

pairs = dict(clip_len=2, frame_stride=8)
jhmdb, unlabelled = _base_.train_dataloader.dataset.datasets
train_dataloader = dict(
    batch_size=16,
    dataset=dict(datasets=[
        dict(jhmdb, times=16, dataset=dict(jhmdb.dataset, **pairs)),
        dict(type='RepeatDataset', times=8, dataset=dict(unlabelled, **pairs))]))

max_epochs = 6
train_cfg = dict(max_epochs=max_epochs, val_interval=3)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, end=100, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=1e-6, T_max=max_epochs, by_epoch=True,
         convert_to_iter_based=True)]
