# RPSTN on PoseTrack18: ResNet-50, 256x256, T = 5. Clips of validation and test end at a labelled
# frame, which alone counts. AP is COCO's (OKS); for PoseTrack's own see docs/datasets.md.
_base_ = ['_base_/paper_100e.py', '_base_/rpstn.py']

model = dict(backbone=dict(num_joints=17), head=dict(num_joints=17))

data = dict(type='PoseTrack18ClipDataset', data_root='posetrack18')
train_dataloader = dict(
    dataset=dict(subset='train', pipeline={{_base_.jhmdb_pipeline}}, **data))
val_dataloader = dict(dataset=dict(subset='val', frames_before=4, **data))
test_dataloader = dict(dataset=dict(subset='test', frames_before=4, **data))

ap = dict(type='CocoMetric', use_area=False)
val_evaluator = dict(metrics=[dict(type='VideoPCK', thr=0.2, per_joint=False), ap])
test_evaluator = dict(metrics=[dict(type='VideoPCK', thr=0.2), ap])
