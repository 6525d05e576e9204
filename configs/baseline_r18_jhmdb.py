# The single-frame baseline of rpstn_r18_jhmdb.py.
_base_ = 'baseline_jhmdb.py'

imagenet = 'https://download.pytorch.org/models/resnet18-f37072fd.pth'
model = dict(
    backbone=dict(depth=18, init_cfg=dict(checkpoint=imagenet)), head=dict(in_channels=512))
