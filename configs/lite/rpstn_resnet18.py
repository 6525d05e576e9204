# As rpstn_lite.py, from the ResNet-18 of single_pretrain_resnet18.py, which is frozen; its
# deconvolutions learn on.
_base_ = 'rpstn_lite.py'

single = 'work_dirs/single_pretrain_resnet18/epoch_36.pth'
model = dict(
    backbone=dict(
        encoder=dict(_delete_=True, type='ResNet', depth=18, frozen_stages=4),
        pretrained=dict(checkpoint=single)),
    head=dict(propagator=dict(pretrained=single)))
