# The single-frame baseline of rpstn_posetrack18.py.
_base_ = ['_base_/paper_100e.py', '_base_/single_frame.py']

model = dict(head=dict(out_channels=17))

data = dict(type='PoseTrack18ClipDataset', data_root='posetrack18')
train_dataloader = dict(
    dataset=dict(subset='train', pipeline={{_base_.jhmdb_pipeline}}, **data))
val_dataloader = dict(dataset=dict(subset='val', frames_before=4, **data))
test_dataloader = dict(dataset=dict(subset='test', frames_before=4, **data))

ap = dict(type='CocoMetric', use_area=False)
val_evaluator = dict(metrics=[dict(type='VideoPCK', thr=0.2, per_joint=False), ap])
test_evaluator = dict(metrics=[dict(type='VideoPCK', thr=0.2), ap])
