"""What inference looks at, opened: a file, or something live."""

from __future__ import annotations

from typing import cast

from rpstn.video.frames import FrameSource
from rpstn.video.live import LiveSource

Source = FrameSource | LiveSource


def rate_of(source: Source) -> float:
    """Frames per second."""
    return cast(float, source.fps)  # which a live source knows once it is open
