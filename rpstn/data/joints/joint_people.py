"""Who is who in a file of joints: identities, places in a list, and whom ``person`` means."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .refusal import BadSkeletonError, refuse

Person = str | int
"""An identity as the file has it; or, of a file without, the place in a frame's list."""
Points = dict[tuple[Person, int, int], tuple[Sequence[float], float]]
"""(person, frame, joint) -> coordinates and score."""
IDENTITIES = ('person', 'person_id', 'track_id', 'idx')
"""Fields that name a person: rpstn infer's, OpenPose's, MMPose's and AlphaPose's."""


def identity(value: Any) -> str | None:
    """What a file calls a person, the same for 7, 7.0, ``'7'`` and OpenPose's [7].

    None where it says nobody in particular: null, empty, NaN, or below 0, as OpenPose and trackers
    have it.
    """
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    text = '' if value is None else str(value).strip()
    if re.fullmatch(r'-?\d+(\.0*)?', text):
        number = int(text.partition('.')[0])
        return str(number) if number >= 0 else None
    return None if text.lower() in ('', 'nan') else text


def identity_in(record: Mapping[str, Any], place: int = 0) -> Person:
    """What an object calls its person, else the place in the frame's list."""
    return next(filter(None, (identity(record.get(key)) for key in IDENTITIES)), place)


def is_found(point: Sequence[float], score: float, min_score: float = 0.0) -> bool:
    """Whether a joint is there: all its coordinates, and a score, if any, above ``min_score``."""
    return not (any(map(math.isnan, point)) or score <= min_score)


def choose(path: str, points: Points, person: Person | None, min_score: float) -> Person:
    """The one person to keep; who has no joint at all is nobody.

    Raises:
        BadSkeletonError: nobody has a joint, there is no such person, or several to choose from.
    """
    seen = Counter(
        who for (who, _, _), (point, score) in points.items() if is_found(point, score, min_score)
    )
    if not seen:
        raise BadSkeletonError(f'{path}: no joint has all its coordinates in any frame')
    if person == 'most' or (person is None and len(seen) == 1):
        return seen.most_common(1)[0][0]
    where, found = f'{path}: all of it', ', '.join(sorted(map(str, seen)))
    if person is None:
        allowed = "chosen ('most', or one of them) where there are several"
        refuse(where, 'person', allowed, found)
    wanted = identity(person) or ''
    candidates: list[Person] = [wanted, *([int(wanted)] if wanted.isdecimal() else [])]
    chosen = next((who for who in candidates if who in seen), None)
    if chosen is None:
        refuse(where, 'person', f'one of {found}', person)
    return chosen


def change_places(points: Points, chosen: Person) -> bool:
    """Whether the chosen ever lies nearer to where somebody else just was than to where they were.

    Places in a list, unlike identities, may be of one person now and of another then.
    """
    if isinstance(chosen, str):
        return False
    joints: dict[int, dict[Person, list]] = {}
    for (who, frame, _), (point, score) in points.items():
        if is_found(point, score):
            joints.setdefault(frame, {}).setdefault(who, []).append(point)
    before: dict[Person, np.ndarray] = {}
    for frame in sorted(frame for frame, people in joints.items() if chosen in people):
        centres = {who: np.mean(found, axis=0) for who, found in joints[frame].items()}
        far = {who: np.linalg.norm(centres[chosen] - centre) for who, centre in before.items()}
        if far and min(far.values()) < far[chosen]:
            return True
        before = centres
    return False
