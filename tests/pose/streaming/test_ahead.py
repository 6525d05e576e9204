"""The next frame encoded while this one is answered: the recurrence of a loop by hand with crops a
frame late, whoever comes, goes or is lost, in one thread or two."""

import gc
import math
import threading
import weakref
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

import rpstn
from rpstn.inference.inferencer import PoseInferencer
from rpstn.inference.streams import stream_video
from rpstn.pose.alignment import aligned_bodies
from rpstn.pose.bodies import Body
from rpstn.pose.decoding import decode_heatmaps
from rpstn.pose.finders import FoundPerson
from rpstn.pose.streaming.ahead import SOON
from rpstn.pose.streaming.streaming import StreamingRPSTN, TorchStepper
from rpstn.video.frames import Frame, open_frames
from rpstn.video.inputs import open_input
from rpstn.video.part import Moment, Part
from rpstn.video.readers import size_of

from body_dots import BODY, Seen, body, person

# MMPose's unbiased decoding of a heatmap of zeros.
pytestmark = pytest.mark.filterwarnings('ignore:invalid value encountered:RuntimeWarning')

DEMO = Path(__file__).parents[3] / 'demo'
COLORS = np.array(list(BODY.values()), float)
BLACK = np.zeros((240, 320, 3), np.uint8)


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


def test_several_streams_are_ahead_each(build, show):
    """By turns, and together, one of them without a next frame; then one ends."""
    joints = {name: [person(step * t) for t in range(9)] for name, step in (('a', 8), ('b', -8))}
    for together in (False, True):
        stream, recorder = build()
        after = {}
        for t in range(8):
            now = {name: show(points[t]) for name, points in joints.items()}
            # The image that comes next has to be the one that was announced.
            images = {name: after.get(name, now[name]) for name in now}
            after = {name: show(points[t + 1]) for name, points in joints.items()}
            if t == 7:
                after['b'] = None
            if together:
                results = stream.step_streams(images, following=after)
            else:
                results = {n: stream.step(images[n], None, n, after[n]) for n in images}
            for name, points in joints.items():
                (found,) = results[name].people
                np.testing.assert_allclose(found.keypoints, points[t], atol=0.6)
        carried = recorder.calls.count('carry_on')
        assert carried == (7 if together else 14)
        # At most the one that is still to come.
        assert recorder.calls.count('encode') - carried in (0, 1)
        stream.close('a')
        assert len(stream._ahead._batches) == 0


@pytest.mark.parametrize('reset_every', [1, 2, 3])
def test_frames_that_start_anew_are_not_encoded_ahead(build, show, reset_every):
    stream, recorder = build(reset_every=reset_every)
    results = steps(stream, [show(person(5 * t)) for t in range(10)])
    for t, result in enumerate(results):
        np.testing.assert_allclose(result.people[0].keypoints, person(5 * t), atol=0.6)
    starts = [t for t, result in enumerate(results) if result.people[0].state == 'started']
    assert starts == list(range(0, 10, reset_every))
    used = recorder.calls.count('carry_on') + recorder.calls.count('step')
    assert recorder.calls.count('encode') + recorder.calls.count('step') == used == 10 - len(starts)


def test_a_person_with_a_box_in_every_frame_costs_no_more(build, show):
    stream, recorder = build(finder=Seen(), max_people=2)
    one, two = ([person(3 * t, (x, 120)) for t in range(8)] for x in (90, 230))
    boxes = {t: {0: body(one[t])} | ({1: body(two[0])} if t == 0 else {}) for t in range(8)}
    for t, result in enumerate(steps(stream, [show(*pair) for pair in zip(one, two)], boxes)):
        found = {p.id: p.keypoints for p in result.people}
        np.testing.assert_allclose(found[0], one[t], atol=0.6)
        np.testing.assert_allclose(found[1], two[t], atol=0.6)
    assert 'encode' not in recorder.calls


