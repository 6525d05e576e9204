# As rpstn_resnet18.py, with the ResNet-50 of single_pretrain_resnet50.py.
_base_ = 'rpstn_resnet18.py'

single = 'work_dirs/single_pretrain_resnet50/epoch_18.pth'
model = dict(
    backbone=dict(encoder=dict(depth=50), pretrained=dict(checkpoint=single)),
    head=dict(propagator=dict(pretrained=single)))
