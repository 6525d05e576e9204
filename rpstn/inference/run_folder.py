"""Where results lie while they are being made, so that an interrupted run can be taken up again.

A run writes into ``OUT/NAME.incomplete/``. When it is complete its files move up into OUT, and
what was there before stays until then. After a kill, a crash or Ctrl-C the folder stays, with
every file in it up to the last frame but the video and the NPZ, which need their end; and with
``journal.jsonl``: a line on what the run is, and then the bare results of each frame in full
precision. From these, and the input, all other files can be made again without asking the model.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Any

from rpstn.errors import RPSTNError
from rpstn.files import is_stray
from rpstn.results import FrameResult

JOURNAL = 'journal.jsonl'


class RunError(RPSTNError, RuntimeError):
    """A run that cannot begin, or be taken up again; the message is one line."""


class RunFolder:
    """The results of one video on their way.

    Args:
        out: folder of the complete results.
        name: of the results.
        about: all that the bare results depend on, as plain JSON values.
        resume: take up the run that was interrupted, if there is one.

    Raises:
        RunError: there is an interrupted run, and ``resume`` is not set, or it is another run.
    """

    _file: IO[bytes]
    """The journal, open within a ``with`` statement."""

    def __init__(self, out: Path, name: str, about: dict, resume: bool = False) -> None:
        self.out = out
        self.folder = out / f'{name}.incomplete'
        self.about = json.loads(json.dumps(about))
        self.known = 0
        """Frames that an earlier run has done."""
        self._made = [path for path in (out, *out.parents) if not path.exists()]
        self._written = 0
        if not self.folder.exists():
            return
        if not resume:
            raise RunError(
                f'{self.folder}: holds the results of an interrupted run; add --resume '
                'to go on with it, or delete the folder'
            )
        self.known = self._check()

    def __enter__(self) -> RunFolder:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / JOURNAL
        if not self.known:
            with open(path, 'wb') as file:
                file.write(_line(self.about))
        self._file = open(path, 'ab', buffering=0)
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def results(self, meta: Mapping[str, Any] | None = None) -> Iterator[FrameResult]:
        """Those of the earlier run, without images, of the model's joints."""
        if not self.known:
            return
        with open(self.folder / JOURNAL, encoding='utf-8') as file:
            for line in islice(file, 1, 1 + self.known):
                yield FrameResult.from_dict(json.loads(line), meta)

    def write(self, result: FrameResult) -> None:
        """Note one frame; those of the earlier run, which come first again, are noted already."""
        self._written += 1
        if self._written > self.known:
            self._file.write(_line(result.to_dict()))

    def complete(self) -> None:
        """Move all files into place."""
        for file in sorted(self.folder.iterdir()):
            if file.name != JOURNAL and not is_stray(file):
                os.replace(file, self.out / file.name)
        shutil.rmtree(self.folder)

    def discard(self) -> None:
        """Remove all that this run has made."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for path in self._made:
            if path.exists() and not any(path.iterdir()):
                path.rmdir()

    def _check(self) -> int:
        """The frames in the journal, which is cut after the last whole line."""
        path = self.folder / JOURNAL
        whole = lines = 0
        try:
            with open(path, 'rb') as file:
                first = json.loads(file.readline() or b'null')
                whole = file.tell()
                for line in file:
                    if not line.endswith(b'\n'):
                        break
                    lines, whole = lines + 1, whole + len(line)
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
        os.truncate(path, whole)
        return lines


def _line(record: dict) -> bytes:
    return json.dumps(record).encode() + b'\n'


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
