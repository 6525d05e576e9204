"""Write a trained RPSTN as ONNX graphs, and check them.

    rpstn export configs/rpstn_jhmdb.py work_dirs/rpstn_jhmdb/best.pth --out exported
    rpstn export ... --calibrate train --clips test       8-bit integers, too; checked on real clips

Writes DIR/start.onnx (a person's first frame), DIR/step.onnx (every further frame, state in and
state out), DIR/clip.onnx (clips of T frames), the same as .int8.onnx where there are clips to
calibrate by, and DIR/export.json. All or nothing is written. At the end every engine and
precision that is installed runs them, against PyTorch in float32. docs/cli/export.md tells more.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from rpstn.choices import WEIGHT_BITS

from .options import Subparsers, add_cfg_options, count
from .printing import say

if TYPE_CHECKING:
    pass


def add_parser(subparsers: Subparsers) -> None:
    """Adds the verb to the command line."""
    parser = subparsers.add_parser(
        'export',
        help='ONNX graphs of a trained model',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('config', help='config file')
    add('checkpoint', help='checkpoint file')
    add('--out', type=Path, required=True, metavar='DIR', help='folder of the graphs')
    add(
        '--clip-len',
        type=count,
        metavar='T',
        help="frames of the clip graph (default: the config's, or 5)",
    )
    add(
        '--clips',
        nargs='+',
        default=[],
        metavar='CLIPS',
        help="real clips for the check: videos, or parts of the config's data, 'train', 'val' or "
        "'test' (default: random blobs)",
    )
    add(
        '--calibrate',
        nargs='+',
        default=[],
        metavar='CLIPS',
        help='clips to calibrate 8-bit integers by, given likewise',
    )
    add(
        '--keep-float',
        nargs='+',
        default=[],
        metavar='NAME',
        help='convolutions with this in their name stay in float where others are 8-bit integers, '
        'e.g. layer3 deconv: fewer joints move, and it takes longer',
    )
    add(
        '--weight-bits',
        type=int,
        choices=WEIGHT_BITS,
        help='of weights as integers: 8 are nearer to float; 7 are right on processors without '
        'VNNI or AMX, too (default: 8 where this processor can)',
    )
    add(
        '--limit',
        type=count,
        metavar='N',
        help='clips of each kind, --clips and --calibrate, that are used (default: 16)',
    )
    add_cfg_options(parser)
    parser.set_defaults(run=run, needs=('rpstn.deploy.run',))


def run(args: argparse.Namespace) -> int:
    """Export, and check."""
    from rpstn.deploy.run import ExportOptions, export
    from rpstn.engine.configs import parse_settings

    given = {field.name: getattr(args, field.name) for field in fields(ExportOptions)}
    given['cfg_options'] = parse_settings(args.cfg_options, '--cfg-options')
    export(ExportOptions(**given), say)
    return 0
