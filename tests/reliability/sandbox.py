"""One input in a folder of its own: what happened there, and whether it may."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MEMORY = 2 << 30
"""Bytes that one small input may make the process grow by."""

_WATCHED = ('os.system', 'os.exec', 'os.posix_spawn', 'os.fork', 'os.startfile', 'subprocess.Popen',
            'socket.connect', 'socket.getaddrinfo', 'webbrowser.open', 'pty.spawn')  # fmt: skip
_WRITES = ('open', 'os.remove', 'os.rename', 'os.rmdir', 'os.mkdir', 'os.truncate', 'os.link',
           'os.symlink', 'os.chmod', 'shutil.rmtree', 'shutil.move')  # fmt: skip


class Watch:
    """Python's audit events: nothing is started, asked or written outside of a folder."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.seen: list[str] = []
        sys.addaudithook(self._notice)

    @contextlib.contextmanager
    def of(self, folder: Path) -> Iterator[list[str]]:
        """A list of what should not be."""
        self.folder, self.seen = str(folder), []
        try:
            yield self.seen
        finally:
            self.folder = None

    def _notice(self, event: str, args: tuple) -> None:
        if self.folder is None:
            return
        if event in _WATCHED:
            self.seen.append(f'{event} {args!r:.200}')
        elif event in _WRITES:
            path = args[0]
            if event == 'open' and not _writes(args):
                return
            if not isinstance(path, (str, bytes, os.PathLike)):
                return
            with contextlib.suppress(ValueError, OSError):
                whole = os.path.abspath(os.fsdecode(path))
                if not whole.startswith((self.folder, '/dev/', '/proc/self/')):
                    self.seen.append(f'{event} {whole}')


def _writes(args: tuple) -> bool:
    _, mode, flags = args
    if isinstance(mode, str):
        return any(letter in mode for letter in 'wax+')
    return bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def tree(folder: Path) -> dict[str, tuple]:
    """What tells whether anything below a folder was changed."""
    found = {}
    for root, folders, files in os.walk(os.fsencode(folder)):
        for name in [*folders, *files]:
            path = os.path.join(root, name)
            about = os.lstat(path)
            kept = (about.st_mode, about.st_size, about.st_mtime_ns, about.st_ino)
            # A folder's own times and size change with what is in it.
            found[os.fsdecode(os.path.relpath(path, os.fsencode(folder)))] = (
                kept[:1] if name in folders else kept
            )
    return found


def changes(before: dict[str, tuple], after: dict[str, tuple]) -> list[str]:
    """Paths that came, went or changed."""
    return sorted(
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )


@contextlib.contextmanager
def captured(out: Path, err: Path) -> Iterator[None]:
    """Standard output and error, also what C libraries write, go to files."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    try:
        for number, path in ((1, out), (2, err)):
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, number)
            os.close(file)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in zip((1, 2), kept):
            os.dup2(copy, number)
            os.close(copy)


def peak_memory() -> int:
    """Bytes that this process has had at most since :func:`forget_peak`."""
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith('VmHWM'):
            return int(line.split()[1]) << 10
    return 0


def forget_peak() -> int:
    """Begin anew; what it has now."""
    with contextlib.suppress(OSError):
        Path('/proc/self/clear_refs').write_text('5')
    return peak_memory()


def limit_memory(more: int = 8 << 30) -> None:
    """An input that asks for all there is fails, and not the machine."""
    now = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more, now + more))


def call(door: Callable[[], Any]) -> tuple[int | None, str | None]:
    """Exit status, and the traceback where there was one."""
    try:
        return door() or 0, None
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
            return 1, None
        return stop.code, None
    except BaseException:  # MemoryError, RecursionError, SystemError and all others
        return None, traceback.format_exc(limit=-12)
