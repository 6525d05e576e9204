"""Boxes: where to look for a person, and the box that follows the joints found last.

Boxes are x1 y1 x2 y2 and joints x y, in 0-based image pixels. K joints.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rpstn.choices import KPT_THR
from rpstn.errors import RPSTNError

from .bodies import Place, box_of

_BOXES = "'frame', 'follow', 'x1,y1,x2,y2' or 'follow:x1,y1,x2,y2'"


class BoxError(RPSTNError, ValueError):
    """A box that cannot be used; the message says what came and what is allowed."""


def whole_frame(size: tuple[int, int]) -> np.ndarray:
    """The box (4,) of an image of (width, height) pixels."""
    width, height = size
    return np.array([0, 0, width - 1, height - 1], np.float32)


def checked_box(box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A box (4,) given for an image of (width, height) pixels.

    Raises:
        BoxError: it has no area, or lies outside the image.
    """
    box = np.asarray(box, np.float32)
    if box.shape != (4,) or not np.isfinite(box).all() or (box[2:] <= box[:2]).any():
        raise BoxError(f'a box needs x1 < x2 and y1 < y2, got {box.tolist()}')
    _check_inside(box, size)
    return box


def _check_inside(box: np.ndarray, size: tuple[int, int]) -> None:
    if (box[:2] >= size).any() or (box[2:] <= 0).any():
        raise BoxError(
            f'the box {box.tolist()} lies outside the image of {size[0]}x{size[1]} pixels'
        )


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (4,)."""
    shared = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


def sure_joints(keypoints: np.ndarray, scores: np.ndarray, min_score: float) -> np.ndarray:
    """Which of K joints (K, 2) are found, with scores (K,) of at least ``min_score``; (K,) bool."""
    # Decoding finds no place in a map without a peak.
    return (scores >= min_score) & np.isfinite(keypoints).all(axis=-1)


def too_few(sure: int, total: int, min_share: float) -> bool:
    """Whether a person counts as lost with so many joints sure, of all."""
    return sure < max(min(3, total), min_share * total)


def limited(box: np.ndarray, size: tuple[int, int], min_side: float) -> np.ndarray:
    """A box (4,) cut at the border of an image of (width, height) pixels, as those of training are.

    Its sides stay at least a share ``min_side`` of the image's longer one.
    """
    last = np.array(size) - 1
    low, high = np.clip(box[:2], 0, last), np.clip(box[2:], 0, last)
    centre = (low + high) / 2
    sides = np.maximum(high - low, min_side * max(size))
    return np.concatenate([centre - sides / 2, centre + sides / 2]).astype(np.float32)


def parse_box(text: str | Sequence[float]) -> tuple[bool, np.ndarray | None]:
    """What a box option asks for.

    Args:
        text: ``'frame'``, the whole image; ``'x1,y1,x2,y2'`` or four numbers, the same box for
            every frame; ``'follow'``, starting at the whole image, or ``'follow:x1,y1,x2,y2'``.

    Returns:
        Whether to follow the joints, and the box (4,) given, or None for the whole image.

    Raises:
        BoxError: it is none of these, or a box without area.
    """
    given = text if isinstance(text, str) else ','.join(map(str, text))
    mode, _, numbers = given.partition(':') if given.startswith('follow') else ('', '', given)
    if given in ('frame', 'follow'):
        return given == 'follow', None
    try:
        box = np.array([float(number) for number in numbers.split(',')], np.float32)
    except ValueError:
        box = np.empty(0, np.float32)
    if mode not in ('', 'follow') or box.shape != (4,) or not np.isfinite(box).all():
        raise BoxError(f'the box must be {_BOXES}, got {given!r}')
    if (box[2:] <= box[:2]).any():
        raise BoxError(f'a box needs x1 < x2 and y1 < y2, got {given!r}')
    return mode == 'follow', box


class FixedBox:
    """The same box for every frame.

    Args:
        box: (4,); the whole image by default.
    """

    def __init__(self, box: np.ndarray | None = None) -> None:
        self.box = box

    @property
    def lost(self) -> bool:
        """Whether the person has to be searched for."""
        return False

    def current(self, size: tuple[int, int]) -> np.ndarray:
        """The box (4,) to look in next, in an image of (width, height) pixels.

        Raises:
            BoxError: it lies outside the image.
        """
        if self.box is None:
            return whole_frame(size)
        _check_inside(self.box, size)
        return self.box

    def update(self, keypoints: np.ndarray, scores: np.ndarray) -> None:
        """Take note of the joints (K, 2) that were found last, with their scores (K,)."""


class FollowedBox(FixedBox):
    """The box of the joints found last, with a margin.

    The first box found is taken as it is. From then on the centre follows the joints at once,
    since a box that lags loses a fast person, while the sides go half of the way (geometrically)
    and change by no more than a third at a time, so that a few misplaced joints neither blow it
    up nor make it collapse. With many joints uncertain it would close in on the part of the body
    that is still seen; it keeps what it has, takes in the certain joints, and grows by a tenth a
    frame, as the others may lie outside, up to one and a half of what it was when they were
    certain. With hardly any certain the person counts as lost, and the whole image is searched
    again.

    Args:
        box: (4,) to start with; the whole image by default.
        min_score: joints with a lower score count as uncertain.
        margin: added at each side, as a share of the joints' own box; body and head reach
            further than the joints. The pipeline's padding comes on top.
        min_share: with fewer certain joints than this share, or than 3 (than all, where
            there are fewer than 3), the person is lost.
        most: with fewer than this share the box does not shrink or leave its place.
        min_side: of the box, as a share of the image's longer side.
    """

    MAX_CHANGE, GROWTH, GROWN = 4 / 3, 1.1, 1.5
    MARGIN, MIN_SIDE = 0.1, 0.05

    def __init__(
        self,
        box: np.ndarray | None = None,
        min_score: float = KPT_THR,
        margin: float = MARGIN,
        min_share: float = 1 / 3,
        most: float = 2 / 3,
        min_side: float = MIN_SIDE,
    ) -> None:
        super().__init__(box)
        self.min_score = min_score
        self.margin = margin
        self.min_share = min_share
        self.most = most
        self.min_side = min_side
        self.sure = np.full(2, np.inf)  # sides when enough joints were certain

    @property
    def lost(self) -> bool:
        return self.box is None

    def look_at(self, place: Place | None) -> None:
        """Go on from a place, or from the whole image."""
        self.box = None if place is None else box_of(place)

    def current(self, size: tuple[int, int]) -> np.ndarray:
        if self.box is not None:
            self.box = limited(self.box, size, self.min_side)
        return super().current(size)

    def update(self, keypoints: np.ndarray, scores: np.ndarray) -> None:
        certain = sure_joints(keypoints, scores, self.min_score)
        total, found = len(certain), int(certain.sum())
        if too_few(found, total, self.min_share):
            self.box = None
            return
        low, high = keypoints[certain].min(axis=0), keypoints[certain].max(axis=0)
        centre, sides = (low + high) / 2, (high - low) * (1 + 2 * self.margin)
        if self.box is not None:
            before = self.box[2:] - self.box[:2]
            if found < self.most * total:
                # Each side outwards to the certain joints, and a little further.
                most, least = ((rate - 1) / 2 * before for rate in (self.MAX_CHANGE, self.GROWTH))
                self.sure = np.minimum(self.sure, before)
                if (before > self.GROWN * self.sure).any():
                    least = 0 * least
                low = self.box[:2] - np.clip(self.box[:2] - centre + sides / 2, least, most)
                high = self.box[2:] + np.clip(centre + sides / 2 - self.box[2:], least, most)
                centre, sides = (low + high) / 2, high - low
            else:
                sides = before * np.clip(
                    np.sqrt(sides / before), 1 / self.MAX_CHANGE, self.MAX_CHANGE
                )
        if self.box is None or found >= self.most * total:
            self.sure = sides
        self.box = np.concatenate([centre - sides / 2, centre + sides / 2]).astype(np.float32)
