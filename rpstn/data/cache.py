"""Parsed annotations kept as plain arrays, so that thousands of files are read only once."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from rpstn.data_files import read_npz
from rpstn.files import replacing, sha256

from .paths import cache_directories

# Raise when what is parsed, or how, changes.
_FORMAT = 1


def cached_arrays(
    name: str, data_root: Path, files: Iterable[Path], parse: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """``parse()``, or what it gave before for the very same files.

    The cache is an ``.npz`` that is read without pickle, so nothing in it can run. It counts only
    while every file has the name and content it had: sizes and times of modification stay the same
    where a file is edited and copied with its times, and hashing the 2326 files of Penn Action
    takes 0.12 s. One that is damaged or out of date is ignored and written anew, through a
    temporary file, so that no reader ever sees a part of it.

    Args:
        name: of the data set, e.g. ``'penn_action'``.
        data_root: folder of the data, where the cache lies if it can be written.
        files: all files that ``parse`` reads.
        parse: gives arrays of numbers, flags or strings.
    """
    data_root = Path(data_root).resolve()
    key = _fingerprint(data_root, files)
    root = hashlib.sha256(os.fsencode(data_root)).hexdigest()[:12]
    paths = [
        folder / (f'.rpstn_{name}.npz' if folder == data_root else f'{name}-{root}.npz')
        for folder in cache_directories(data_root)
    ]
    for path in paths:
        arrays = _read(path, key)
        if arrays is not None:
            return arrays
    arrays = parse()
    if not any(_write(path, {**arrays, 'fingerprint': np.array(key)}) for path in paths):
        print_log(
            f'parsed annotations of {data_root} could not be cached in any of '
            f'{", ".join(str(p.parent) for p in paths)}; they are parsed at every start',
            logger='current',
            level=logging.WARNING,
        )
    return arrays


def _fingerprint(data_root: Path, files: Iterable[Path]) -> str:
    digest = hashlib.sha256(f'{_FORMAT}'.encode())
    for file in sorted(map(Path, files)):
        digest.update(os.fsencode(os.path.relpath(file, data_root)))
        # A folder of frames is the names in it: how many there are is all that is parsed of it.
        content = '|'.join(sorted(os.listdir(file))) if file.is_dir() else sha256(file)
        digest.update(os.fsencode(f'|{content}\n'))
    return digest.hexdigest()


def _read(path: Path, key: str) -> dict[str, np.ndarray] | None:
    try:
        arrays = read_npz(path)
        if str(arrays.pop('fingerprint')) != key:
            return None
        return arrays
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        print_log(
            f'{path}: damaged cache of annotations is ignored and written anew '
            f'({type(error).__name__}: {error})',
            logger='current',
            level=logging.WARNING,
        )
        return None


def _write(path: Path, arrays: dict[str, np.ndarray]) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Root may write anywhere; a folder that is marked read-only is meant to stay as it is.
        if not path.parent.stat().st_mode & 0o222:
            return False
        with replacing(path) as partial:
            np.savez(partial, **arrays)
        return True
    except OSError:
        return False
