"""Frames that are left to those around them: which, and what is answered of them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rpstn.inference.inferencer import PoseInferencer
from rpstn.inference.kernel_smoother import KernelSmoother
from rpstn.inference.sparing import FAR, LONG, MOST, calm_seconds, followed, in_between
from rpstn.inference.streams import stream_video
from rpstn.pose.bodies import box_of_body
from rpstn.pose.finders import FoundPerson
from rpstn.pose.streaming.ahead import SOON
from rpstn.pose.streaming.streaming import StreamingRPSTN
from rpstn.results import FrameResult, PersonResult
from rpstn.video.frames import Frame, open_frames

from body_dots import BODY, Seen, body, person

SIZE = 100.0
BOX = np.array([0.0, 0, 60, SIZE])
THR = 0.3
DEMO = Path(__file__).parents[3] / 'demo' / 'squat.mp4'


def someone(place, score=0.9, state='tracked', number=0, **more) -> PersonResult:
    """Whose five joints are in one place (x, y)."""
    keypoints = np.tile(np.array(place, float), (5, 1))
    return PersonResult(number, BOX, keypoints, np.full(5, score), state, **more)


def frames_at(times, broken: int | None = None) -> Iterator[Frame]:
    for n, time in enumerate(times):
        if n == broken:
            raise OSError('cut off')
        yield Frame(n, time, np.full((2, 2, 3), n, np.uint8))


class Step:
    """Answers frames by a function of time, and notes which, and what was to come next."""

    def __init__(self, people) -> None:
        self.people, self.looked, self.coming = people, [], []

    def __call__(self, frame: Frame, following: np.ndarray | None) -> FrameResult:
        self.looked.append(frame.index)
        self.coming.append(None if following is None else int(following[0, 0, 0]))
        return FrameResult(frame.index, frame.time, tuple(self.people(frame.time)), frame.image)


def walking(speed: float):
    """Somebody at so many sizes a second."""
    return lambda time: [someone((speed * SIZE * time, 7))]


def calm(results) -> float:
    return calm_seconds(results, THR)


def test_of_calm_people_every_third_frame_is_looked_at_and_all_are_answered():
    step = Step(walking(0.1))
    results = list(followed(frames_at(np.arange(15) / 30), step, calm))
    # Three must be known before; what comes behind a frame is chosen before it is answered.
    assert step.looked == [0, 1, 2, 3, 6, 9, 12, 14]
    assert step.coming == [1, 2, 3, 6, 9, 12, 14, None], 'what is encoded ahead is looked at'
    assert [result.index for result in results] == list(range(15))
    for n, result in enumerate(results):
        assert result.time == n / 30 and result.image[0, 0, 0] == n
        assert result.people[0].state == ('tracked' if n in step.looked else 'between')
        np.testing.assert_allclose(result.keypoints[0], [(10 * n / 30, 7)] * 5, atol=1e-9)


@pytest.mark.parametrize(
    ('rate', 'speed', 'gap'),
    [
        (30, 0.1, 3),  # as far apart as may be
        (25, 0.1, 2),
        (60, 0.1, 6),
        (240, 0.1, MOST),
        (12.5, 0.1, 1),
        (30, 0.99 * FAR * 15, 2),  # as far as joints may go
        (30, 1.01 * FAR * 15, 1),
        (60, 0.99 * FAR * 15, 4),
        (30, 10, 1),
    ],
)
def test_the_next_frame_is_as_far_as_time_and_speed_allow(rate, speed, gap):
    step = Step(walking(speed))
    results = list(followed(frames_at(np.arange(40) / rate), step, calm))
    assert len(results) == 40
    assert set(np.diff(step.looked)[3:-1]) == {gap}


def test_times_count_where_they_are_uneven():
    times = [0, 0.03, 0.06, 0.09, 0.12, 0.2, 0.3, 0.32, 0.34, 0.8, 0.81]
    step = Step(walking(0.1))
    results = list(followed(frames_at(times), step, calm))
    assert step.looked == [0, 1, 2, 3, 4, 5, 6, 8, 9, 10] and len(results) == 11
    assert step.coming[8] == 10 and step.coming[7] is None, 'in more than SOON seconds'
    backwards = Step(walking(0.1))
    found = list(followed(frames_at(times[::-1]), backwards, calm))
    assert len(found) == 11 and len(backwards.looked) < 11
    np.testing.assert_allclose([r.keypoints[0, 0, 0] for r in found], 10 * np.array(times[::-1]))


@pytest.mark.parametrize('wanted', [calm, lambda results: LONG])
@pytest.mark.parametrize(
    'times', [[0.0] * 9, [0, 0.03, 0.03, 0.03, 0.06, 0.09, 0.12], [0, 1, 2, 1, 2, 3], [np.nan] * 6]
)
def test_times_that_do_not_go_on_lose_no_frame(times, wanted):
    results = list(followed(frames_at(times), Step(lambda time: [someone((0, 0))]), wanted))
    assert [result.index for result in results] == list(range(len(times)))
    assert all(np.isfinite(result.keypoints).all() for result in results)
    every = Step(walking(0))
    assert len(list(followed(frames_at(times), every))) == len(times) == len(every.looked)


@pytest.mark.parametrize(
    'people',
    [
        lambda t: [],
        lambda t: [someone((0, 0), score=THR - 1e-6)],
        lambda t: [someone((0, 0), state='lost')],
        lambda t: [someone((0, 0), state='started')],
        lambda t: [someone((0, 0), number=round(30 * t))],
        lambda t: [someone((0, 0)), someone((300 * t, 0), number=1)],
        lambda t: [someone((0, 0)), *[someone((9, 9), number=1)] * (round(30 * t) % 2)],
    ],
    ids=['nobody', 'unsure', 'lost', 'started', 'another', 'one is fast', 'one comes and goes'],
)
def test_every_frame_is_looked_at_where_people_are_not_followed_calmly(people):
    step = Step(people)
    assert len(list(followed(frames_at(np.arange(10) / 30), step, calm))) == 10
    assert step.looked == list(range(10))


def test_every_frame_is_looked_at_by_default():
    step = Step(walking(0))
    assert len(list(followed(frames_at(np.arange(10) / 30), step))) == 10
    assert step.looked == list(range(10))


def test_whoever_starts_to_move_is_looked_at_in_every_frame_soon_after():
    def still_then_fast(time):
        return [someone((0, 0) if time < 0.5 else (200 * (time - 0.5), 0))]

    step = Step(still_then_fast)
    list(followed(frames_at(np.arange(40) / 30), step, calm))
    first = next(n for n in step.looked if n > 15)
    # What follows that frame was chosen before it was answered, and so what comes behind it.
    assert [n for n in step.looked if n > first + 6] == list(range(step.looked[-1] + 1))[
        first + 7 :
    ]
    assert len([n for n in step.looked if n <= 15]) <= 8


def test_whoever_turns_back_is_not_calm_for_it():
    """Hands that go up and down four times a second: at the turn they hardly move."""
    for amplitude, least in ((0.1, 150), (0.001, 0)):
        step = Step(lambda t, a=amplitude: [someone((0, a * SIZE * np.sin(8 * np.pi * t)))])
        results = list(followed(frames_at(np.arange(160) / 30), step, calm))
        true = [amplitude * SIZE * np.sin(8 * np.pi * r.time) for r in results]
        assert np.abs([r.keypoints[0, 0, 1] for r in results] - np.array(true)).max() < 0.05 * SIZE
        assert least <= len(step.looked) <= (160 if least else 60)


def test_a_tenth_of_the_joints_are_no_motion_of_the_person():
    still = PersonResult(0, BOX, np.zeros((20, 2)), np.full(20, 0.9))
    moved = PersonResult(0, BOX, np.tile((1.0, 0), (20, 1)), np.full(20, 0.9))

    def after(person: PersonResult) -> float:
        shown = [still, moved, person]
        return calm([FrameResult(n, n / 30, (person,)) for n, person in enumerate(shown)])

    calmly = min(LONG, FAR * SIZE / 30)
    keypoints = moved.keypoints.copy()
    keypoints[3] += 500
    assert after(replace(moved, keypoints=keypoints)) == pytest.approx(calmly)
    keypoints[:4] += 500
    assert after(replace(moved, keypoints=keypoints)) < 0.01
    scores = np.where(np.arange(20) < 4, 0.1, THR)
    assert after(replace(moved, scores=scores)) == pytest.approx(calmly), 'four fifths are sure'
    scores = np.where(np.arange(20) < 5, 0.1, 0.9)
    assert after(replace(moved, scores=scores)) == 0


def test_what_lies_between_is_on_the_line():
    world = np.arange(15.0).reshape(5, 3)
    a = FrameResult(4, 0.4, (someone((0, 10), 0.4, rotation=350.0, world=world),), meta=dict(k=1))
    after = someone((3, 13), 0.8, rotation=20.0, world=world + 3)
    b = FrameResult(7, 0.7, (after, someone((9, 9), number=3)))
    image = np.zeros((4, 4, 3), np.uint8)
    result = in_between(Frame(5, 0.5, image), a, b)
    assert (result.index, result.time, result.image is image, result.meta) == (5, 0.5, True, a.meta)
    (found,) = result.people
    assert (found.id, found.state) == (0, 'between')
    np.testing.assert_allclose(found.keypoints, [(1, 11)] * 5)
    np.testing.assert_allclose(found.scores, 0.4 + 0.4 / 3)
    np.testing.assert_allclose(found.world, world + 1)
    assert found.rotation == pytest.approx(360)
    assert found.keypoints.dtype == a.people[0].keypoints.dtype
    elsewhere = someone((0.3 * SIZE, 10))
    lost = someone((1, 10), 0.1, 'lost')
    for later in ((), (lost,), (someone((1, 10), state='started'),), (elsewhere,)):
        (kept,) = in_between(Frame(5, 0.5, image), a, FrameResult(7, 0.7, later)).people
        np.testing.assert_array_equal(kept.keypoints, a.people[0].keypoints)
        assert kept.state == 'between'


def test_all_frames_before_one_that_cannot_be_read_are_answered():
    for broken in range(1, 12):
        seen = []
        with pytest.raises(OSError, match='cut off'):
            for result in followed(frames_at(np.arange(20) / 30, broken), Step(walking(0)), calm):
                seen.append(result.index)
        assert seen == list(range(broken))


@pytest.mark.parametrize(('held', 'most'), [(1 << 28, MOST), (36, 3), (1, 1)])
def test_no_more_frames_are_taken_than_lie_between(monkeypatch, held, most):
    monkeypatch.setattr('rpstn.inference.sparing.BYTES', held)  # images have 12
    taken = []

    def counted():
        for frame in frames_at(np.arange(60) / 120):
            taken.append(frame.index)
            yield frame

    step = Step(walking(0))
    for result in followed(counted(), step, calm):
        assert len(taken) <= step.looked[-1] + 1 + most, result.index
    assert set(np.diff(step.looked)[3:-1]) == {most}


def test_what_a_step_raises_is_raised_at_once_and_nothing_is_made_up():
    def step(frame, following):
        if frame.index == 9:
            raise ArithmeticError(f'frame {frame.index}')
        return FrameResult(frame.index, frame.time, (someone((0, 0)),))

    seen = []
    with pytest.raises(ArithmeticError, match='frame 9'):
        for result in followed(frames_at(np.arange(20) / 30), step, calm):
            seen.append(result.index)
    assert seen == list(range(7)), 'the two before it lay between'


def test_frames_come_with_those_that_follow_soon():
    step = Step(walking(0))
    assert len(list(followed(frames_at([0.0, 0.1, 0.3, 0.4]), step))) == 4
    assert step.looked == [0, 1, 2, 3] and step.coming == [1, None, 3, None]
    assert 0.1 < SOON < 0.2
    assert list(followed(frames_at([]), step)) == []


def test_smoothing_does_not_believe_what_was_not_looked_at():
    """Joints between two frames that go the other way; a curve that the line does not know."""
    times = np.arange(31) / 30
    way = [(30 * np.sin(4 * t), 100 * t) for t in times]
    looked = [n % 3 == 0 for n in range(31)]

    def results(wrong: float):
        for n, time in enumerate(times):
            place = np.array(way[n]) + (0 if looked[n] else wrong)
            state = 'tracked' if looked[n] else 'between'
            yield FrameResult(n, time, (someone(place, 0.95, state),))

    found, told = (
        np.stack([r.keypoints[0, 0] for r in KernelSmoother()(results(w))]) for w in (0, 50)
    )
    np.testing.assert_array_equal(found, told)
    np.testing.assert_allclose(found[6:-6], way[6:-6], atol=1)
    assert [r.people[0].state for r in KernelSmoother()(results(0))][:4] == [
        *('tracked', 'between', 'between', 'tracked')
    ]


def test_of_small_fast_motion_a_quarter_is_lost_at_most():
    """Up and down twice a second, by 2 of 100 pixels; with larger motion every frame is seen."""
    for amplitude in (0.01, 0.02, 0.05, 0.2):
        step = Step(lambda t, a=amplitude: [someone((0, a * SIZE * np.sin(4 * np.pi * t)), 0.95)])
        results = followed(frames_at(np.arange(90) / 30), step, calm)
        found = np.array([r.keypoints[0, 0, 1] for r in KernelSmoother()(results)])[15:-15]
        assert 0.75 < np.ptp(found) / (2 * amplitude * SIZE) <= 1


def test_what_memory_cannot_hold_until_it_is_looked_at_stays_on_the_line(monkeypatch):
    monkeypatch.setattr('rpstn.inference.kernel_smoother.FRAMES', 0)
    results = [
        FrameResult(n, n / 30, (someone((5 * n, 0), state='between' if n % 3 else 'tracked'),))
        for n in range(31)
    ]
    for result in KernelSmoother()(results):
        if result.index % 3 == 1:  # the next is all that waits
            np.testing.assert_array_equal(result.keypoints[0, 0], (5 * result.index, 0))


@pytest.fixture
def answered(dots, dot_model):
    """``answered(spare, speed, **options)``: 20 frames of two people, of whom one goes so many
    pixels a frame."""
    model = dot_model(dict(type='TopdownAffine'), body=True)
    colors = np.array(list(BODY.values()), float)

    def stream(spare: bool, speed: float, **options) -> list[FrameResult]:
        ways = [person(at=(100, 120)), person(at=(220, 120), scale=0.8)]
        found = [
            FoundPerson(box_of_body(body(way)).astype(np.float32), body=body(way)) for way in ways
        ]
        streaming = StreamingRPSTN(model, finder=Seen(*found), max_people=2)
        frames = (
            Frame(t, t / 30, np.max([dots(w, 4, (320, 240), colors) for w in moved], axis=0))
            for t in range(20)
            for moved in [[ways[0] + (0.5 * t, 0), ways[1] + (speed * t, 0)]]
        )
        return list(stream_video(streaming, frames, spare=spare, **options))

    return stream


def test_a_stream_of_calm_dots_is_answered_by_fewer_steps(answered):
    """The same people as by every frame; where somebody is fast, every frame is looked at."""
    every, spared = answered(False, 0.5), answered(True, 0.5)
    states = [[p.state for p in result.people] for result in spared]
    assert sum(state == ['between'] * 2 for state in states) >= 8
    for one, other in zip(every, spared, strict=True):
        assert [p.id for p in one.people] == [p.id for p in other.people] == [0, 1]
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=0.6)
    for fast in (answered(True, 6), answered(True, 0.5, look_ahead=0)):
        assert not any(p.state == 'between' for result in fast for p in result.people)


@pytest.mark.parametrize('known', range(4, 12))
def test_a_run_goes_on_from_any_frame(answered, known):
    whole = answered(True, 0.5)
    resumed = answered(True, 0.5, known=whole[:known])
    assert [r.index for r in resumed] == list(range(20))
    assert [p.state for p in resumed[known].people] == ['started'] * 2
    for one, other in zip(whole, resumed, strict=True):
        assert [p.id for p in other.people] == [0, 1] and other.image is not None
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=0.6)


def test_a_real_squat_is_answered_alike():
    frames = open_frames(DEMO, fps=30)  # faster than it was
    every, spared = (
        list(PoseInferencer(smooth=True, spare=spare)(frames)) for spare in (False, True)
    )
    assert len(every) == len(spared) == 46
    between = [r.people[0].state == 'between' for r in spared]
    assert sum(between) >= 10
    sizes = np.array([r.people[0].size for r in every])
    apart = np.linalg.norm(
        [a.keypoints[0] - b.keypoints[0] for a, b in zip(every, spared)], axis=-1
    )
    share = apart / sizes[:, None]
    assert np.median(share) < 0.005 and np.quantile(share[between], 0.95) < 0.03
