"""Worker processes that outlive the command which started them are quiet about it."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from types import TracebackType

LOST = (ConnectionError, EOFError)
"""What a process meets when the one that it talks to has gone, a broken pipe among it."""


@contextmanager
def quiet_workers() -> Iterator[None]:
    """Workers forked in here, such as a data loader's, print no traceback once nobody listens.

    After Ctrl-C the command ends at its own pace and its workers at theirs. Threads of a worker
    that were handing tensors over (:mod:`multiprocessing.resource_sharer`) then find the
    connection reset, and would tell in thirty lines what the command has told by its status. The
    command's own process is not touched: what fails there is told.
    """
    before, before_in_threads = sys.excepthook, threading.excepthook

    def hook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if not _nobody_listens(kind):
            before(kind, error, traceback)

    def hook_in_threads(args: threading.ExceptHookArgs, /) -> None:
        if not _nobody_listens(args.exc_type):
            before_in_threads(args)

    sys.excepthook, threading.excepthook = hook, hook_in_threads
    try:
        yield
    finally:
        sys.excepthook, threading.excepthook = before, before_in_threads


def _nobody_listens(kind: type[BaseException]) -> bool:
    return issubclass(kind, LOST) and parent_process() is not None
