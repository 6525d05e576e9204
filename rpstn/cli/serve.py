"""A page on this machine: drop a video, get the report of `rpstn assess`.

    rpstn serve

prints its address, which only this machine reaches, with the token that lets in. Videos are
assessed one at a time; videos and reports are removed after a while, and all of them when the page
is stopped. docs/cli/serve.md tells more. Needs: pip install fastapi uvicorn
"""

from __future__ import annotations

import argparse

from .options import Subparsers, count


def add_parser(subparsers: Subparsers) -> None:
    """Adds the verb to the command line."""
    parser = subparsers.add_parser(
        'serve',
        help='a local page that takes videos and gives reports',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('--port', type=int, default=8642, help='of 127.0.0.1; 0: any (default: %(default)s)')
    add(
        '--max-mb',
        type=count,
        default=500,
        metavar='MB',
        help='of one video (default: %(default)s)',
    )
    add(
        '--max-seconds',
        type=count,
        default=600,
        metavar='S',
        help='that a video may last (default: %(default)s)',
    )
    add(
        '--keep',
        type=count,
        default=60,
        metavar='MINUTES',
        help='after which a report is removed (default: %(default)s)',
    )
    parser.set_defaults(run=run, needs=('rpstn.assess.run',))


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from rpstn.assess.serving.jobs import Limits
    from rpstn.assess.serving.run import serve

    limits = Limits(bytes=10**6 * args.max_mb, seconds=args.max_seconds, keep=args.keep)
    serve(args.port, limits, print)
    return 0
