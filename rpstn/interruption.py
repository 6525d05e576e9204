"""Ctrl-C and SIGTERM held back where they would be lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_STOPS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """What Python makes of these signals, such as a KeyboardInterrupt, comes at the end.

    A library that calls Python back drops what is raised there, and goes on. Only the main thread
    is ever interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    handlers: dict[int, Callable] = {}
    try:
        for stop in _STOPS:
            handler = signal.getsignal(stop)
            if callable(handler):  # and not the system's own, which ends the process
                handlers[stop] = handler
                signal.signal(stop, lambda number, frame: came.append((number, frame)))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for number, frame in came[:1]:
        handlers[number](number, frame)
