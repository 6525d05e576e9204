# As single_pretrain_resnet18.py, with a ResNet-50 and half of the epochs: each takes three times as
# long.
_base_ = 'single_pretrain_resnet18.py'

model = dict(backbone=dict(depth=50), head=dict(in_channels=2048))
max_epochs = 18
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, end=100, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=1e-6, T_max=max_epochs, by_epoch=True,
         convert_to_iter_based=True)]
