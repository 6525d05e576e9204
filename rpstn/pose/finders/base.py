"""What every finder answers, and the simplest one.

Boxes are x1 y1 x2 y2, in 0-based image pixels. Shapes: N people, (H, W) image pixels.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

import numpy as np

from rpstn.errors import RPSTNError
from rpstn.video.readers import size_of

from ..boxes import whole_frame

NOBODY = np.zeros((0, 4), np.float32)


class FinderError(RPSTNError, RuntimeError):
    """A finder that cannot work here; the message says what is missing."""


class PersonFinder(Protocol):
    """Who says where people are, when they are not followed yet or were lost."""

    def observe(self, image: np.ndarray, stream: Hashable) -> None:
        """See every frame (H, W, 3) BGR of every stream, in order; most need not."""

    def find(self, image: np.ndarray, stream: Hashable) -> np.ndarray:
        """Boxes (N, 4) of the people in the frame observed last, the surest first; N may be 0."""

    def forget(self, stream: Hashable) -> None:
        """A stream has ended."""


class WholeFrame:
    """The whole image, for one person who fills a good part of it.

    A person found so is looked at twice: in the whole image, and then in the box of the joints.
    """

    def observe(self, image: np.ndarray, stream: Hashable) -> None:
        """Nothing to see."""

    def find(self, image: np.ndarray, stream: Hashable) -> np.ndarray:
        """The whole image (1, 4)."""
        return whole_frame(size_of(image))[None]

    def forget(self, stream: Hashable) -> None:
        """Nothing to forget."""
