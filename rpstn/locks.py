"""Folders that one process at a time may write into."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from .errors import RPSTNError

try:
    import fcntl
except ImportError:  # on Windows, where nothing is locked
    fcntl = None  # type: ignore[assignment]

_held: set[FolderLock] = set()


class LockedError(RPSTNError, BlockingIOError):
    """Another process writes there; the message is one line."""


class FolderLock:
    """Held from here to :meth:`release`, or to the end of this process, however it ends.

    A file in the folder is locked, which says what process holds it, and is gone afterwards. Child
    processes do not hold the lock, so that those which outlive a kill hinder nobody. File systems
    that know no locks do not have any.

    Args:
        folder: that is written into; it must be there.
        instead: what else can be done, for the message.
        name: of the file; what is hidden is nobody's result.

    Raises:
        LockedError: another process, or another lock of this one, holds it.
    """

    def __init__(self, folder: Path, instead: str, name: str = '.lock') -> None:
        self.path = folder / name
        self._number = self._open()
        while not self._lock(instead):
            self._number = self._open()
        _held.add(self)
        with suppress(OSError):  # on a full disk the message below says less
            os.truncate(self._number, 0)
            os.write(self._number, f'{os.getpid()}\n'.encode())

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, 'O_NOFOLLOW', 0), 0o666)

    def _lock(self, instead: str) -> bool:
        """False if the file was removed meanwhile, by who held it before."""
        if fcntl is None:
            return True
        try:
            fcntl.flock(self._number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._number, 20).decode(errors='replace').strip() or 'unknown'
            os.close(self._number)
            raise LockedError(
                f'{self.path.parent}: another process writes there (its number is {holder}); wait '
                f'for it, or {instead}'
            ) from None
        except OSError:  # no locks there
            return True
        try:
            if os.path.samestat(os.fstat(self._number), os.stat(self.path)):
                return True
        except FileNotFoundError:
            pass
        os.close(self._number)
        return False

    def release(self) -> None:
        """Let others in; doing it again changes nothing."""
        if self in _held:
            _held.remove(self)
            self.path.unlink(missing_ok=True)
            os.close(self._number)

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


def _let_go() -> None:
    """In a new child process: its copy would hold the lock after the death of its parent."""
    while _held:
        os.close(_held.pop()._number)


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_let_go)
