"""What readers of videos hand on: frames, what a file states, what of it could not be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from rpstn.errors import RPSTNError

DEFAULT_FPS = 25.0


class UnreadableFrameError(RPSTNError, RuntimeError):
    """A frame that is missing, cannot be decoded, or is not the one that was annotated.

    The message names the file and the frame.
    """


class Decoded(NamedTuple):
    """A frame that has been decoded, but not converted yet."""

    index: int  # type: ignore[assignment]  # in place of tuple.index, which nobody needs here
    """0-based; frames that cannot be decoded have a number, too."""
    time: float
    """Seconds since the first frame, as the file states them."""
    image: Callable[[], np.ndarray]
    """Makes the image (H, W, 3), BGR uint8."""


@dataclass
class Damage:
    """What of a video could not be read; filled in while it is read."""

    frames: list[int] = field(default_factory=list)
    """Numbers of the frames that cannot be decoded."""
    end: str = ''
    """Why reading broke off, where it did."""
    head: str = ''
    """What is wrong with the beginning of the file, where something is."""

    def __bool__(self) -> bool:
        return bool(self.frames or self.end or self.head)

    def __str__(self) -> str:
        some = ', '.join(map(str, self.frames[:10]))
        more = f' and {len(self.frames) - 10} more' if len(self.frames) > 10 else ''
        plural = 's' if len(self.frames) > 1 else ''
        said = [f'frame{plural} {some}{more} cannot be decoded'] if self.frames else []
        end = f'reading broke off ({self.end})' if self.end else ''
        return '; '.join(filter(None, [self.head, *said, end]))


class Header(NamedTuple):
    """What a video file states of itself."""

    fps: float
    """25 where it states nothing sensible."""
    frames: int
    """Often wrong; 0 where it states nothing."""
