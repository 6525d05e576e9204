# RPSTN on HiEve (Human in Events): ResNet-50, 256x256, T = 5. The test set's labels are not public:
# tested on the videos held out of the training set, with COCO's AP (OKS).
_base_ = ['_base_/paper_100e.py', '_base_/rpstn.py']

model = dict(backbone=dict(num_joints=14), head=dict(num_joints=14))

data = dict(type='HiEveClipDataset', data_root='HIE20')
train_dataloader = dict(
    dataset=dict(subset='train', pipeline={{_base_.jhmdb_pipeline}}, **data))
val_dataloader = dict(dataset=dict(subset='val', **data))
test_dataloader = val_dataloader

ap = dict(type='CocoMetric', use_area=False)
val_evaluator = dict(metrics=[dict(type='VideoPCK', thr=0.2, per_joint=False), ap])
test_evaluator = dict(metrics=[dict(type='VideoPCK', thr=0.2), ap])
