# As single_pretrain.py, with a ResNet-18 from scratch and deconvolutions instead, and three times
# the epochs: no ImageNet weights of a ResNet come with a package.
_base_ = 'single_pretrain.py'

model = dict(
    backbone=dict(_delete_=True, type='ResNet', depth=18),
    head=dict(in_channels=512, deconv_out_channels=(_base_.channels, ) * 3))
max_epochs = 36
train_cfg = dict(max_epochs=max_epochs, val_interval=6)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, end=100, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=1e-6, T_max=max_epochs, by_epoch=True,
         convert_to_iter_based=True)]
