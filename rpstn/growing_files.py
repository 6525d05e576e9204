"""Files that are written piece by piece, and whole after each."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from .files import WriteError, naming


class NewFile:
    """A new file, in place of any other, of which every byte is written or an error is raised.

    What lies at ``path`` is removed, not written to, as it may be a link to something else.

    Raises:
        WriteError: it, or a method, cannot do it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with naming(path):
            path.unlink(missing_ok=True)
            # Unbuffered: what is written is in the file, whatever happens to this process.
            self._file = open(path, 'xb', buffering=0)

    def write(self, data: bytes) -> int:
        """Write all of it: the system may take a part only, which is no error there."""
        with naming(self.path):
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of files."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As of files."""
        return self._file.tell()

    def sync(self) -> None:
        """Bring it down to the disk."""
        with naming(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Only what :meth:`sync` has done outlasts a power cut."""
        with naming(self.path):
            self._file.close()


class GrowingFile(NewFile):
    """A file that is whole after every piece.

    Each piece is written together with the file's end, which the next one overwrites. After one
    for which there is no room the file is as it was before.

    Args:
        path: of the file.
        start: what it begins with.
        end: of the file, whatever lies before it.
        keep: take up the file that is there, if so many bytes, and cut it behind them.
    """

    def __init__(self, path: Path, start: bytes = b'', end: bytes = b'', keep: int = 0) -> None:
        self._end = end
        if keep:
            self.path = path
            with naming(path):
                self._file = open(path, 'r+b', buffering=0, opener=_not_through_links)
                self._file.truncate(keep)
            self._size = keep
        else:
            super().__init__(path)
            self._size = self.write(start + end)

    def append(self, piece: bytes) -> None:
        """Append a piece, all or nothing."""
        position = self._size - len(self._end)
        try:
            self.seek(position)
            self.write(piece + self._end)
        except WriteError:
            with suppress(OSError):  # the end first: its place needs no room
                self.seek(position)
                self._file.write(self._end)
                self._file.truncate(self._size)
            raise
        self._size += len(piece)


def _not_through_links(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, 'O_NOFOLLOW', 0))
