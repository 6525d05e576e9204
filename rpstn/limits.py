"""How much one input may ask for.

A file of a few bytes can state a picture, an array or a list that fills the memory. So what a file
states is compared with a limit before memory is taken. docs/security.md lists the limits; each is
changed by its environment variable.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rpstn.errors import RPSTNError, SettingError


class LimitError(RPSTNError, ValueError):
    """More than a limit allows. Says how much, and not of which file: readers put that before."""


@dataclass(frozen=True)
class Limit:
    """The most of something.

    >>> Limit('RPSTN_MAX_LEGS', 2, 'legs').check(4)
    Traceback (most recent call last):
    rpstn.limits.LimitError: 4 legs, above the limit of 2 (RPSTN_MAX_LEGS)
    """

    variable: str
    """Of the environment, which changes it."""
    default: int
    unit: str

    @property
    def value(self) -> int:
        """As the environment says it.

        Raises:
            SettingError: it says something else than a whole number above 0.
        """
        text = os.environ.get(self.variable, '').strip()
        if not text:
            return self.default
        if not text.isdecimal() or len(text) > 18 or not int(text):
            raise SettingError(f'{self.variable} must be a whole number above 0, got {text!r:.40}')
        return int(text)

    def check(self, count: int, shown: str = '') -> None:
        """Refuse more.

        Args:
            count: how many there are.
            shown: how that is said, by default the number.

        Raises:
            LimitError: there are too many.
        """
        limit = self.value
        if count > limit:
            raise LimitError(
                f'{shown or format(count, ",")} {self.unit}, above the limit of {limit:,} '
                f'({self.variable})'
            )


PIXELS = Limit('RPSTN_MAX_PIXELS', 1 << 27, 'pixels')
"""Width times height of a picture or of a video's frames: those of 16K, or a 108 MP photograph."""
FILE_BYTES = Limit('RPSTN_MAX_FILE_BYTES', 1 << 30, 'bytes')
"""Of a file that is read as a whole: pictures, JSON, CSV, .mat, .pkl, NPZ; not of videos."""
JSON_BYTES = Limit('RPSTN_MAX_JSON_BYTES', 1 << 28, 'bytes')
"""Of a JSON file, which takes ten times as much memory."""
UNPACKED_BYTES = Limit('RPSTN_MAX_UNPACKED_BYTES', 1 << 32, 'unpacked bytes')
"""Of all arrays that one file gives, after unpacking."""
ROWS = Limit('RPSTN_MAX_ROWS', 5_000_000, 'rows')
"""Of a table, or joints of all people and frames in a file: takes about 2 GB."""
FRAMES = Limit('RPSTN_MAX_FRAMES', 2_000_000, 'frames')
"""That labels may state of a video, or images in a folder: 18 hours at 30 a second."""
FETCHED_BYTES = Limit('RPSTN_MAX_FETCHED_BYTES', 1 << 36, 'bytes')
"""Of a video that is copied from storage elsewhere before it is looked at."""
NESTING = Limit('RPSTN_MAX_NESTING', 100, 'levels of lists and objects in each other')
"""In JSON."""


FARTHEST = 1e7
"""Pixels, or millimetres: what lies farther from the origin is no joint, and no corner of a box."""


def read_bytes(path: str | os.PathLike, limit: Limit = FILE_BYTES) -> bytes:
    """A file as a whole.

    Raises:
        LimitError: it is too large. OSError: it cannot be read.
    """
    with open(path, 'rb') as file:
        size = os.fstat(file.fileno()).st_size
        limit.check(size)
        return file.read(size)


def check_size(path: str | os.PathLike) -> None:
    """Refuse a file that is too large to be read as a whole.

    Raises:
        LimitError: it is. OSError: there is no such file.
    """
    FILE_BYTES.check(Path(path).stat().st_size)
