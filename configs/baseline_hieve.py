# The single-frame baseline of rpstn_hieve.py.
_base_ = ['_base_/paper_100e.py', '_base_/single_frame.py']

model = dict(head=dict(out_channels=14))

data = dict(type='HiEveClipDataset', data_root='HIE20')
train_dataloader = dict(
    dataset=dict(subset='train', pipeline={{_base_.jhmdb_pipeline}}, **data))
val_dataloader = dict(dataset=dict(subset='val', **data))
test_dataloader = val_dataloader

ap = dict(type='CocoMetric', use_area=False)
val_evaluator = dict(metrics=[dict(type='VideoPCK', thr=0.2, per_joint=False), ap])
test_evaluator = dict(metrics=[dict(type='VideoPCK', thr=0.2), ap])
