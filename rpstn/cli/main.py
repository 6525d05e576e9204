"""The command line `rpstn`; each subcommand lives in the module that does the work."""

import argparse
import sys
from collections.abc import Sequence

from rpstn.errors import RPSTNError, one_line
from rpstn.version import __version__

from . import benchmark as benchmark_command
from . import doctor
from . import export as export_command
from . import infer as infer_command

# Each adds its subcommand by add_parser(subparsers), and imports what it needs only when it runs:
# `rpstn doctor` has to start where the rest would fail.
COMMANDS = (doctor, infer_command, export_command, benchmark_command)


def build_parser() -> argparse.ArgumentParser:
    """The parser with all subcommands; each sets `run`, which takes the parsed arguments."""
    parser = argparse.ArgumentParser(
        prog='rpstn', description='Relation-based human pose estimation in videos.'
    )
    parser.add_argument('--version', action='version', version=f'rpstn {__version__}')
    subparsers = parser.add_subparsers(title='commands', metavar='COMMAND', required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line, by default this process's own, and returns its exit status.

    What a user can mend is said in a line on standard error, with status 1.
    """
    args = build_parser().parse_args(argv)
    try:
        return args.run(args)
    except RPSTNError as error:
        print(one_line(error), file=sys.stderr)
        return 1


if __name__ == '__main__':
    raise SystemExit(main())
