"""Where people are looked for first in a file: in the surest of its first frames.

In a video's very first frame somebody may be covered, half outside, or less plain to see than a
bystander, and who is begun with wrongly is followed wrongly. Of files the next frames can be had.
If the finder is not sure of the first frame it looks at some of the others, too, and the network at
all whom it finds: where a jacket was taken for somebody, or a body is turned the wrong way, few
joints are sure. Who is seen most surely in all of these frames together is begun with where that is
plain, and followed from there to the first frame, backwards, and to the last.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np

from rpstn.pose.bodies import Place, middle_of
from rpstn.pose.finders import FoundPerson
from rpstn.pose.streaming.checks import check_found
from rpstn.pose.streaming.streaming import StreamingRPSTN
from rpstn.results import FrameResult
from rpstn.video.frames import Frame

SURE = 0.9
"""Score of the finder from which the first frame will do."""
PLAIN = 0.8
"""Share of people's best scores from which an earlier frame is preferred to the best."""
LOOKS = 4
"""Parts of the frames ahead, at whose ends the finder looks."""
MORE = 3
"""People whom the network looks at in such a frame, besides as many as are wanted."""
TRIES, GOOD = 3, 0.75
"""Frames that are begun with, at most, until the joints' mean score is as good."""
BYTES = 1 << 28
"""Of frames that wait, at most."""


@dataclass(eq=False)
class Beginning:
    """What is known once the people to follow are chosen."""

    earlier: list[FrameResult]
    """Of the frames before the one that is begun with, in order, with their images."""
    later: list[FrameResult]
    """Of that one, and of those after it that were looked at, too."""
    frames: Iterator[Frame]
    """All others."""
    people: int
    """With how many it is begun; 0, 1, ... are their numbers in all results."""
    stream: Hashable
    """Name of the stream that goes on."""

    @property
    def named(self) -> int:
        """Numbers given in the earlier frames to others than these."""
        last = max((person.id for result in self.earlier for person in result.people), default=-1)
        return max(0, last + 1 - self.people)

    @property
    def score(self) -> float:
        """Mean of these people's joints' in all frames, 0 where somebody is missing."""
        results = [*self.earlier, *self.later]
        known = [p.scores.mean() for r in results for p in r.people if p.id < self.people]
        return float(sum(known)) / (len(results) * self.people)


def looks_ahead(streaming: StreamingRPSTN) -> bool:
    """Whether its finder is asked, and says how sure it is, of any frame by itself."""
    return streaming.max_people > 0 and getattr(streaming.finder, 'any_frame', False)


