"""What every finder answers, and the simplest one.

Boxes are x1 y1 x2 y2, in 0-based image pixels. Shapes: N people, (H, W) image pixels.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rpstn.errors import RPSTNError
from rpstn.video.readers import size_of

from ..bodies import Body
from ..boxes import whole_frame


@dataclass(frozen=True, eq=False)
class FoundPerson:
    """Somebody in a frame, as far as a finder can tell."""

    box: np.ndarray
    """(4,) float32, inside of the image."""
    score: float = 1.0
    """How sure it is, from 0 to 1; 1 where the finder does not tell."""
    body: Body | None = None
    """Hips, reach and direction, where the finder tells."""


class FinderError(RPSTNError, RuntimeError):
    """A finder that cannot work here; the message says what is missing."""


class PersonFinder(Protocol):
    """Who says where people are, when they are not followed yet or were lost.

    A finder that says how sure it is, of any frame by itself, may have an ``any_frame`` that is
    true: of a file's first frames it is asked in the order that suits.
    """

    def observe(self, image: np.ndarray, stream: Hashable) -> None:
        """See every frame (H, W, 3) BGR of every stream, in order; most need not."""

    def find(self, image: np.ndarray, stream: Hashable) -> Sequence[FoundPerson]:
        """The people in the frame observed last, the surest first; maybe nobody."""

    def forget(self, stream: Hashable) -> None:
        """A stream has ended."""


class WholeFrame:
    """The whole image, for one person who fills a good part of it.

    A person found so is looked at twice: in the whole image, and then in the box of the joints.
    """

    def observe(self, image: np.ndarray, stream: Hashable) -> None:
        """Nothing to see."""

    def find(self, image: np.ndarray, stream: Hashable) -> list[FoundPerson]:
        """Somebody in the whole image."""
        return [FoundPerson(whole_frame(size_of(image)))]

    def forget(self, stream: Hashable) -> None:
        """Nothing to forget."""
