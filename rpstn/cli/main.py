"""The command line `rpstn`: what went wrong in one line, and the exit status."""

import argparse
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from rpstn.cli.printing import say
from rpstn.cli.workers import quiet_workers
from rpstn.errors import RPSTNError
from rpstn.version import __version__

VERBS = ('train', 'test', 'infer', 'assess', 'serve', 'export', 'benchmark', 'doctor')
"""Each has a module here with ``add_parser(subparsers)``. Its parser sets ``run``, which takes the
parsed arguments and returns the exit status, and ``needs``, what is imported before: that takes
time, so help comes without it, and `rpstn doctor` where it fails.
"""

INTERRUPTED = 130
_STOPS = (signal.SIGINT, signal.SIGTERM)
"""What asks a command to stop: Ctrl-C; `kill`, the end of a session, or of a job's time."""


def build_parser() -> argparse.ArgumentParser:
    """The parser with all verbs; each sets ``run``, which takes the parsed arguments."""
    parser = argparse.ArgumentParser(
        prog='rpstn', description='Human pose in video, and exercise form, by joint relations.'
    )
    parser.add_argument('--version', action='version', version=f'rpstn {__version__}')
    subparsers = parser.add_subparsers(title='commands', metavar='COMMAND', required=True)
    for verb in VERBS:
        import_module(f'rpstn.cli.{verb}').add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line, by default this process's own.

    Returns:
        What the verb answers, 0 where all went well; 1 after a line on what a user can mend; 130
        after Ctrl-C, 143 after SIGTERM.
    """
    interrupted = _Interrupted()
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == 'strict':
        sys.stdout.reconfigure(errors='backslashreplace')  # other packages print names of files
    try:
        args = build_parser().parse_args(argv)
        with interrupted.at_once():
            _import(args.needs)
        with interrupted.noticed(), quiet_workers():
            return args.run(args)
    except (RPSTNError, OSError) as error:
        say(str(error).strip() or type(error).__name__, sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        say(f'\n{stop}'.rstrip(), sys.stderr)
        return interrupted.status or INTERRUPTED
    except Exception:
        if interrupted.status:  # and made an error of, as MMEngine does
            return interrupted.status
        raise


def _import(modules: Sequence[str]) -> None:
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            raise RPSTNError(f'{error}; `rpstn doctor` tells what to install') from error


class _Interrupted:
    """Ctrl-C or SIGTERM, whatever other packages make of it; only the main thread is told."""

    def __init__(self) -> None:
        self.status = 0
        """That of a process which a signal ended, once it came."""

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """It ends the process, as nothing is lost while the stack is imported.

        A KeyboardInterrupt is not to be had there: torch, which imports NumPy from C++, would drop
        it, and go on with half of a NumPy.
        """
        with self._handled(lambda number, _: os._exit(128 + number)):
            yield

    @contextmanager
    def noticed(self) -> Iterator[None]:
        """It is a KeyboardInterrupt, and remembered."""

        def notice(number: int, _: object) -> None:
            self.status = 128 + number
            raise KeyboardInterrupt

        with self._handled(notice):
            yield

    @contextmanager
    def _handled(self, handler: Callable[..., None]) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = [signal.signal(number, handler) for number in _STOPS]
        try:
            yield
        finally:
            for number, handled in zip(_STOPS, before):
                signal.signal(number, handled)
