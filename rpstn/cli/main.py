"""The command line `rpstn`: what went wrong in one line, and the exit status."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from rpstn.cli.workers import quiet_workers
from rpstn.errors import RPSTNError
from rpstn.version import __version__

VERBS = ('train', 'test', 'infer', 'export', 'benchmark', 'doctor')
"""Each has a module here with ``add_parser(subparsers)``. Its parser sets ``run``, which takes the
parsed arguments and returns the exit status, and ``needs``, what is imported before: that takes
time, so help comes without it, and `rpstn doctor` where it fails.
"""

INTERRUPTED = 130


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
        0; 1 after a line on what a user can mend; 130 after Ctrl-C.
    """
    interrupted = _Interrupted()
    try:
        args = build_parser().parse_args(argv)
        with interrupted.at_once():
            _import(args.needs)
        with interrupted.noticed(), quiet_workers():
            return args.run(args)
    except (RPSTNError, OSError) as error:
        print(str(error).strip() or type(error).__name__, file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        print(f'\n{stop}'.rstrip(), file=sys.stderr)
        return INTERRUPTED
    except Exception:
        if interrupted.seen:  # and made an error of, as MMEngine does
            return INTERRUPTED
        raise


def _import(modules: Sequence[str]) -> None:
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            raise RPSTNError(f'{error}; `rpstn doctor` tells what to install') from error


class _Interrupted:
    """Ctrl-C, whatever other packages make of it; only the main thread is told."""

    def __init__(self) -> None:
        self.seen = False

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """It ends the process, as nothing is lost while the stack is imported.

        A KeyboardInterrupt is not to be had there: torch, which imports NumPy from C++, would drop
        it, and go on with half of a NumPy.
        """
        with self._handled(lambda *_: os._exit(INTERRUPTED)):
            yield

    @contextmanager
    def noticed(self) -> Iterator[None]:
        """It is a KeyboardInterrupt, and remembered."""

        def notice(*_: object) -> None:
            self.seen = True
            raise KeyboardInterrupt

        with self._handled(notice):
            yield

    @contextmanager
    def _handled(self, handler: Callable[..., None]) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, handler)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
