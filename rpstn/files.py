"""Files written whole or not at all, told apart by their bytes, and sorted as people count.

Whatever this package writes goes through here: beside its place, every byte of it, down to the
disk, and only then into its place, so that a full disk, a kill or a power cut leaves the former
file or the new one. What grows while it can be seen is of :mod:`rpstn.growing_files`.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import RPSTNError
from .locks import FolderLock


class WriteError(RPSTNError, OSError):
    """A file that cannot be written, on a full disk for one; the message names it."""


class ExistsError(RPSTNError, FileExistsError):
    """A file that is in the way, and was not asked to be replaced; the message names it."""


@contextmanager
def naming(path: str | os.PathLike, partial: Path | None = None) -> Iterator[None]:
    """Make a :class:`WriteError` that names ``path`` of what the system says when it is written.

    Errors that name another file than it, or ``partial``, are left alone.
    """
    try:
        yield
    except WriteError as error:
        if partial is None:
            raise
        raise WriteError(str(error).replace(str(partial), str(path))) from error
    except OSError as error:
        named = (None, os.fspath(path), partial and os.fspath(partial))
        if isinstance(error, RPSTNError) or error.filename not in named:
            raise
        raise WriteError(f'{path}: cannot be written ({error.strerror or error})') from error


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A hidden path beside ``path``, whose file takes its place if all goes well.

    After an error, or Ctrl-C, it is gone, and what lay at ``path`` before is as it was; after a
    power cut either is there, whole. The folder is made if need be. The suffix is kept, as many
    writers go by it.

        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / 'figures.json'
        >>> with replacing(target) as partial:
        ...     _ = partial.write_text('{}')
        >>> target.read_text()
        '{}'

    Raises:
        WriteError: it cannot be written.
    """
    path = Path(path)
    # In the same folder, so that moving is renaming; short, as `path` may be as long as can be;
    # and by a name that nobody can have put a link at.
    suffix = path.suffix if len(path.suffix) < 16 else ''
    partial = path.with_name(f'.{secrets.token_hex(8)}.partial{suffix}')
    with naming(path, partial):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            sync(partial)
            os.replace(partial, path)
            sync(path.parent)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def staging(folder: str | os.PathLike) -> Iterator[Path]:
    """A hidden folder inside ``folder`` whose files move up into it if all goes well.

    As :func:`replacing`, for several files that belong together.

    Raises:
        WriteError: they cannot be written. LockedError: another process writes there.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with naming(folder), FolderLock(folder, 'choose another folder', '.incomplete.lock'):
        hidden = Path(tempfile.mkdtemp(prefix='.incomplete-', dir=folder))
        try:
            yield hidden
            files = sorted(hidden.iterdir())
            for file in files:
                sync(file)
            for file in files:
                os.replace(file, folder / file.name)
            sync(folder)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Write a file, whole or not at all; see :func:`replacing`."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_text(path: str | os.PathLike, content: str) -> None:
    """Write a file in UTF-8, whole or not at all; see :func:`replacing`."""
    write_bytes(path, content.encode())


def remove_partials(folder: str | os.PathLike) -> None:
    """Remove what a kill in :func:`replacing` has left, where nobody else can be writing."""
    for path in Path(folder).glob('.*.partial*'):
        if re.fullmatch(r'\.[0-9a-f]{16}\.partial(\.\w+)?', path.name):
            path.unlink(missing_ok=True)


def sync(path: str | os.PathLike) -> None:
    """Bring a file, or the names in a folder, down to the disk, where a power cut leaves them.

    Some file systems report only now that there was no room.
    """
    if os.path.isdir(path):
        with suppress(OSError):  # not all can
            _sync(path, os.O_RDONLY)
    else:
        _sync(path, os.O_RDWR)


def _sync(path: str | os.PathLike, flags: int) -> None:
    number = os.open(path, flags)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def refuse_existing(paths: Iterable[Path]) -> None:
    """Raise an :class:`ExistsError` if one of the files is there already, or a link."""
    for path in paths:
        if os.path.lexists(path):
            raise ExistsError(
                f'{path}: is there already; add --overwrite to replace it, or choose another --out'
            )


def sha256(path: str | os.PathLike) -> str:
    """Of a file's bytes, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts numbers in names by their value.

    >>> sorted(['10.jpg', '2.jpg'], key=natural)
    ['2.jpg', '10.jpg']
    """
    return [(int(part), '') if part.isdigit() else (-1, part) for part in re.split(r'(\d+)', name)]


def is_stray(path: Path) -> bool:
    """Whether operating systems and file servers leave files or folders of this name anywhere.

    >>> [is_stray(Path(name)) for name in ('._squat.mp4', 'Thumbs.db', 'squat.mp4')]
    [True, True, False]
    """
    return path.name.startswith('.') or path.name.lower() in _STRAYS


_STRAYS = ('thumbs.db', 'ehthumbs.db', 'desktop.ini', 'icon\r', '__macosx', '@eadir')
