"""What a stream refuses, in one line each."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from rpstn.errors import SettingError

from ..bodies import Body, Place
from ..boxes import BoxError, checked_box
from ..finders import FoundPerson, PersonFinder, WholeFrame


def check_options(
    finder: PersonFinder | None,
    max_people: int,
    find_every: int,
    reset_every: int | None,
    max_lost: int,
) -> None:
    """Refuse options out of range, see :class:`StreamingRPSTN`, by a SettingError."""
    for name, value, least in (
        ('max_people', max_people, 0),
        ('find_every', find_every, 1),
        ('reset_every', reset_every, 1),
        ('max_lost', max_lost, 0),
    ):
        if value is not None and value < least:
            raise SettingError(f'{name} must be at least {least}, got {value}')
    if max_people > 1 and (finder is None or isinstance(finder, WholeFrame)):
        raise SettingError(
            f'max_people={max_people} needs a finder that tells people apart; the '
            'whole frame is for one'
        )


def check_found(seen: Sequence[FoundPerson], finder: PersonFinder) -> None:
    """Refuse answers of a finder that are no FoundPersons by a SettingError."""
    if not all(isinstance(person, FoundPerson) for person in seen):
        raise SettingError(
            f'{type(finder).__name__}.find must answer FoundPersons, see '
            f'rpstn.pose.finders, got {type(seen).__name__}'
        )


def check_frame(image: np.ndarray, stream: Hashable) -> None:
    """Refuse what is no (H, W, 3) BGR uint8 by a ValueError."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f'stream {stream!r}: a frame must be (H, W, 3) BGR uint8, got '
            f'{image.shape} {image.dtype}'
        )


def check_place(place: Place, size: tuple[int, int], upright: bool) -> None:
    """Refuse a place given for an image of (width, height) pixels that cannot be looked at.

    Raises:
        BoxError: it is no box with area in the image, and no body; or it is a body, and crops are
            not upright.
    """
    if not isinstance(place, Body):
        checked_box(place, size)
    elif not upright:
        raise BoxError('a Body is for models whose pipeline has ClipBody; this one needs a box')
    elif not (np.isfinite([*place.center, place.radius, place.angle]).all() and place.radius > 0):
        raise BoxError(f'a body needs finite numbers and a radius above 0, got {place}')
