"""Where people are looked for first in a file: in the surest of its first frames.

In a video's very first frame somebody may be covered, half outside, or less plain to see than a
bystander, and who is begun with wrongly is followed wrongly. Of files the next frames can be had.
If the finder is not sure of the first frame it looks at some of the others, too; who is seen most
surely in all of them together is begun with where that is plain, and followed from there to the
first frame, backwards, and to the last.
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
PLAIN = 0.75
"""Share of people's best scores from which an earlier frame is preferred to the best."""
LOOKS = 4
"""Parts of the frames ahead, at whose ends the finder looks."""
BYTES = 1 << 28
"""Of frames that wait, at most."""


@dataclass(eq=False)
class Beginning:
    """What is known once the people to follow are chosen."""

    earlier: list[FrameResult]
    """Of the frames before the one that is begun with, in order, with their images."""
    frames: Iterator[Frame]
    """That one, and all after it."""
    found: list[FoundPerson]
    """Who is in it; 0, 1, ... are their numbers in the earlier ones."""

    @property
    def named(self) -> int:
        """Numbers given in the earlier frames to others than these."""
        last = max((person.id for result in self.earlier for person in result.people), default=-1)
        return max(0, last + 1 - len(self.found))


def looks_ahead(streaming: StreamingRPSTN) -> bool:
    """Whether its finder is asked, and says how sure it is, of any frame by itself."""
    return streaming.max_people > 0 and getattr(streaming.finder, 'any_frame', False)


def begin(
    streaming: StreamingRPSTN, frames: Iterator[Frame], ahead: int, name: Hashable
) -> Beginning:
    """Choose whom to follow, and follow them back to the first frame.

    Args:
        streaming: that :func:`looks_ahead`.
        frames: from the first on.
        ahead: of so many, at least 1, the surest is looked for; fewer of large ones.
        name: of the stream that goes on from there, as far as the finder is concerned.
    """
    window = list(islice(frames, 1))
    if not window:
        return Beginning([], frames, [])
    seen = [(0, _find(streaming, window[0], name))]
    if not _sure(seen[0][1], streaming.max_people):
        window += islice(frames, min(ahead, max(1, BYTES // window[0].image.nbytes)) - 1)
        for place in sorted({round(n * (len(window) - 1) / LOOKS) for n in range(1, LOOKS + 1)}):
            if place:
                seen.append((place, _find(streaming, window[place], name)))
    first, found = surest(seen, streaming.max_people)
    earlier = _backwards(streaming, window[: first + 1], found)
    return Beginning(earlier, chain(window[first:], frames), found)


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


def _sure(found: Sequence[FoundPerson], people: int) -> bool:
    return len(found) >= people and found[people - 1].score >= SURE


def _apart(a: FoundPerson, b: FoundPerson) -> float:
    """Distance of two people's middles, in circles' radii, or half sides, of the larger one."""
    places: list[Place] = [person.body or person.box for person in (a, b)]
    sides = [
        person.body.radius if person.body else float((person.box[2:] - person.box[:2]).max()) / 2
        for person in (a, b)
    ]
    return float(np.linalg.norm(middle_of(places[0]) - middle_of(places[1])) / max(*sides, 1.0))


def _backwards(
    streaming: StreamingRPSTN, frames: Sequence[Frame], found: list[FoundPerson]
) -> list[FrameResult]:
    """Those of all but the last, from which people are followed to the first."""
    if len(frames) < 2:
        return []
    name = object()
    results = []
    try:
        streaming.tell(found, name)
        streaming.step(frames[-1].image, stream=name)
        for frame in reversed(frames[:-1]):
            result = streaming.step(frame.image, stream=name)
            results.append(replace(result, index=frame.index, time=frame.time))
    finally:
        streaming.close(name)
    return results[::-1]
