"""Decoding while the model computes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar('T')
_END = object()


def read_ahead(items: Iterable[T], ahead: int = 8) -> Iterator[T]:
    """The same items in the same order, made in a thread of their own.

    At most ``ahead`` of them wait, so that a fast decoder does not fill the memory. What the
    thread raises is raised here, after the items before it. The thread ends when this generator
    is closed.
    """
    waiting: queue.Queue = queue.Queue(ahead)
    stop = threading.Event()

    def put(item: object) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        iterator = iter(items)
        try:
            for item in iterator:
                if not put((item, None)):
                    return
            put((_END, None))
        except Exception as error:  # raised by who iterates
            put((_END, error))
        finally:
            # Close the file here and now, not whenever the generator is collected.
            if hasattr(iterator, 'close'):
                iterator.close()

    thread = threading.Thread(target=work, name='rpstn: decoding', daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stop.set()
        thread.join()
