"""What several verbs have in common: kinds of values, and options under one name."""

import argparse
from typing import TypeAlias

from rpstn.choices import LAUNCHERS
from rpstn.video.part import Moment

# In quotes: up to Python 3.10 the class takes no argument when it runs.
Subparsers: TypeAlias = 'argparse._SubParsersAction[argparse.ArgumentParser]'
"""What the verbs' ``add_parser`` adds to."""


def count(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f'must be a whole number of at least 1, got {text!r}')
    return number


def moment(text: str) -> Moment:
    """A frame's number, or seconds as in 10s."""
    try:
        return Moment.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """``--cfg-options``; :func:`rpstn.engine.configs.parse_settings` reads them."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='settings of the config to replace',
    )


def add_runner_options(parser: argparse.ArgumentParser) -> None:
    """The options that MMPose's train and test tools share."""
    add = parser.add_argument
    add('config', help='config file')
    add('--work-dir', metavar='DIR', help='folder of logs, checkpoints and results')
    add('--show-dir', metavar='DIR', help='folder of videos with the predictions drawn')
    add('--show', action='store_true', help='show the predictions in a window')
    add('--interval', type=count, metavar='N', help='draw every N-th sequence (default: every one)')
    add(
        '--wait-time',
        type=float,
        metavar='SECONDS',
        help='how long a frame stays that --show shows (default: 0)',
    )
    add_cfg_options(parser)
    add('--launcher', choices=LAUNCHERS, default='none', help='job launcher (default: %(default)s)')
    add('--local_rank', '--local-rank', type=int, default=0, help="a launcher's number")
