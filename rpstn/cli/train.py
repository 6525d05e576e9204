"""Train a model from an MMPose or MMAction2 config.

rpstn train configs/rpstn_jhmdb.py --amp
"""

import argparse

from .options import Subparsers, add_runner_options


def add_parser(subparsers: Subparsers) -> None:
    """Adds the verb to the command line."""
    parser = subparsers.add_parser(
        'train',
        help='a model from a config',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_runner_options(parser)
    add = parser.add_argument
    add(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint, or from the last one in the work folder',
    )
    add('--amp', action='store_true', help='mixed precision; bfloat16 on a CPU')
    add('--no-validate', action='store_true', help='do not validate meanwhile')
    add(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the real batch size',
    )
    parser.set_defaults(run=run, needs=('rpstn.engine.run', 'rpstn.pose'))


def run(args: argparse.Namespace) -> int:
    """Train."""
    from rpstn.engine.run import RunOptions, train

    train(
        args.config,
        RunOptions.of(vars(args)),
        resume=args.resume,
        amp=args.amp,
        validate=not args.no_validate,
        auto_scale_lr=args.auto_scale_lr,
    )
    return 0
