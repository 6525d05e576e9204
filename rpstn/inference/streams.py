"""A video's frames through a stream: from its beginning, or from where an earlier run stopped."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from rpstn.choices import LOOK_AHEAD
from rpstn.pose.bodies import Place, body_of_box
from rpstn.pose.boxes import checked_box, parse_box, whole_frame
from rpstn.pose.streaming.streaming import StreamingRPSTN
from rpstn.results import FrameResult
from rpstn.video.frames import Frame
from rpstn.video.readers import size_of

from .beginning import begin, looks_ahead
from .clips import check_finite
from .sparing import calm_seconds, followed


def stream_video(
    streaming: StreamingRPSTN,
    frames: Iterator[Frame],
    box: str | Sequence[float] = 'follow',
    known: Iterable[FrameResult] = (),
    look_ahead: int = LOOK_AHEAD,
    spare: bool = False,
) -> Iterator[FrameResult]:
    """The joints of everybody in every frame, in order, as the frames come.

    Args:
        streaming: what follows people; there may be other streams at the same time.
        frames: of one video.
        box: where a person is, see :func:`rpstn.pose.boxes.parse_box`.
        known: what an earlier run over the same frames gave, from the first frame on: given out
            again, and gone on from; everybody's recurrence starts anew, with P.
        look_ahead: frames in which the surest is looked for, to begin with it, where people are
            followed, none is known, and the finder says how sure it is; where it sees nobody,
            whom the network guesses (:mod:`.guesses`). Then each frame is also answered while the
            next one's crops are encoded (:mod:`rpstn.pose.streaming.ahead`). 0 answers every frame
            before the next is taken.
        spare: whether frames between two others are left to these where everybody moves calmly
            (:mod:`.sparing`), of those who are followed, and looked ahead for.

    Raises:
        BoxError: the box cannot be used.
        ModelError: the model's answer is no number.
    """
    last: FrameResult | None = None
    size: tuple[int, int] | None = None
    taken = 0
    for last in known:
        frame = next(frames)
        size = size_of(frame.image)
        taken = max([taken, *(person.id + 1 for person in last.people)])
        yield replace(last, image=frame.image)
    follow, given = parse_box(box)
    name: Hashable = object()  # of this run
    places: dict[int, Place] = {}
    if last is not None and size is not None:
        places = _places_after(last, size, streaming)
    elif given is not None:
        places = {0: given}
    # Numbers of people who had left before a run was taken up again are not used twice.
    numbers = {number: number for number in places}

    def step(frame: Frame, following: np.ndarray | None = None) -> FrameResult:
        nonlocal places
        told, places = places, {}
        result = streaming.step(frame.image, told or None, name, following)
        result = replace(result, index=frame.index, time=frame.time)
        return _checked(result, numbers, taken)

    def calm(results: Sequence[FrameResult]) -> float:
        if not spare or streaming.doubts(name):
            return 0.0
        return calm_seconds(results, streaming.min_score)

    try:
        if look_ahead and follow and not places and looks_ahead(streaming):
            beginning = begin(streaming, frames, look_ahead, guess=last is None)
            frames, name = beginning.frames, beginning.stream
            numbers = {number: number + taken for number in range(beginning.people)}
            more = taken + beginning.named
            while beginning.earlier:  # of which none is kept
                yield _checked(beginning.earlier.pop(0), numbers, taken)
            taken = more
            while beginning.later:
                yield _checked(beginning.later.pop(0), numbers, taken)
        if look_ahead and follow:
            yield from followed(frames, step, calm)
        else:
            for frame in frames:
                if not follow:
                    size = size_of(frame.image)
                    whole = whole_frame(size) if given is None else checked_box(given, size)
                    places = {0: body_of_box(whole) if streaming.cropper.upright else whole}
                yield step(frame)
    finally:
        streaming.close(name)


def _checked(result: FrameResult, numbers: Mapping[int, int], more: int) -> FrameResult:
    """The result, if it is one, with people's numbers in the video in place of the stream's.

    Those who are not among the numbers come ``more`` later.
    """
    for person in result.people:
        check_finite(person.keypoints, person.scores, result.index)
    people = (
        replace(person, id=numbers.get(person.id, person.id + more)) for person in result.people
    )
    return replace(result, people=tuple(people))


def _places_after(
    result: FrameResult, size: tuple[int, int], streaming: StreamingRPSTN
) -> dict[int, Place]:
    """Where to go on looking for the people of the last frame of an earlier run, by their joints:
    results do not hold what alignment said."""
    places: dict[int, Place] = {}
    for person in result.people:
        follower = streaming.follower()
        follower.look_at(person.box)
        follower.update(person.keypoints, person.scores)
        if not follower.lost:
            places[person.id] = follower.current(size)
    return places
