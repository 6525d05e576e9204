# ResNet-50 for both F and P: rpstn_penn.py as it is, but not so on another base.
_base_ = '../rpstn_penn.py'

# With ImageNet's weights, where the base has them.
model = dict(backbone=dict(encoder=dict(
    depth=50,
    init_cfg=_base_.model.backbone.encoder.init_cfg and dict(
        checkpoint='https://download.pytorch.org/models/resnet50-0676ba61.pth'))))
