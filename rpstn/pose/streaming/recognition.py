"""Whether who is followed is still the same person, by the colours of the trunk; and who is.

Shapes: K joints, (H, W) image pixels.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable
from itertools import permutations

import numpy as np

from rpstn.video.readers import size_of

from ..appearance import Appearance, colours_of, trunk_of_body, trunk_of_joints
from ..bodies import Body, BodyJoints, Place, body_of_box, box_of, box_of_body
from ..boxes import overlap
from ..finders import PersonFinder
from .people import FollowedPerson, Stream, Task

ELSEWHERE = 0.5
"""Radii from the body that is followed to another one, at least."""


def look_at_trunk(task: Task, min_score: float, joints: BodyJoints | None) -> None:
    """Take note of what the trunk looks like, where its joints are sure.

    Args:
        task: of a person who has been looked for.
        min_score: of sure joints.
        joints: which of them the trunk ends at; None if crops are not upright.
    """
    if joints is None:
        return
    keypoints, scores = task.result.keypoints, task.result.scores
    sure = not task.result.lost and (scores[[*joints.hips, *joints.shoulders]] >= min_score).all()
    corners = trunk_of_joints(keypoints, joints)
    if isinstance(task.place, Body):
        task.person.appearance.see(colours_of(task.image, corners) if sure else None, task.place)


def found_again(
    person: FollowedPerson, stream: Stream, finder: PersonFinder, image: np.ndarray, name: Hashable
) -> Task | None:
    """Where to go on with a person in whose place another is followed; None while that is right.

    Args:
        person: who is followed.
        stream: theirs.
        finder: is asked, if it sees people in any frame, while the colours are others'.
        image: (H, W, 3) BGR uint8, the next frame.
        name: of the stream.
    """
    if not (person.appearance.doubtful and getattr(finder, 'any_frame', False)):
        return None
    current = person.follower.current(size_of(image))
    if not isinstance(current, Body):
        return None
    others = [box_of(other.place) for other in stream.people.values() if other is not person]
    alike: list[tuple[float, Body]] = []
    for found in stream.seen(finder, image, name):
        body = found.body or body_of_box(found.box)
        if (
            not person.appearance.reaches(body)
            or math.dist(body.center, current.center) < ELSEWHERE * current.radius
            or any(overlap(box_of_body(body), other) >= 0.3 for other in others)
        ):
            continue
        colours = colours_of(image, trunk_of_body(body))
        if colours is not None and person.appearance.fits_better(colours):
            alike.append((person.appearance.likeness(colours), body))
    if not alike:
        return None
    _, body = max(alike, key=lambda one: one[0])
    person.appearance.found()
    person.follower.look_at(body)
    person.place, person.state = body, None
    return Task(person, image, body, again=True)


def exchanged(stream: Stream, given: Collection[int]) -> Stream:
    """The stream, in which people who have come to go by each other's numbers have got their own.

    That is, two who are each more like the other has been; or one who is more like somebody new, as
    where the finder has taken who was passed for a newcomer. Each is near where the other was.

    Args:
        stream: of several people, before its next frame.
        given: numbers of those whom the caller knows; they keep them.
    """
    people = [p for p in stream.people.values() if p.state is not None and p.id not in given]
    for one, other in permutations(people, 2):
        mine, others = one.appearance, other.appearance
        if not (mine.misses(others) and _reaches(mine, other.place)):
            continue
        new = stream.index - other.since <= mine.strange_for
        if new or (others.misses(mine) and _reaches(others, one.place)):
            one.id, other.id = other.id, one.id
            one.since, other.since = other.since, one.since
            one.appearance, other.appearance = Appearance() if new else others, mine
            mine.found()
            others.found()
    stream.people = {person.id: person for person in stream.people.values()}
    return stream


def _reaches(appearance: Appearance, place: Place) -> bool:
    return isinstance(place, Body) and appearance.reaches(place)
