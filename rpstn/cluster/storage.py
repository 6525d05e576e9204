"""Files wherever fsspec reaches them: here, in S3, in Google's storage, on web servers.

What fails now and then is tried again, later each time. What is written is there as a whole or not
at all: here by :func:`rpstn.files.replacing`, in an object store because that is what putting an
object is.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

from rpstn.errors import RPSTNError, one_line
from rpstn.files import remove_partials, replacing
from rpstn.limits import FETCHED_BYTES, LimitError, read_bytes
from rpstn.names import hide_password, hide_passwords

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

SCHEMES = ('s3', 'gs', 'http', 'https', 'file')
"""That are asked for here; fsspec knows others, some of which run or unpack what they are given."""
TRIES, FIRST_WAIT = 5, 0.5
"""How often storage is asked, and seconds until the second time; they double."""
_FOR_GOOD = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, RPSTNError)
_PACKAGES = dict(s3='s3fs', gs='gcsfs', http='aiohttp', https='aiohttp')
T = TypeVar('T')


class StorageError(RPSTNError, OSError):
    """Storage that cannot be read or written; the message is one line, without passwords."""


def is_address(text: str) -> bool:
    """Whether it is something for fsspec, and not the name of a file."""
    return '://' in text and not Path(text).exists()


def open_storage(text: str) -> tuple[AbstractFileSystem, str]:
    """What fsspec has for an address, and the path there.

    Raises:
        StorageError: there is no such kind of storage, or its package is missing.
    """
    from fsspec.core import url_to_fs

    scheme = text.partition('://')[0].lower()
    if scheme not in SCHEMES:
        raise StorageError(
            f'{hide_password(text)}: storage is of {", ".join(f"{name}://" for name in SCHEMES)}'
        )
    try:
        # Others may have written there since.
        fs, path = url_to_fs(scheme + text[len(scheme) :], use_listings_cache=False)
    except ImportError as error:
        raise StorageError(
            f'{hide_password(text)}: needs {_PACKAGES.get(scheme, "another package")} '
            f'({one_line(error)})'
        ) from None
    return fs, path


def tried(shown: str, ask: Callable[[], T]) -> T:
    """What storage answers, asked several times.

    Args:
        shown: the address, for messages; passwords in it are hidden.
        ask: does it; again from the beginning each time.

    Raises:
        StorageError: it fails every time, or for a reason that stays.
    """
    for number in range(1, TRIES + 1):
        try:
            return ask()
        except LimitError as error:
            raise StorageError(f'{hide_password(shown)}: {error}') from None
        except Exception as error:  # each storage has its own, and all of them may pass
            if isinstance(error, _FOR_GOOD) or number == TRIES:
                said = hide_passwords(one_line(error))
                if isinstance(error, FileNotFoundError):
                    said = 'no such file or folder'
                times = '' if isinstance(error, _FOR_GOOD) else f' (tried {TRIES} times)'
                raise StorageError(f'{hide_password(shown)}: {said}{times}') from error
            time.sleep(FIRST_WAIT * 2 ** (number - 1) * random.uniform(0.5, 1))
    raise AssertionError


def file_name(address: str) -> str:
    """The last part of an address, without the query that web servers take.

    >>> file_name('https://club.org/a/squat%201.mp4?token=1')
    'squat 1.mp4'
    """
    if address.lower().startswith('http'):
        address = unquote(urlsplit(address).path)
    return PurePosixPath(address).name


def copied(address: str, folder: Path) -> Path:
    """Where :func:`fetch` puts it."""
    return folder / (file_name(address) or 'video')


def fetch(address: str, folder: Path) -> Path:
    """A copy of a file, in a folder here, by its own name.

    Raises:
        StorageError: it cannot be read, or is larger than ``RPSTN_MAX_FETCHED_BYTES``.
    """
    from fsspec.callbacks import Callback

    class Limited(Callback):
        def relative_update(self, inc: int = 1) -> None:
            super().relative_update(inc)
            FETCHED_BYTES.check(self.value)

    fs, path = open_storage(address)
    target = copied(address, folder)

    def get() -> None:
        fs.get_file(path, str(target), callback=Limited())
        FETCHED_BYTES.check(target.stat().st_size)  # not all tell how far they are

    folder.mkdir(parents=True, exist_ok=True)
    tried(address, get)
    return target


def read_text(text: str) -> str:
    """A text file, here or elsewhere; what is not UTF-8 in it is kept as file names have it."""
    if not is_address(text):
        return os.fsdecode(read_bytes(text))
    fs, path = open_storage(text)
    return os.fsdecode(tried(text, lambda: fs.cat_file(path)))


class Folder:
    """A folder that results go to, here or elsewhere.

    Args:
        text: path or address.

    Raises:
        StorageError: nothing can be written there.
    """

    def __init__(self, text: str) -> None:
        self.text = text.rstrip('/') or text
        self.local: Path | None = None
        if not is_address(text):
            self.local = Path(text).absolute()
        elif text.lower().startswith('http'):
            raise StorageError(f'{hide_password(text)}: --out cannot be on a web server')
        else:
            self.fs, self.path = open_storage(self.text)
            if text.lower().startswith('file://'):
                self.local = Path(self.path)

    def __str__(self) -> str:
        return hide_password(self.text)

    @property
    def place(self) -> str:
        """What the names of files there begin with."""
        return self.text if self.local is None else str(self.local)

    def files(self) -> set[str]:
        """All but hidden files, by their paths below; what a kill has left half here is removed."""
        if self.local is None:
            found = tried(self.text, lambda: self.fs.find(self.path))
            return {str(PurePosixPath(path).relative_to(self.path)) for path in found}
        paths = set()
        for folder, _, names in os.walk(self.local):
            remove_partials(folder)
            here = Path(folder).relative_to(self.local)
            paths |= {(here / name).as_posix() for name in names if not name.startswith('.')}
        return paths

    def read(self, name: str) -> bytes:
        """A file as a whole."""
        if self.local is not None:
            return (self.local / name).read_bytes()
        return tried(f'{self.text}/{name}', lambda: self.fs.cat_file(f'{self.path}/{name}'))

    def write(self, name: str, data: bytes) -> None:
        """Write a file as a whole, in place of one that is there."""
        if self.local is not None:
            with replacing(self.local / name) as partial:
                partial.write_bytes(data)
            return
        target = f'{self.path}/{name}'
        tried(f'{self.text}/{name}', lambda: self.fs.pipe_file(target, data))

    def put(self, file: Path, name: str) -> None:
        """Copy a file there as a whole, in place of one that is there."""
        if self.local is not None:
            with replacing(self.local / name) as partial:
                shutil.copyfile(file, partial)
            return
        target = f'{self.path}/{name}'
        tried(f'{self.text}/{name}', lambda: self.fs.put_file(str(file), target))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        if self.local is not None:
            (self.local / name).unlink(missing_ok=True)
            return
        target = f'{self.path}/{name}'
        tried(f'{self.text}/{name}', lambda: self.fs.exists(target) and self.fs.rm_file(target))
