"""A file is begun with the surest of its first frames, backwards and forwards; a stream never looks
ahead."""

import gc
import json
import math
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from rpstn.errors import SettingError
from rpstn.inference.beginning import plainest, surest
from rpstn.inference.streams import stream_video
from rpstn.pose.bodies import Body, box_of_body
from rpstn.pose.finders import FoundPerson
from rpstn.pose.streaming.streaming import StreamingRPSTN
from rpstn.results import FrameResult
from rpstn.video.frames import Frame

from body_dots import BODY, PARTS, STANDING

SIZE = (320, 240)
COLORS = np.array(list(BODY.values()), float)
FRAMES = 8


def turning(t: int) -> np.ndarray:
    """Joints (7, 2) of somebody who turns by 10 degrees a frame, at the left."""
    sin, cos = math.sin(math.radians(10 * t)), math.cos(math.radians(10 * t))
    return STANDING @ np.array([[cos, sin], [-sin, cos]]) + (90 + t, 110)


BYSTANDER = 0.8 * STANDING + (260, 130)


def found(joints: np.ndarray, score: float) -> FoundPerson:
    body = PARTS.body(joints, np.ones(len(joints), bool))
    return FoundPerson(
        np.clip(box_of_body(body), 0, (319, 239) * 2).astype(np.float32), score, body
    )


class Scripted:
    """A finder that knows what to say of each frame, in whatever order it is asked."""

    any_frame = True

    def __init__(self, says: Sequence[tuple[np.ndarray, list[FoundPerson]]]) -> None:
        self.says = {image.tobytes(): people for image, people in says}
        self.asked = 0

    def observe(self, image, stream) -> None:
        pass

    def find(self, image, stream) -> list[FoundPerson]:
        self.asked += 1
        return self.says[image.tobytes()]

    def forget(self, stream) -> None:
        pass


@pytest.fixture
def video(dots):
    """``video(scores, hidden=(), both=True)``: frames, and the finder that gives whoever turns
    these scores, where they are above 0, and the bystander 0.6."""

    def make(scores: Sequence[float], hidden: Sequence[int] = (), both: bool = True):
        frames, says = [], []
        for t in range(FRAMES):
            people = [] if t in hidden else [turning(t)]
            people += [BYSTANDER] * both
            image = np.zeros((240, 320, 3), np.uint8)
            for joints in people:
                image = np.maximum(image, dots(joints, 4, SIZE, COLORS))
            image[0, 0] = t  # tells it from others
            seen = [found(turning(t), scores[t])] if scores[t] and t not in hidden else []
            seen += [found(BYSTANDER, 0.6)] * both
            says.append((image, sorted(seen, key=lambda person: -person.score)))
            frames.append(Frame(t, t / 10, image))
        return frames, Scripted(says)

    return make


@pytest.fixture
def build(dot_model):
    def stream(finder: Scripted, **options) -> StreamingRPSTN:
        model = dot_model(dict(type='TopdownAffine'), body=True)
        return StreamingRPSTN(model, finder=finder, **options)

    return stream


LATE = [0.5, 0.55, 0.5, *[0.95] * (FRAMES - 3)]


def test_whoever_is_surest_later_is_followed_from_the_first_frame_on(build, video):
    frames, finder = video(LATE)
    results = list(stream_video(build(finder), iter(frames)))
    assert [(r.index, r.time) for r in results] == [(f.index, f.time) for f in frames]
    for t, result in enumerate(results):
        assert result.image is frames[t].image
        (person,) = result.people
        assert person.id == 0
        np.testing.assert_allclose(person.keypoints, turning(t), atol=0.6)
    assert [r.people[0].state for r in results].index('started') == 4, (
        'where it was looked at, and is plain'
    )
    assert finder.asked == 5, 'once for each part of the frames ahead, and of the first'
    # Without looking ahead it is the bystander, who is plainer in the first frame.
    for result in stream_video(build(finder), iter(frames), look_ahead=0):
        np.testing.assert_allclose(result.people[0].keypoints, BYSTANDER, atol=0.6)


