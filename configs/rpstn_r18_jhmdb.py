# RPSTN with ResNet-18 for both F and P on JHMDB, split 1.
_base_ = 'rpstn_jhmdb.py'

imagenet = 'https://download.pytorch.org/models/resnet18-f37072fd.pth'
model = dict(backbone=dict(encoder=dict(depth=18, init_cfg=dict(checkpoint=imagenet))))