def begin(streaming: StreamingRPSTN, frames: Iterator[Frame], ahead: int) -> Beginning:
    """Choose whom to follow, and from where.

    Args:
        streaming: that :func:`looks_ahead`.
        frames: from the first on.
        ahead: of so many, at least 1, the surest is looked for; fewer of large ones.
    """
    window = list(islice(frames, 1))
    if not window:
        return Beginning([], [], frames, 0, object())
    wanted, looks = streaming.max_people, object()
    try:
        found = _find(streaming, window[0], looks)
        if len(found) >= wanted and found[wanted - 1].score >= SURE:
            return _told(streaming, chain(window, frames), found[:wanted])
        seen = [(0, _looked_at(streaming, window[0], found))]
        window += islice(frames, min(ahead, max(1, BYTES // window[0].image.nbytes)) - 1)
        for place in sorted({round(n * (len(window) - 1) / LOOKS) for n in range(1, LOOKS + 1)}):
            if place:
                found = _find(streaming, window[place], looks)
                seen.append((place, _looked_at(streaming, window[place], found)))
    finally:
        streaming.finder.forget(looks)
    first = surest(seen, wanted)
    if not first[1]:
        return _told(streaming, chain(window, frames), [])
    others = [(place, people[:wanted]) for place, people in seen if people and place != first[0]]
    others.sort(key=lambda one: -sum(person.score for person in one[1]))
    best: Beginning | None = None
    for place, people in [first, *others][:TRIES]:
        tried = _followed(streaming, window, place, people, frames)
        worse, best = (best, tried) if best is None or tried.score > best.score else (tried, best)
        if worse is not None:
            streaming.close(worse.stream)
        if best.score >= GOOD:
            break
    assert best is not None
    return best


def _told(
    streaming: StreamingRPSTN, frames: Iterator[Frame], people: Sequence[FoundPerson]
) -> Beginning:
    """In the first frame, with these."""
    name = object()
    streaming.tell(people, name)
    return Beginning([], [], frames, len(people), name)


def surest(
    seen: Sequence[tuple[int, Sequence[FoundPerson]]], people: int
) -> tuple[int, list[FoundPerson]]:
    """Where to begin, and with whom.

    Args:
        seen: numbers of frames, in order, and who is found in them, the surest first.
        people: wanted.

    Returns:
        Number of the first frame in which those who are seen most surely in all frames together
        are seen about as surely as anywhere, and who they are there; the first frame and nobody
        where nobody is seen.
    """
    tracks: list[list[tuple[int, FoundPerson]]] = []
    for place, found in seen:
        free = list(tracks)
        for person in found:
            near = min(free, key=lambda track: _apart(track[-1][1], person), default=None)
            if near is not None and _apart(near[-1][1], person) < 1:
                free.remove(near)
                near.append((place, person))
            else:
                tracks.append([(place, person)])
    tracks.sort(key=lambda track: -sum(person.score for _, person in track))
    chosen = [dict(track) for track in tracks[:people]]
    there = {place: [track[place] for track in chosen if place in track] for place, _ in seen}
    scores = {place: sum(person.score for person in found) for place, found in there.items()}
    best = max(scores.values())
    first = next(place for place, score in scores.items() if score >= PLAIN * best)
    return first, there[first]


def _find(streaming: StreamingRPSTN, frame: Frame, name: Hashable) -> list[FoundPerson]:
    streaming.finder.observe(frame.image, name)
    found = streaming.finder.find(frame.image, name)
    check_found(found, streaming.finder)
    return list(found)


def _looked_at(
    streaming: StreamingRPSTN, frame: Frame, found: Sequence[FoundPerson]
) -> list[FoundPerson]:
    """The same people, the surest first: by the finder's score times the mean of their joints'."""
    seen = []
    for person in found[: streaming.max_people + MORE]:
        name = object()
        streaming.tell([person], name)
        people = streaming.step(frame.image, stream=name).people
        streaming.close(name)
        sure = max((float(one.scores.mean()) for one in people), default=0.0)
        seen.append(replace(person, score=person.score * sure))
    return sorted(seen, key=lambda person: -person.score)


def _apart(a: FoundPerson, b: FoundPerson) -> float:
    """Distance of two people's middles, in circles' radii, or half sides, of the larger one."""
    places: list[Place] = [person.body or person.box for person in (a, b)]
    sides = [
        person.body.radius if person.body else float((person.box[2:] - person.box[:2]).max()) / 2
        for person in (a, b)
    ]
    return float(np.linalg.norm(middle_of(places[0]) - middle_of(places[1])) / max(*sides, 1.0))


def _followed(
    streaming: StreamingRPSTN,
    window: Sequence[Frame],
    place: int,
    people: Sequence[FoundPerson],
    frames: Iterator[Frame],
) -> Beginning:
    """From a frame of the window to its first, backwards, and to its last."""
    back, name = object(), object()
    earlier = _steps(streaming, window[place::-1], people, back) if place else []
    streaming.close(back)
    later = _steps(streaming, window[place:], people, name)
    return Beginning(earlier[:0:-1], later, frames, len(people), name)


def _steps(
    streaming: StreamingRPSTN, frames: Sequence[Frame], people: Sequence[FoundPerson], name: object
) -> list[FrameResult]:
    """One frame after the other, from these people on."""
    streaming.tell(people, name)
    try:
        return [
            replace(streaming.step(frame.image, stream=name), index=frame.index, time=frame.time)
            for frame in frames
        ]
    except BaseException:
        streaming.close(name)
        raise
