# JHMDB's 15 joints from BlazePose's features, which stay frozen: trained on so few videos they
# unlearn left and right. The weights are those that blazepose33.py starts from.
_base_ = '../baseline_jhmdb.py'

model = dict(
    data_preprocessor=dict(mean=[0.] * 3, std=[255.] * 3),
    backbone=dict(
        _delete_=True, type='BlazePose', out_indices=(0, ), frozen=True,
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/blazepose/full.pth', prefix='backbone.')),
    head=dict(
        in_channels=48, deconv_out_channels=None, conv_out_channels=(96, ),
        conv_kernel_sizes=(5, )))
