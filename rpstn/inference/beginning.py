"""Where people are looked for first in a file: in the surest of its first frames.

In a video's very first frame somebody may be covered, half outside, or less plain to see than a
bystander, and who is begun with wrongly is followed wrongly. Of files the next frames can be had.
If the finder is not sure of the first frame it looks at some of the others, too. Who is seen most
surely in all of them together is begun with where that is plain to the network as well (of somebody
who is hidden, or turned the wrong way, few joints are sure), and followed from there to the first
frame, backwards, and to the last frame that was looked ahead at. Where that goes badly the other
frames are begun with, too, and the best is kept. Where one person is asked for, and the finder sees
nobody, or nobody whose joints are to be trusted, the network's own guesses are (:mod:`.guesses`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from rpstn.pose.bodies import Place, middle_of
from rpstn.pose.finders import FoundPerson
from rpstn.pose.streaming.checks import check_found
from rpstn.pose.streaming.streaming import StreamingRPSTN
from rpstn.results import FrameResult
from rpstn.video.frames import Frame

from .guesses import can_guess, guessed
from .sparing import followed

SURE = 0.9
"""Score of the finder from which the first frame will do."""
PLAIN = 0.75
"""Share of people's best scores from which an earlier frame is preferred to the best."""
LOOKS = 4
"""Parts of the frames ahead, at whose ends the finder looks."""
TRIES = 3
"""Frames that are begun with, at most."""
GOOD = 0.75
"""Mean score of the joints with which no other is tried."""
TRUSTED = 0.6
"""Mean score of the joints below which whom the network guesses may be better. At 0.75 guesses
help JHMDB's training clips hardly more, cost more, and are passers-by more often."""
BELIEVED = 0.55
"""Mean score of the joints with which a guess must be followed. Of JHMDB's training and validation
clips, people whom the finder had missed were with 0.6 or more; where it had missed nobody, as all
had been painted over, what was guessed with less, but for others who were there."""
BYTES = 1 << 28
"""Of frames that wait, at most."""
_Start = tuple[int, Sequence[FoundPerson]]
"""A frame of the window, by number, and who is to be followed from there."""


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

    def score(self, people: int) -> float:
        """Mean of so many people's joints' in all frames, 0 where somebody is missing."""
        results = [*self.earlier, *self.later]
        known = [p.scores.mean() for r in results for p in r.people if p.id < self.people]
        return float(sum(known)) / (len(results) * people)


def looks_ahead(streaming: StreamingRPSTN) -> bool:
    """Whether its finder is asked, and says how sure it is, of any frame by itself."""
    return streaming.max_people > 0 and getattr(streaming.finder, 'any_frame', False)


