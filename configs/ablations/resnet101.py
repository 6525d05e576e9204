# ResNet-101 for both F and P.
_base_ = '../rpstn_penn.py'

# With ImageNet's weights, where the base has them.
model = dict(backbone=dict(encoder=dict(
    depth=101,
    init_cfg=_base_.model.backbone.encoder.init_cfg and dict(
        checkpoint='https://download.pytorch.org/models/resnet101-63fe2227.pth'))))