def test_who_is_hidden_at_first_is_lost_there_and_followed_after(build, video):
    frames, finder = video([0.0] * 3 + [0.95] * (FRAMES - 3), hidden=(0, 1), both=False)
    results = list(stream_video(build(finder), iter(frames)))
    assert [r.index for r in results] == list(range(FRAMES))
    assert all(person.lost for result in results[:2] for person in result.people)
    for t in range(2, FRAMES):
        np.testing.assert_allclose(results[t].people[0].keypoints, turning(t), atol=0.6)
        assert results[t].people[0].id == 0
    causal = list(stream_video(build(finder), iter(frames), look_ahead=0))
    assert not causal[2].people, 'the finder does not see the third frame'


def test_a_frame_in_which_the_network_sees_nobody_is_not_begun_with(build, video):
    """The finder takes a jacket for the person, who comes later, and is not so plain to it."""
    frames, finder = video([0.0] * 2 + [0.6] * (FRAMES - 2), hidden=(0, 1), both=False)
    finder.says[frames[0].image.tobytes()] = [found(turning(0), 0.85)]
    results = list(stream_video(build(finder), iter(frames)))
    assert [r.people[0].state for r in results].index('started') >= 2
    for result in results[2:]:
        np.testing.assert_allclose(result.people[0].keypoints, turning(result.index), atol=0.6)


def test_a_frame_from_which_nobody_can_be_followed_is_not_begun_with(build, video):
    """Somebody is hidden soon after the first frame, where the finder is surest."""
    frames, finder = video([0.85] + [0.0] * (FRAMES - 2) + [0.6], hidden=(2, 3), both=False)
    taken: list[int] = []
    streaming = build(finder)
    results = list(stream_video(streaming, counted(frames, taken)))
    assert taken == [result.index for result in results] == list(range(FRAMES))
    assert all(result.image is frame.image for result, frame in zip(results, frames))
    for result in results[4:]:
        np.testing.assert_allclose(result.people[0].keypoints, turning(result.index), atol=0.6)
        assert result.people[0].id == 0
    assert not streaming._streams, 'nothing is kept of what was tried'


@pytest.mark.parametrize('stop', [1, 4, 6, 9, 14])
def test_nothing_is_kept_of_a_beginning_that_is_broken_off(build, video, stop):
    frames, finder = video([0.85] + [0.0] * (FRAMES - 2) + [0.6], hidden=(2, 3), both=False)
    streaming = build(finder)
    step, calls = streaming.step, []

    def stopped(*args, **kwargs):
        calls.append(args)
        if len(calls) == stop:
            raise KeyboardInterrupt
        return step(*args, **kwargs)

    streaming.step = stopped
    with pytest.raises(KeyboardInterrupt):
        list(stream_video(streaming, iter(frames)))
    assert not streaming._streams


def test_images_are_let_go_when_they_are_answered(build, video):
    for scores in (LATE, [0.0] * FRAMES):
        frames, finder = video(scores, both=False)
        kept = [weakref.ref(frame.image) for frame in frames]
        results = stream_video(build(finder), iter(frames))
        del frames
        for _ in range(FRAMES - 1):
            next(results)
        gc.collect()
        assert sum(image() is not None for image in kept) <= 2


def counted(frames: Sequence[Frame], taken: list[int]) -> Iterator[Frame]:
    for frame in frames:
        taken.append(frame.index)
        yield frame


@pytest.mark.parametrize(
    ('first', 'look_ahead', 'expected'),
    [(0.5, 0, 1), (0.5, 6, 6), (0.5, 32, FRAMES), (0.95, 32, 1)],
)
def test_no_frame_is_taken_before_it_is_needed(build, video, first, look_ahead, expected):
    frames, finder = video([first] + [0.97] * (FRAMES - 1))
    taken: list[int] = []
    results = stream_video(build(finder), counted(frames, taken), look_ahead=look_ahead)
    for done in (1, 2):
        next(results)
        assert len(taken) == max(expected, done + (look_ahead > 0))  # one is looked at ahead