def begin(
    streaming: StreamingRPSTN, frames: Iterator[Frame], ahead: int, guess: bool = True
) -> Beginning:
    """Choose whom to follow, and from where.

    Args:
        streaming: that :func:`looks_ahead`.
        frames: from the first on.
        ahead: of so many, at least 1, the surest is looked for; fewer of large ones.
        guess: whether whom the network guesses will do, in several frames, for one person.
    """
    window = deque(islice(frames, 1))
    if not window:
        return Beginning([], [], frames, 0, object())
    wanted, looks = streaming.max_people, object()
    try:
        found = _find(streaming, window[0], looks)
        if len(found) >= wanted and found[wanted - 1].score >= SURE:
            return _told(streaming, _emptied(window, frames), found[:wanted])
        seen = [(0, found)]
        window += islice(frames, min(ahead, max(1, BYTES // window[0].image.nbytes)) - 1)
        for place in sorted({round(n * (len(window) - 1) / LOOKS) for n in range(1, LOOKS + 1)}):
            if place:
                seen.append((place, _find(streaming, window[place], looks)))
    finally:
        streaming.finder.forget(looks)
    tracks = surest(seen, wanted)
    waiting = list(window)
    best: Beginning | None = None
    if tracks:
        number = max(map(len, tracks.values()))
        best = _best(streaming, waiting, _tracked(streaming, waiting, tracks), frames, number)
    guess = guess and wanted == 1 and len(waiting) > 1 and can_guess(streaming)
    if guess and (best is None or best.score(1) < TRUSTED):
        seen_by_finder = best
        best = _best(streaming, waiting, _guesses(streaming, waiting), frames, 1, best, BELIEVED)
        if best is not None and best is not seen_by_finder:
            best.later[0] = _guess(best.later[0])
    return best or _told(streaming, _emptied(window, frames), [])


def _tracked(
    streaming: StreamingRPSTN, window: Sequence[Frame], tracks: Mapping[int, list[FoundPerson]]
) -> Iterator[_Start]:
    """Where to begin with people whom the finder sees, the best first."""
    sure = {
        place: [_joints_of(streaming, window[place], person) for person in people]
        for place, people in tracks.items()
    }
    for place in plainest(tracks, sure)[:TRIES]:
        yield place, tracks[place]


def _guesses(streaming: StreamingRPSTN, window: Sequence[Frame]) -> Iterator[_Start]:
    """Where to begin with whom the network guesses: in the first, the middle and the last frame."""
    for place in sorted({0, len(window) // 2, len(window) - 1}):
        person = guessed(streaming, window[place].image)
        if person is not None:
            yield place, [person]


def _guess(result: FrameResult) -> FrameResult:
    """A frame that was begun with, as said of whom the network has guessed there."""
    people = [
        person if person.lost else replace(person, state='guessed') for person in result.people
    ]
    return replace(result, people=tuple(people))


def _best(
    streaming: StreamingRPSTN,
    window: Sequence[Frame],
    starts: Iterable[_Start],
    frames: Iterator[Frame],
    people: int,
    best: Beginning | None = None,
    least: float = 0.0,
) -> Beginning | None:
    """From the first of these places from which people are followed well, or else from the best.

    Args:
        people: so many, whose mean score counts.
        best: what there is already.
        least: mean score that is needed to be better than that.
    """
    try:
        for place, found in starts:
            tried = _followed(streaming, window, place, found, frames)
            score = tried.score(people)
            if score < least or (best is not None and best.score(people) >= score):
                streaming.close(tried.stream)
                continue
            if best is not None:
                streaming.close(best.stream)
            best = tried
            if score >= GOOD:
                break
    except BaseException:
        if best is not None:
            streaming.close(best.stream)
        raise
    return best


def _emptied(window: deque[Frame], frames: Iterator[Frame]) -> Iterator[Frame]:
    """All frames, of which none is kept."""
    while window:
        yield window.popleft()
    yield from frames


def _told(
    streaming: StreamingRPSTN, frames: Iterator[Frame], people: Sequence[FoundPerson]
) -> Beginning:
    """In the first frame, with these."""
    name = object()
    streaming.tell(people, name)
    return Beginning([], [], frames, len(people), name)


def surest(
    seen: Sequence[tuple[int, Sequence[FoundPerson]]], people: int
) -> dict[int, list[FoundPerson]]:
    """Those who are seen most surely in all frames together.

    Args:
        seen: numbers of frames, in order, and who is found in them, the surest first.
        people: wanted.

    Returns:
        Numbers of frames, in order -> which of these people are seen there; no frame without any.
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
    return {place: found for place, found in there.items() if found}


def plainest(
    tracks: Mapping[int, Sequence[FoundPerson]], sure: Mapping[int, Sequence[float]]
) -> list[int]:
    """Frames in the order in which to begin with them.

    The first is the first in which people are about as plain to see as anywhere, the finder's
    scores times their joints'; the others follow, the plainest first.

    Args:
        tracks: of :func:`surest`.
        sure: mean score of the joints of each of these people.
    """
    scores = {
        place: sum(person.score * joints for person, joints in zip(people, sure[place]))
        for place, people in tracks.items()
    }
    least = PLAIN * max(scores.values())
    first = next(place for place, score in scores.items() if score >= least)
    return [first, *sorted(scores.keys() - {first}, key=lambda place: -scores[place])]


def _find(streaming: StreamingRPSTN, frame: Frame, name: Hashable) -> list[FoundPerson]:
    streaming.finder.observe(frame.image, name)
    found = streaming.finder.find(frame.image, name)
    check_found(found, streaming.finder)
    return list(found)


def _joints_of(streaming: StreamingRPSTN, frame: Frame, person: FoundPerson) -> float:
    """Mean score of somebody's joints, 0 where there are none."""
    name = object()
    (result,) = _steps(streaming, [frame], [person], name)
    streaming.close(name)
    return max((float(found.scores.mean()) for found in result.people), default=0.0)


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

    def step(frame: Frame, following: np.ndarray | None) -> FrameResult:
        result = streaming.step(frame.image, None, name, following)
        return replace(result, index=frame.index, time=frame.time)

    streaming.tell(people, name)
    try:
        return list(followed(iter(frames), step))
    except BaseException:
        streaming.close(name)
        raise
