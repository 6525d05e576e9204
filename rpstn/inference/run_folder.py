"""Where results lie while they are being made, so that an interrupted run can be taken up again.

A run writes into ``OUT/NAME.incomplete/``. When it is complete its files move up into OUT, and
what was there before stays until then. After a kill, a crash or Ctrl-C the folder stays, with
every file in it up to the last frame (smoothed ones up to those that wait for later frames) but the
video and the NPZ, which need their end; and with ``journal.jsonl``: a line on what the run is, and
then the bare results of each frame in full precision. From these, and the input, all other files
can be made again without asking the model.

A power cut costs the last seconds of work: the journal is brought down to the disk every so many,
and so are the results of a run that took as long, and those that replace others.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from rpstn.errors import RPSTNError
from rpstn.files import is_stray, refuse_existing, sync
from rpstn.growing_files import GrowingFile
from rpstn.locks import FolderLock
from rpstn.results import FrameResult

JOURNAL = 'journal.jsonl'
COMPLETE = 'complete.json'
"""Names of the files that are being moved into place."""
_SYNC_EVERY = 5.0
"""Seconds of work that a power cut may cost; more where the disk is slow, see below."""


class RunError(RPSTNError, RuntimeError):
    """A run that cannot begin, or be taken up again; the message is one line."""


class RunFolder:
    """The results of one video on their way; no other process can write there until :meth:`close`.

    Args:
        out: folder of the complete results.
        name: of the results.
        about: all that the bare results depend on, as plain JSON values.
        resume: take up the run that was interrupted, if there is one.

    Raises:
        RunError: there is an interrupted run, and ``resume`` is not set, or it is another run, or
            the folder is of something else. LockedError: the run goes on, in another process.
    """

    _file: GrowingFile
    """The journal, open within a ``with`` statement."""

    def __init__(self, out: Path, name: str, about: dict, resume: bool = False) -> None:
        self.out = out
        self.folder = folder_of(out, name)
        self.about = json.loads(json.dumps(about))
        self.known = 0
        """Frames that an earlier run has done."""
        self._whole = 0
        """Bytes of the journal that are of whole lines."""
        self._sum = 0
        """Of these lines, see :func:`_line`."""
        self._began = time.monotonic()
        self._made = [path for path in (out, *out.parents) if not path.exists()]
        self._written = 0
        if self.folder.is_symlink():
            raise RunError(f'{self.folder}: is a link, through which nothing is written; remove it')
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(self.folder, 'use another --out')
        try:
            found = [file for file in self.folder.iterdir() if not is_stray(file)]
            if not any(file.name != COMPLETE for file in found):
                return
            if not resume:
                raise RunError(
                    f'{self.folder}: holds the results of an interrupted run; add --resume '
                    'to go on with it, or delete the folder'
                )
            for file in found:
                own = file.name in (JOURNAL, COMPLETE) or file.name.startswith(f'{name}.')
                if not own or file.is_symlink() or not file.is_file():
                    raise RunError(f'{file}: is not of an interrupted run; move it away')
            self.known = self._check()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> RunFolder:
        first, total = _line(self.about)
        if not self.known:
            self._whole, self._sum = 0, total
        self._file = GrowingFile(self.folder / JOURNAL, first, keep=self._whole)
        self._sync_at = time.monotonic() + _SYNC_EVERY
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def close(self) -> None:
        """Let others write there; doing it again changes nothing."""
        self._lock.release()

    def results(self, meta: Mapping[str, Any] | None = None) -> Iterator[FrameResult]:
        """Those of the earlier run, without images, of the model's joints."""
        if not self.known:
            return
        with open(self.folder / JOURNAL, encoding='utf-8') as file:
            for line in islice(file, 1, 1 + self.known):
                yield FrameResult.from_dict(json.loads(line)['record'], meta)

    def write(self, result: FrameResult) -> None:
        """Note one frame; those of the earlier run, which come first again, are noted already."""
        self._written += 1
        if self._written > self.known:
            line, self._sum = _line(result.to_dict(), self._sum)
            self._file.append(line)
            began = time.monotonic()
            if began > self._sync_at:
                self._file.sync()
                now = time.monotonic()
                self._sync_at = now + max(_SYNC_EVERY, 200 * (now - began))  # 0.5 % of the time

    def complete(self, names: Sequence[str], overwrite: bool = False) -> None:
        """Move files into place, and remove the folder.

        Args:
            names: of the files, all of which are in the folder.
            overwrite: what lies at their places; it stays until then.

        Raises:
            WriteError: the disk has not taken them. ExistsError: a place is taken.
        """
        # It takes longer than a picture, which can be made again.
        if overwrite or time.monotonic() - self._began > _SYNC_EVERY:
            for name in names:
                sync(self.folder / name)
        if not overwrite:
            refuse_existing(targets(self.out, self.folder, names))
        # A kill from here on leaves some in place: the same run may replace those.
        GrowingFile(self.folder / COMPLETE, json.dumps(list(names)).encode()).close()
        for name in names:
            os.replace(self.folder / name, self.out / name)
        # In this order, so that a kill leaves a run that can be taken up, or an empty folder.
        last = (self.folder / JOURNAL, self.folder / COMPLETE)
        for file in set(self.folder.iterdir()) - {*last, self._lock.path}:
            shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink()
        for file in last:
            file.unlink()
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def discard(self) -> None:
        """Remove all that this run has made."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for path in self._made:
            if path.exists() and not any(path.iterdir()):
                path.rmdir()

    def _check(self) -> int:
        """The frames in the journal, which is cut after the last line that is as it was written."""
        path = self.folder / JOURNAL
        whole = lines = total = 0
        first = None
        try:
            with open(path, 'rb') as file:
                for line in file:
                    match = _LINE.fullmatch(line)
                    if match is None or zlib.crc32(match[2], total) != int(match[1]):
                        break
                    if first is None:
                        first = json.loads(match[2])
                    else:
                        lines += 1
                    whole, total = whole + len(line), int(match[1])
        except (OSError, ValueError):
            first = None
        if not isinstance(first, dict):
            raise RunError(f'{self.folder}: holds no {JOURNAL} that can be read; delete the folder')
        for key in {**first, **self.about}:
            if first.get(key) != self.about.get(key):
                raise RunError(
                    f'{self.folder}: the interrupted run had another {key} '
                    f'({_short(first.get(key))} instead of {_short(self.about.get(key))}); use '
                    'the same options, or delete the folder'
                )
        self._whole, self._sum = whole, total
        return lines


def folder_of(out: Path, name: str) -> Path:
    """Where results of this name lie until they are complete."""
    return out / f'{name}.incomplete'


def targets(out: Path, folder: Path, names: Sequence[str]) -> list[Path]:
    """Where files go that must not be there yet: all but what this run was just moving."""
    try:
        moved = json.loads((folder / COMPLETE).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        moved = []
    return [out / name for name in names if not isinstance(moved, list) or name not in moved]


_LINE = re.compile(rb'\{"crc32": (\d{1,10}), "record": (.*)\}\n')


def _line(record: dict, before: int = 0) -> tuple[bytes, int]:
    """A line of the journal, and the sum of all records up to it.

    By that sum a line is known that a kill or a full disk has cut, or a power cut emptied; or in
    which a digit is another; or that is missing, or in another's place.

    Args:
        record: what it says.
        before: the sum of those before.
    """
    data = json.dumps(record).encode()
    total = zlib.crc32(data, before)
    return b'{"crc32": %d, "record": %s}\n' % (total, data), total


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