def test_finders_that_need_the_frames_in_order_are_not_asked_ahead(build, video):
    frames, finder = video(LATE)
    finder.any_frame = False
    taken: list[int] = []
    next(stream_video(build(finder), counted(frames, taken)))
    assert taken == [0, 1]


def test_numbers_are_the_same_before_and_after(build, video):
    frames, finder = video(LATE)
    for result in stream_video(build(finder, max_people=2), iter(frames)):
        assert [person.id for person in result.people] == [0, 1]
        for person, joints in zip(result.people, (turning(result.index), BYSTANDER)):
            np.testing.assert_allclose(person.keypoints, joints, atol=0.6)


def test_who_is_seen_in_the_earlier_frames_alone_has_a_number_of_their_own(build, video, dots):
    """Two are asked for; in the first frames a stranger is there, at the end another."""
    frames, finder = video(LATE, both=False)
    for t, frame in enumerate(frames):
        there = BYSTANDER if t < 2 else BYSTANDER - (0, 30) if t > 6 else None
        if there is None:
            continue
        said = finder.says.pop(frame.image.tobytes())
        image = np.maximum(frame.image, dots(there, 4, SIZE, COLORS))
        image[0, 0] = frame.image[0, 0]
        finder.says[image.tobytes()] = [*said, found(there, 0.5)]
        frames[t] = frame._replace(image=image)
    results = list(stream_video(build(finder, max_people=2, max_lost=0), iter(frames)))
    ids = [{person.id for person in result.people if not person.lost} for result in results]
    assert ids[0] == ids[1] and len(ids[0]) == 2 and ids[4] == {0}
    assert len(ids[-1]) == 2 and not (ids[0] & ids[-1]) - {0}


@pytest.mark.parametrize('done', [2, 6])
def test_a_resumed_run_follows_as_a_whole_one(build, video, done):
    frames, finder = video(LATE)
    whole = list(stream_video(build(finder), iter(frames)))
    known = [FrameResult.from_dict(json.loads(json.dumps(r.to_dict()))) for r in whole[:done]]
    resumed = list(stream_video(build(finder), iter(frames), known=known))
    assert [r.index for r in resumed] == list(range(FRAMES))
    for a, b in zip(whole, resumed):
        assert [p.id for p in a.people] == [p.id for p in b.people]
        np.testing.assert_allclose(a.keypoints, b.keypoints, atol=0.6)


def test_the_surest_are_those_of_all_frames_together():
    def at(x: float, score: float) -> FoundPerson:
        body = Body(np.array([x, 100.0]), 50.0)
        return FoundPerson(box_of_body(body).astype(np.float32), score, body)

    def scores(tracks: dict[int, list[FoundPerson]]) -> dict[int, list[float]]:
        return {place: [person.score for person in people] for place, people in tracks.items()}

    often = [(0, [at(200, 0.9), at(50, 0.65)]), (8, [at(80, 0.8)]), (16, [at(110, 0.7)])]
    assert scores(surest(often, 1)) == {0: [0.65], 8: [0.8], 16: [0.7]}
    assert scores(surest(often, 2)) == {0: [0.65, 0.9], 8: [0.8], 16: [0.7]}
    boxes = [(t, [replace(p, body=None) for p in people]) for t, people in often]
    assert scores(surest(boxes, 1)) == scores(surest(often, 1))
    assert not surest([(0, []), (8, [])], 1)
    assert list(surest([(0, []), (8, [at(9, 0.5)])], 1)) == [8]

    tracks = surest(often, 1)
    order = plainest(tracks, {0: [0.9], 8: [0.9], 16: [0.95]})
    assert order == [0, 8, 16], '0.585 is more than three quarters of 0.72, and earlier'
    assert plainest(tracks, {0: [0.8], 8: [0.9], 16: [0.95]}) == [8, 16, 0]
    assert plainest(tracks, {0: [0.1], 8: [0.1], 16: [0.9]}) == [16, 8, 0]


def test_what_cannot_be_looked_ahead_is_refused():
    from rpstn.inference.inferencer import PoseInferencer

    with pytest.raises(SettingError, match='look_ahead must be at least 0, got -1'):
        PoseInferencer(look_ahead=-1)
