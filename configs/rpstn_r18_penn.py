# RPSTN with ResNet-18 for both F and P on Penn Action.
_base_ = 'rpstn_penn.py'

imagenet = 'https://download.pytorch.org/models/resnet18-f37072fd.pth'
model = dict(backbone=dict(encoder=dict(depth=18, init_cfg=dict(checkpoint=imagenet))))
