# What every config shares, on top of MMPose's own runtime.
_base_ = 'mmpose::_base_/default_runtime.py'

custom_imports = dict(imports=['rpstn'], allow_failed_imports=False)

default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(
        interval=1, max_keep_ckpts=2, save_best='torso_PCK@0.2/mean', rule='greater'),
    visualization=dict(type='ClipVisualizationHook'))

# Fixed, so that a repeated run on the CPU gives the same loss.
randomness = dict(seed=0)

vis_backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
visualizer = dict(vis_backends=vis_backends)
