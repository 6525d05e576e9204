"""What a stream refuses, in one line each."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from rpstn.errors import SettingError
from rpstn.video.readers import size_of

from ..bodies import Body, Place
from ..boxes import BoxError, checked_box
from ..finders import FoundPerson, PersonFinder, WholeFrame

Boxes = Sequence[Place | None] | Mapping[int, Place | None]
"""Of people 0, 1, ..., or by number; None for who has left."""


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


def checked_streams(
    frames: Mapping[Hashable, np.ndarray],
    boxes: Mapping[Hashable, Boxes],
    following: Mapping[Hashable, np.ndarray | None],
    upright: bool,
) -> tuple[dict[Hashable, dict[int, Place | None]], dict[Hashable, np.ndarray]]:
    """The boxes of all frames by people's numbers, and the next frames that there are.

    Raises:
        BoxError: a place cannot be looked at: it is no box with area in the image, and no body; or
            it is a body, and crops are not upright.
        ValueError: something is no BGR image, or of a stream that has no frame.
    """
    later = {name: image for name, image in following.items() if image is not None}
    for what, named in (('boxes', boxes), ('next frames', later)):
        if extra := set(named) - set(frames):
            raise ValueError(f'{what} of streams without a frame: {sorted(map(str, extra))}')
    for name, image in (*frames.items(), *later.items()):
        check_frame(image, name)
    given = {name: _by_number(boxes.get(name, ())) for name in frames}
    for name, places in given.items():
        for place in places.values():
            if place is not None:
                _check_place(place, size_of(frames[name]), upright)
    return given, later


def _by_number(boxes: Boxes) -> dict[int, Place | None]:
    return dict(boxes if isinstance(boxes, Mapping) else enumerate(boxes))


def _check_place(place: Place, size: tuple[int, int], upright: bool) -> None:
    if not isinstance(place, Body):
        checked_box(place, size)
    elif not upright:
        raise BoxError('a Body is for models whose pipeline has ClipBody; this one needs a box')
    elif not (np.isfinite([*place.center, place.radius, place.angle]).all() and place.radius > 0):
        raise BoxError(f'a body needs finite numbers and a radius above 0, got {place}')
