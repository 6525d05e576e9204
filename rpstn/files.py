"""Files written whole or not at all, told apart by their bytes, and sorted as people count."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A hidden path beside ``path``, whose file takes its place if all goes well.

    After an error, or Ctrl-C, it is gone, and what lay at ``path`` before is as it was. The folder
    is made if need be. The suffix is kept, as many writers go by it.

        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / 'figures.json'
        >>> with replacing(target) as partial:
        ...     _ = partial.write_text('{}')
        >>> target.read_text()
        '{}'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, so that moving is renaming.
    partial = path.with_name(f'.{path.stem}.{os.getpid()}.partial{path.suffix}')
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def staging(folder: str | os.PathLike) -> Iterator[Path]:
    """A hidden folder inside ``folder`` whose files move up into it if all goes well.

    As :func:`replacing`, for several files that belong together.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    hidden = Path(tempfile.mkdtemp(prefix='.incomplete-', dir=folder))
    try:
        yield hidden
        for file in sorted(hidden.iterdir()):
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


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
