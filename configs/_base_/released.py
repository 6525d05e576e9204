# The network that the authors released, where it differs from the paper, and its input: RGB in
# [0, 1], the person's box cut out with no margin and stretched. tools/data/convert_checkpoint.py
# writes configs for released weights from this one.
_base_ = 'rpstn.py'

model = dict(
    data_preprocessor=dict(mean=[0., 0., 0.], std=[255., 255., 255.], bgr_to_rgb=True),
    backbone=dict(
        initializer=dict(
            type='ResNet',
            depth=101,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='https://download.pytorch.org/models/resnet101-63fe2227.pth'))),
    head=dict(
        norms='shared', relation=dict(layout='released'), propagator=dict(norms='shared')))

load = [dict(type='LoadClip'), dict(type='ClipBBox', mode='frame', padding=1.)]
crop = dict(type='TopdownStretch', input_size={{_base_.codec.input_size}})
target = dict(type='GenerateTarget', encoder={{_base_.codec}})
pack = [dict(type='PackClipInputs')]
flip = dict(type='RandomFlip', direction='horizontal')
rotate = dict(type='RandomBBoxTransform', shift_prob=0., rotate_factor=40., rotate_prob=0.8)
train_pipeline = [
    *load,
    dict(type='ForEachFrame', transforms=[flip, dict(rotate, scale_prob=0.), crop, target]), *pack
]
jhmdb_pipeline = [
    *load,
    dict(type='ForEachFrame', transforms=[
        flip, dict(rotate, scale_factor=(0.8, 1.4)), crop, target]), *pack
]
val_pipeline = [*load, dict(type='ForEachFrame', transforms=[crop]), *pack]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=val_pipeline))
