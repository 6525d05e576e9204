# The non-local block from half of the training on, behind the JRE that has been learned;
# keep=None takes JRE out, as the paper does.
_base_ = '../rpstn_penn.py'

custom_hooks = [
    *_base_.custom_hooks,
    dict(type='RelationSwapHook', epoch=_base_.train_cfg.max_epochs // 2)
]
