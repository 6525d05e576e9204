"""Train a model from an MMPose or MMAction2 config.

python tools/train.py configs/rpstn_jhmdb.py --amp
"""

import argparse

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.engine.runner import (
    add_common_arguments,
    build_runner,
    check_mixed_precision,
    drop_unreachable_weights,
    load_config,
    use_mixed_precision,
)


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='go on from this checkpoint, or from the last one in the work folder',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision; bfloat16 on a CPU')
    parser.add_argument('--no-validate', action='store_true', help='do not validate meanwhile')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the real batch size',
    )
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Train."""
    args = parse_args()
    cfg = load_config(args)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        use_mixed_precision(cfg)
        check_mixed_precision()
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise SystemExit(
                f'{args.config}: --auto-scale-lr needs the batch size that the '
                'learning rate was chosen for: '
                'auto_scale_lr = dict(base_batch_size=...)'
            )
        cfg.auto_scale_lr.enable = True
    drop_unreachable_weights(cfg)
    build_runner(cfg).train()


if __name__ == '__main__':
    main()
