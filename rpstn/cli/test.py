"""Test a checkpoint with an MMPose or MMAction2 config.

rpstn test configs/rpstn_jhmdb.py work_dirs/rpstn_jhmdb/best.pth --show-dir drawn
"""

import argparse

from .options import Subparsers, add_runner_options


def add_parser(subparsers: Subparsers) -> None:
    """Adds the verb to the command line."""
    parser = subparsers.add_parser(
        'test',
        help='a checkpoint on the data of its config',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_runner_options(parser)
    add = parser.add_argument
    add('checkpoint', help='checkpoint file')
    add('--out', metavar='FILE', help='file for the figures, .json, .yaml or .pkl')
    add('--dump', metavar='FILE', help='file for the predictions, .pkl')
    parser.set_defaults(run=run, needs=('rpstn.engine.run', 'rpstn.pose'))


def run(args: argparse.Namespace) -> int:
    """Test."""
    from rpstn.engine.run import RunOptions, test

    test(args.config, args.checkpoint, RunOptions.of(vars(args)), out=args.out, dump=args.dump)
    return 0
