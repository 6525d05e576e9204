"""The next frame encoded while this one is answered: the recurrence of a loop by hand with crops a
frame late, whoever comes, goes or is lost, in one thread or two."""

import math
import threading
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

import rpstn
from rpstn.inference.streams import stream_video
from rpstn.pose.alignment import aligned_bodies
from rpstn.pose.bodies import Body, BodyJoints
from rpstn.pose.decoding import decode_heatmaps
from rpstn.pose.finders import FoundPerson
from rpstn.pose.streaming.ahead import SOON
from rpstn.pose.streaming.steppers import EncodingStepper
from rpstn.pose.streaming.streaming import StreamingRPSTN, TorchStepper
from rpstn.video.frames import Frame, open_frames
from rpstn.video.readahead import with_next
from rpstn.video.readers import size_of

from body_dots import BODY

# MMPose's unbiased decoding of a heatmap of zeros.
pytestmark = pytest.mark.filterwarnings('ignore:invalid value encountered:RuntimeWarning')

DEMO = Path(__file__).parents[3] / 'demo'
COLORS = np.array(list(BODY.values()), float)
PARTS = BodyJoints.of(list(BODY))
# Hips, shoulders, head, ankles.
STANDING = np.array(
    [(10, 0), (-10, 0), (13, -27), (-13, -27), (0, -45), (11, 50), (-11, 50)], float
)
BLACK = np.zeros((240, 320, 3), np.uint8)


def person(degrees: float = 0.0, at=(160, 120)) -> np.ndarray:
    """Joints (7, 2), turned clockwise about the hips as seen on the screen."""
    sin, cos = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    return STANDING @ np.array([[cos, sin], [-sin, cos]]) + at


def body(joints: np.ndarray) -> Body:
    return PARTS.body(joints, np.ones(len(joints), bool))


class Recorder(TorchStepper):
    """Notes what is asked of it; one encoder never looks at two batches at once."""

    def __init__(self, model, threads: int) -> None:
        super().__init__(model)
        self.threads = threads
        self.calls: list[str] = []
        self.encoders: set[int] = set()
        self.at_work = threading.Lock()

    def alone(self, name: str, call, *given):
        assert self.at_work.acquire(blocking=False), 'two at once'
        try:
            self.calls.append(name)
            return call(*given)
        finally:
            self.at_work.release()

    def start(self, crops):
        return self.alone('start', super().start, crops)

    def step(self, crops, heatmaps, features):
        return self.alone('step', super().step, crops, heatmaps, features)

    def encode(self, crops):
        self.encoders.add(threading.get_ident())
        return self.alone('encode', super().encode, crops)

    def carry_on(self, encoded, heatmaps, features):
        self.calls.append('carry_on')
        return super().carry_on(encoded, heatmaps, features)


class Whole:
    """A stepper whose step has no halves."""

    def __init__(self, stepper: TorchStepper) -> None:
        for name in ('input_size', 'heatmap_size', 'num_joints', 'start', 'step'):
            setattr(self, name, getattr(stepper, name))


class Seen:
    """A finder that is told what to find."""

    def __init__(self) -> None:
        self.people: list[FoundPerson] = []

    def observe(self, image, stream) -> None:
        pass

    def find(self, image, stream) -> list[FoundPerson]:
        return self.people

    def forget(self, stream) -> None:
        pass