def test_a_box_stays_where_it_is_while_nobody_moves(dot_model, dots):
    """Crops of even and of odd frames do not go different ways."""
    model = dot_model(dict(type='TopdownAffine'))
    stream = StreamingRPSTN(Recorder(model, 2), model.cfg)
    points = np.array([(100.0, 80), (150, 90), (120, 150)])
    moved = [points + min(t, 10) * 4 for t in range(30)]
    images = [dots(joints, 4, (320, 240), np.eye(3)) for joints in moved]
    places = []
    for image, following in zip(images, [*images[1:], None]):
        (found,) = stream.step(image, following=following).people
        places.append(tuple(found.box.tolist()))
    assert len(set(places)) > 2 and len(set(places[18:])) == 1


def test_what_fails_in_the_thread_is_raised_once(build, show, monkeypatch):
    stream, recorder = build()
    images = [show(person(t)) for t in range(6)]
    failed = []

    def broken(crops):
        failed.append(threading.get_ident())
        raise MemoryError('no more')

    for t in range(2):
        stream.step(images[t], following=images[t + 1])
    with monkeypatch.context() as patch:
        patch.setattr(recorder, 'encode', broken)
        stream.step(images[2], following=images[3])
    with pytest.raises(MemoryError, match='no more'):
        stream.step(images[3], following=images[4])
    assert failed and threading.get_ident() not in failed
    (found,) = stream.step(images[3], following=images[4]).people
    np.testing.assert_allclose(found.keypoints, person(3), atol=0.6)


@pytest.mark.parametrize('threads', [1, 2])
def test_nothing_is_kept_of_a_stream_that_is_closed(build, show, threads):
    stream, _ = build(threads)
    images = [show(person(t)) for t in range(4)]
    stream.step(images[0], following=images[1])
    stream.step(images[1], following=images[2])
    kept = [weakref.ref(batch) for batch in stream._ahead._batches]
    assert len(kept) == 1
    stream.close()
    gc.collect()
    assert kept[0]() is None


def test_pytorchs_threads_are_as_before(build, show, one_thread):
    """Also where they are others than when the stepper was made."""
    torch.set_num_threads(2)
    stream, _ = build()
    for threads in (2, 1):
        torch.set_num_threads(threads)
        steps(stream, [show(person(t)) for t in range(4)])
        assert torch.get_num_threads() == threads


def test_a_next_frame_is_checked_before_anything_is_changed(build, show):
    stream, _ = build()
    image = show(person())
    with pytest.raises(ValueError, match='uint8'):
        stream.step(image, following=image.astype(float))
    with pytest.raises(ValueError, match=r"next frames of streams without a frame: \['b'\]"):
        stream.step_streams({'a': image}, following={'b': image})
    assert not stream._streams
    (found,) = stream.step(image, following=image[:100]).people  # which cannot be the next
    assert not found.lost and not stream._ahead._batches


@pytest.mark.engines
@pytest.mark.parametrize('engine', ['onnx', 'openvino'])
def test_engines_are_ahead_as_pytorch_is(engine):
    pytest.importorskip(dict(onnx='onnxruntime', openvino='openvino')[engine])
    video = next(DEMO.glob('*.mp4'))
    expected, found = (
        list(PoseInferencer(engine=name)(open_input(video, part=Part(end=Moment(10)))))
        for name in ('torch', engine)
    )
    assert len(expected) == len(found) == 10
    for one, other in zip(expected, found):
        apart = np.abs(one.people[0].keypoints - other.people[0].keypoints)
        assert np.median(apart) < 0.2 and apart.mean() < 0.5, 'but for a cell here and there'


@pytest.mark.parametrize(('rate', 'ahead'), [(30, True), (10, True), (1 / (SOON + 0.01), False)])
def test_of_files_with_few_frames_a_second_crops_follow_at_once(build, show, rate, ahead):
    stream, recorder = build()
    frames = (Frame(t, t / rate, show(person(3 * t))) for t in range(6))
    results = list(stream_video(stream, frames))
    assert [result.index for result in results] == list(range(6))
    assert ('encode' in recorder.calls) == ahead and ('step' in recorder.calls) != ahead