@pytest.fixture
def one_thread():
    """Of PyTorch, which rounds otherwise with more; and after it as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def show(dots):
    """An image of people."""

    def draw(*people: np.ndarray) -> np.ndarray:
        return np.max([dots(joints, 4, (320, 240), COLORS) for joints in people], axis=0)

    return draw


@pytest.fixture
def build(dot_model):
    """``build(threads, whole, **options)``: a stream of dots, and its recorder."""

    def stream(threads=2, whole=False, **options) -> tuple[StreamingRPSTN, Recorder]:
        model = dot_model(dict(type='TopdownAffine'), body=True)
        recorder = Recorder(model, threads)
        stepper = Whole(recorder) if whole else recorder
        return StreamingRPSTN(stepper, model.cfg, **options), recorder

    return stream


def steps(stream: StreamingRPSTN, images, boxes=None):
    """Results of images, each of which knows the next."""
    following = [*images[1:], None]
    return [
        stream.step(image, (boxes or {}).get(t), following=after)
        for t, (image, after) in enumerate(zip(images, following))
    ]


@pytest.mark.parametrize('threads', [1, 2])
def test_it_is_the_recurrence_by_hand_with_crops_a_frame_late(threads, one_thread):
    model = rpstn.from_pretrained()
    images = [frame.image for frame in islice(open_frames(next(DEMO.glob('*.mp4'))), 10)]
    stepper, size = Recorder(model, threads), size_of(images[0])
    stream = StreamingRPSTN(stepper, model.cfg, world=True)
    place = Body(np.array([size[0] / 2, 0.55 * size[1]]), 0.4 * size[1])
    results = steps(stream, images, {0: [place]})

    torch.set_num_threads(1)
    plain, follower = TorchStepper(model), stream.follower()
    follower.look_at(place)
    late, state = place, ()
    for t, image in enumerate(images):
        now = follower.current(size)
        at = late if t > 1 else now  # the second frame had nobody to look at it ahead
        late = now
        crop = stream.cropper.about(at)
        cut = torch.from_numpy(crop.cut(image).transpose(2, 0, 1).copy())[None]
        state = plain.start(cut) if t == 0 else plain.step(cut, *state)
        points, scores = decode_heatmaps(model.head.decoder, state[0][0].numpy())
        joints = crop.to_image(points[0][:, :2])
        (found,) = results[t].people
        np.testing.assert_allclose(found.keypoints, joints, atol=1e-2)
        np.testing.assert_allclose(found.scores, scores[0], atol=1e-3)
        world = plain.regressed['world'].numpy().reshape(39, 3)[:33]
        np.testing.assert_allclose(
            np.linalg.norm(found.world, axis=1), np.linalg.norm(world, axis=1), atol=1e-3
        )
        follower.update(joints, scores[0], aligned_bodies(plain, [crop])[0])

    assert not any(np.allclose(results[5].keypoints, r.keypoints, atol=0.1) for r in results[6:])
    assert stepper.calls.count('step') == 0 and stepper.calls.count('start') == 1
    assert stepper.calls.count('encode') == stepper.calls.count('carry_on') == len(images) - 1
    others = stepper.encoders - {threading.get_ident()}
    assert len(others) == (threads > 1), 'its own thread, where there is a second'


@pytest.mark.parametrize('whole', [False, True])
def test_crops_follow_a_frame_later(build, show, whole):
    stream, recorder = build(whole=whole)
    joints = [person(10 * t, (140 + 2 * t, 120)) for t in range(20)]
    results = steps(stream, [show(points) for points in joints])
    late = 0 if whole else 1
    for t, result in enumerate(results):
        (found,) = result.people
        np.testing.assert_allclose(found.keypoints, joints[t], atol=0.6)
        if t > 1:
            assert abs(math.remainder(found.rotation - 10 * (t - 1 - late), 360)) < 2
    assert ('step' in recorder.calls) == whole and ('encode' in recorder.calls) != whole


def test_without_a_next_frame_nothing_is_ahead(build, show):
    stream, recorder = build()
    for t in range(5):
        stream.step(show(person(10 * t)))
    assert set(recorder.calls) == {'start', 'step'}


def test_who_is_lost_comes_back_and_whom_a_box_is_given_for(build, show):
    finder = Seen()
    stream, recorder = build(finder=finder, max_lost=20)
    joints = [person(0, (100 + 2 * t, 120)) for t in range(18)]
    images = [BLACK if 6 <= t < 9 else show(points) for t, points in enumerate(joints)]
    finder.people = [FoundPerson(np.float32([80, 60, 160, 190]), 0.9, body(joints[9]))]
    given = body(joints[14] + 3)  # at last somewhere else than the crop that was encoded
    results = steps(stream, images, {0: [body(joints[0])], 14: [given]})
    for t, result in enumerate(results):
        found = result.people[0]
        assert found.id == 0 and found.lost == (6 <= t < 9), t
        if not found.lost:
            np.testing.assert_allclose(found.keypoints, joints[t], atol=0.6)
    assert results[9].people[0].state == 'started'
    np.testing.assert_allclose(
        stream._streams[0].people[0].place.center, joints[15][:2].mean(0), atol=2.5
    )
    assert recorder.calls.count('carry_on') >= 12


def test_people_who_come_and_go_are_each_followed(build, show):
    """One more in the fourth frame, and the first has left in the eighth: encoded of others."""
    one = [person(5 * t, (90 + t, 120)) for t in range(12)]
    two = [person(-5 * t, (230 - t, 120)) for t in range(12)]
    stream, _ = build(finder=Seen(), max_people=2)
    images = [show(*([one[t]] if t < 8 else []), *([two[t]] if t >= 4 else [])) for t in range(12)]
    boxes = {0: {0: body(one[0])}, 4: {1: body(two[4])}, 8: {0: None}}
    for t, result in enumerate(steps(stream, images, boxes)):
        found = {p.id: p.keypoints for p in result.people}
        expected = {**({0: one[t]} if t < 8 else {}), **({1: two[t]} if t >= 4 else {})}
        assert found.keys() == expected.keys(), t
        for number, points in expected.items():
            np.testing.assert_allclose(found[number], points, atol=0.6)


def test_two_streams_by_turns_do_not_take_each_others(build, show):
    stream, _ = build()
    joints = {name: [person(step * t) for t in range(8)] for name, step in (('a', 8), ('b', -8))}
    for t in range(7):
        for name, points in joints.items():
            (found,) = stream.step(
                show(points[t]), None, name, following=show(points[t + 1])
            ).people
            np.testing.assert_allclose(found.keypoints, points[t], atol=0.6)


def test_what_fails_in_the_thread_is_raised(build, show, monkeypatch):
    stream, recorder = build()
    images = [show(person(t)) for t in range(6)]
    steps(stream, images[:2])

    def broken(crops):
        raise MemoryError('no more')

    monkeypatch.setattr(recorder, 'encode', broken)
    with pytest.raises(MemoryError, match='no more'):
        steps(stream, images[2:])


def test_nothing_is_kept_of_a_stream_that_is_closed(build, show):
    stream, _ = build()
    images = [show(person(t)) for t in range(4)]
    for t in range(3):
        stream.step(images[t], following=images[t + 1])
    assert stream._ahead._tasks
    stream.close()
    assert not stream._ahead._tasks and stream._ahead._encoding is None


def test_pytorchs_threads_are_as_before(build, show, one_thread):
    torch.set_num_threads(2)
    stream, recorder = build()
    steps(stream, [show(person(t)) for t in range(6)])
    assert torch.get_num_threads() == 2
    assert isinstance(recorder, EncodingStepper)
    assert not isinstance(Whole(recorder), EncodingStepper)


def numbered(times, broken: int | None = None):
    for n, time in enumerate(times):
        if n == broken:
            raise OSError('cut off')
        yield Frame(n, time, np.full((2, 2, 3), n, np.uint8))


def test_frames_come_with_those_that_follow_soon():
    pairs = list(with_next(numbered([0.0, 0.1, 0.3, 0.4]), 0.15))
    assert [frame.index for frame, _ in pairs] == [0, 1, 2, 3]
    assert [None if image is None else image[0, 0, 0] for _, image in pairs] == [1, None, 3, None]
    (_, before), _ = with_next(numbered([0.3, 0.2]), 0.15)  # backwards, too
    assert before[0, 0, 0] == 1
    assert list(with_next(numbered([]), 1)) == []


def test_a_frame_is_not_lost_by_the_next_ones_error():
    seen = []
    with pytest.raises(OSError, match='cut off'):
        for frame, following in with_next(numbered([0, 0.1, 0.2], broken=2), 1):
            seen.append((frame.index, following is None))
    assert seen == [(0, False), (1, True)]


@pytest.mark.parametrize(('rate', 'ahead'), [(30, True), (10, True), (1 / (SOON + 0.01), False)])
def test_of_files_with_few_frames_a_second_crops_follow_at_once(build, show, rate, ahead):
    stream, recorder = build()
    frames = (Frame(t, t / rate, show(person(3 * t))) for t in range(6))
    results = list(stream_video(stream, frames))
    assert [result.index for result in results] == list(range(6))
    assert ('encode' in recorder.calls) == ahead and ('step' in recorder.calls) != ahead
