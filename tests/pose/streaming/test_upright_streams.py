"""Streams of upright crops: bodies of dots, turning and lying, lost and found, by themselves and
in company; and the same answers as of clips."""

import json
import math

import cv2
import numpy as np
import pytest
import torch

from rpstn.errors import SettingError
from rpstn.inference.clips import predict_video
from rpstn.inference.inferencer import PoseInferencer
from rpstn.inference.streams import stream_video
from rpstn.pose.bodies import Body, body_of_box
from rpstn.pose.boxes import BoxError
from rpstn.pose.finders import FoundPerson, WholeFrame
from rpstn.pose.streaming.streaming import StreamingRPSTN, TorchStepper
from rpstn.results import FrameResult
from rpstn.video.frames import Frame
from rpstn.video.inputs import open_input

from body_dots import BODY, Seen, body, person

# MMPose's unbiased decoding of a heatmap of zeros.
pytestmark = pytest.mark.filterwarnings('ignore:invalid value encountered:RuntimeWarning')

SIZE = (320, 240)
COLORS = np.array(list(BODY.values()), float)
BLACK = np.zeros((240, 320, 3), np.uint8)


def apart(a: float, b: float) -> float:
    return abs(math.remainder(a - b, 360))


class Recorder(TorchStepper):
    """Notes which of its parts each call is about."""

    def __init__(self, model) -> None:
        super().__init__(model)
        self.calls: list[str] = []

    def start(self, crops):
        self.calls.append('start')
        return super().start(crops)

    def step(self, crops, heatmaps, features):
        self.calls.append('step')
        return super().step(crops, heatmaps, features)


def seen(joints: np.ndarray, told: bool = True) -> FoundPerson:
    box = np.concatenate([joints.min(0) - 5, joints.max(0) + 5]).astype(np.float32)
    return FoundPerson(box, 0.9, body(joints) if told else None)


@pytest.fixture
def show(dots):
    """An image of people."""

    def draw(*people: np.ndarray) -> np.ndarray:
        return np.max([dots(joints, 4, SIZE, COLORS) for joints in people], axis=0)

    return draw


@pytest.fixture(params=['MSRAHeatmap', 'UDPHeatmap'])
def codec(request) -> str:
    return request.param


@pytest.fixture
def build(dot_model):
    """``build(**options)``: a stream, and its recorder."""

    def stream(codec='MSRAHeatmap', **options) -> tuple[StreamingRPSTN, Recorder]:
        crop = dict(type='TopdownAffine', use_udp=codec == 'UDPHeatmap')
        model = dot_model(crop, codec, (128, 128), body=True)
        recorder = Recorder(model)
        return StreamingRPSTN(recorder, model.cfg, **options), recorder

    return stream


def test_who_turns_round_and_round_is_followed(build, show, codec):
    stream, recorder = build(codec)
    for t in range(49):  # two turns
        joints = person(15 * t, (160 + 30 * math.sin(t / 4), 120), 1 + 0.3 * math.sin(t / 5))
        (found,) = stream.step(show(joints)).people
        np.testing.assert_allclose(found.keypoints, joints, atol=0.5)
        assert not found.lost and (found.scores > 0.6).all()
        # The crop of a frame is that of the joints of the frame before; at first of its own.
        assert apart(found.rotation, 15 * max(t - 1, 0)) < 2
        low, high = joints.min(0), joints.max(0)
        margin = 0.1 * (high - low)
        expected = np.concatenate([low - margin, high + margin])
        np.testing.assert_allclose(found.box, np.clip(expected, 0, (319, 239) * 2), atol=1)
    assert recorder.calls == ['start'] * 2 + ['step'] * 48


@pytest.mark.parametrize('told', [True, False])
def test_who_lies_is_seen_upright_from_the_first_frame_on(build, show, told):
    lying = person(95, (170, 130))
    stream, recorder = build(finder=Seen(seen(lying, told)))
    for _ in range(3):
        (found,) = stream.step(show(lying)).people
        np.testing.assert_allclose(found.keypoints, lying, atol=0.5)
        assert apart(found.rotation, 95) < 1.5
    assert recorder.calls == ['start', 'start', 'step', 'step'], 'P looks twice at the first'


def test_a_box_is_a_start_and_a_body_is_looked_at_exactly(build, show):
    lying = person(-80)
    box = seen(lying).box
    stream, recorder = build()
    (found,) = stream.step(show(lying), [box]).people
    assert apart(found.rotation, -80) < 1.5 and recorder.calls == ['start'] * 2
    (found,) = stream.step(show(lying), [box]).people
    assert found.rotation == 0 and recorder.calls[2:] == ['step'], 'exactly, for who is known'
    (found,) = stream.step(show(lying)).people
    assert apart(found.rotation, -80) < 1.5
    exactly = Body(np.array([160.0, 120]), 70.0, 0.5)
    for people in ([exactly], {4: exactly}):
        (*_, found) = stream.step(show(lying), people).people
        assert found.rotation == pytest.approx(math.degrees(0.5))
    assert recorder.calls[4:6] == ['step', 'start'] and len(recorder.calls) == 7


def test_who_is_lost_is_found_again_however_turned(build, show):
    finder = Seen(seen(person()))
    stream, recorder = build(finder=finder)
    states = []
    there = person(130, (90, 110), 0.9)
    for t in range(12):
        shown = BLACK if 3 <= t < 8 else show(person() if t < 3 else there)
        finder.people = [seen(person())] if t == 0 else [] if t < 8 else [seen(there, told=False)]
        (found,) = stream.step(shown).people or [None]
        states.append(found.state if found else None)
    assert states == [
        *['started', 'tracked', 'tracked'],
        *['lost', 'lost', 'lost', None, None],  # twice more at that place, then nowhere to look
        *['started', 'tracked', 'tracked', 'tracked'],
    ]
    assert found.id == 0 and apart(found.rotation, 130) < 2
    np.testing.assert_allclose(found.keypoints, there, atol=0.5)


def test_who_was_hidden_for_a_frame_is_found_where_he_was(build, show):
    stream, _ = build(finder=Seen(seen(person(60))))
    image = show(person(60))
    stream.step(image)
    stream.finder.people = []
    for shown, lost in ((image, False), (BLACK, True), (image, False), (image, False)):
        (found,) = stream.step(shown).people
        assert found.lost == lost and apart(found.rotation, 60) < 1.5


@pytest.mark.parametrize('wild', range(len(BODY)))
def test_a_wild_joint_loses_nobody(build, show, wild):
    stream, _ = build()
    for t in range(20):
        joints = person(3 * t)
        shown = joints.copy()
        if t in (5, 6, 12):
            shown[wild] = (10, 230) if t == 12 else (215, 60)
        (found,) = stream.step(show(shown)).people
        assert not found.lost
        others = np.arange(len(joints)) != wild
        np.testing.assert_allclose(found.keypoints[others], joints[others], atol=0.5)
    np.testing.assert_allclose(found.keypoints, joints, atol=0.5)


def test_several_people_are_followed_each_by_the_own_angle(build, show):
    people = [person(0, (60, 100), 0.8), person(170, (160, 110), 0.8), person(90, (260, 150), 0.8)]
    stream, recorder = build(finder=Seen(*map(seen, people)), max_people=3)
    for t in range(8):
        moved = [joints + (0, 3 * t) for joints in people]
        found = stream.step(show(*moved)).people
        assert [p.id for p in found] == [0, 1, 2]
        np.testing.assert_allclose([p.keypoints for p in found], moved, atol=0.5)
        for one, degrees in zip(found, (0, 170, 90)):
            assert apart(one.rotation, degrees) < 2
    assert recorder.calls == ['start'] * 2 + ['step'] * 7


BROWN, GREEN = (30, 40, 80), (40, 70, 30)


def dressed(image: np.ndarray, joints: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """The image with a trunk of a colour below the dots, hips to shoulders."""
    behind = np.zeros_like(image)
    cv2.fillConvexPoly(behind, np.round(joints[[0, 1, 3, 2]]).astype(np.int32), color)
    return np.where(image.max(-1, keepdims=True) > 60, image, behind)


@pytest.mark.parametrize('same', [False, True], ids=['other clothes', 'same clothes'])
def test_who_was_passed_is_told_from_the_passer_by_clothes(build, show, same):
    standing, clothes = person(0, (80, 120), 1.3), BROWN if same else GREEN
    finder = Seen(seen(standing))
    finder.any_frame = True
    stream, recorder = build(finder=finder)
    for t in range(24):
        passer = standing + (9 * (t - 3), 0)
        if t < 4:
            image = dressed(show(standing), standing, BROWN)
        elif t < 16:  # the one behind is hidden
            image = dressed(show(passer), passer, clothes)
        else:
            image = dressed(show(standing, passer), standing, BROWN)
            image = dressed(image, passer, clothes)
            finder.people = [seen(passer), seen(standing)]
        (found,) = stream.step(image).people
        assert found.id == 0 and not found.lost
        if t == 15:
            np.testing.assert_allclose(found.keypoints, passer, atol=1)
    # Of the same clothes nothing tells.
    np.testing.assert_allclose(found.keypoints, passer if same else standing, atol=1)
    assert recorder.calls.count('start') == (2 if same else 4)


def test_clothes_do_not_take_another_who_is_followed(build, show):
    left, right = person(0, (80, 120), 1.3), person(0, (200, 120), 1.3)
    finder = Seen(seen(left), seen(right))
    finder.any_frame = True
    stream, recorder = build(finder=finder, max_people=2)
    for t in range(16):  # the left one changes into what the right one wears, out of the light
        image = dressed(show(left, right), left, BROWN if t < 4 else GREEN)
        found = stream.step(dressed(image, right, BROWN)).people
        assert [one.id for one in found] == [0, 1]
        np.testing.assert_allclose([one.keypoints for one in found], [left, right], atol=1)
    assert recorder.calls.count('start') == 2


def test_who_was_passed_gets_the_own_number_back_from_a_newcomer(build, show):
    standing = person(0, (80, 120), 1.3)
    finder = Seen(seen(standing))
    finder.any_frame = True
    stream, _ = build(finder=finder, max_people=2)
    for t in range(24):
        passer = standing + (9 * (t - 3), 0)
        if t < 4:
            image = dressed(show(standing), standing, BROWN)
        elif t < 16:
            image = dressed(show(passer), passer, GREEN)
            finder.people = [seen(passer)]
        else:
            image = dressed(dressed(show(standing, passer), standing, BROWN), passer, GREEN)
            finder.people = [seen(passer), seen(standing)]
        found = {one.id: one.keypoints for one in stream.step(image).people}
        if t == 16:  # who comes out from behind is new
            np.testing.assert_allclose([found[0], found[1]], [passer, standing], atol=1)
    np.testing.assert_allclose([found[0], found[1]], [standing, passer], atol=1)


@pytest.mark.parametrize('given', [False, True], ids=['followed', 'given'])
def test_two_who_have_changed_places_get_their_numbers_back(build, show, given):
    left, right = person(0, (100, 120), 1.3), person(0, (220, 120), 1.3)
    stream, _ = build(finder=Seen(seen(left), seen(right)), max_people=2)
    people = {0: body(left), 1: body(right)}
    for t in range(12):
        clothes = (BROWN, GREEN) if t < 4 else (GREEN, BROWN)  # as after they crossed
        image = dressed(dressed(show(left, right), left, clothes[0]), right, clothes[1])
        found = {
            one.id: one.keypoints for one in stream.step(image, people if given else None).people
        }
    last = [left, right] if given else [right, left]
    np.testing.assert_allclose([found[0], found[1]], last, atol=1)


def test_where_colours_are_strange_every_frame_of_a_file_is_looked_at(build, show):
    """So numbers are put right as soon as without sparing, and nobody is seen on the way across."""
    left, right = person(0, (100, 120), 1.3), person(0, (220, 120), 1.3)

    def first_ones_places(spare: bool) -> tuple[np.ndarray, list[str]]:
        stream, _ = build(finder=Seen(seen(left), seen(right)), max_people=2)
        frames = (
            Frame(t, t / 30, dressed(dressed(show(left, right), left, a), right, b))
            for t in range(40)
            for a, b in [(BROWN, GREEN) if t < 8 else (GREEN, BROWN)]
        )
        results = list(stream_video(stream, frames, spare=spare))
        people = [next(p for p in result.people if p.id == 0) for result in results]
        return np.array([p.keypoints[:, 0].mean() for p in people]), [p.state for p in people]

    (every, _), (spared, states) = first_ones_places(False), first_ones_places(True)
    assert (every[8:] > 150).any() and states.count('between') > 10
    late = int((spared > 150).argmax()) - int((every > 150).argmax())
    assert 0 <= late <= 3, 'frames; as many as may lie between two'
    assert (np.minimum(np.abs(spared - 100), np.abs(spared - 220)) < 2).all()


def test_a_newcomer_far_away_takes_no_number(build, show):
    left, right = person(0, (60, 120), 1.1), person(0, (260, 120), 1.1)
    stream, _ = build(finder=Seen(seen(left)), max_people=2)
    for t in range(
        20
    ):  # the left one stays, in another light; who comes is dressed as that one was
        image = dressed(show(left), left, BROWN if t < 5 else GREEN)
        if t >= 10:
            image = dressed(show(left, right), left, GREEN)
            image = dressed(image, right, BROWN)
            stream.finder.people = [seen(left), seen(right)]
        found = {one.id: one.keypoints for one in stream.step(image).people}
    np.testing.assert_allclose([found[0], found[1]], [left, right], atol=1)


def test_who_was_there_before_is_no_newcomer_however_seldom_the_trunk_is_seen(build, show):
    left, right = person(0, (100, 120), 1.3), person(0, (220, 120), 1.3)
    stream, _ = build(finder=Seen(seen(left), seen(right)), max_people=2)
    for t in range(20):
        covered = right.copy()
        if 1 <= t < 12:
            covered[2] = covered[4]  # a shoulder
        image = dressed(show(left, covered), left, BROWN if t < 6 else GREEN)
        found = {one.id: one.keypoints for one in stream.step(dressed(image, right, BROWN)).people}
    np.testing.assert_allclose([found[0], found[1]], [left, right], atol=1)


def test_one_looks_about_only_where_the_trunk_is_seen_and_once_a_frame(build, show):
    class Counting(Seen):
        any_frame, calls = True, 0

        def find(self, image, stream):
            self.calls += 1
            return super().find(image, stream)

    people = [person(0, (x, 120), 1.3) for x in (100, 220)]
    finder = Counting(*map(seen, people))
    stream, _ = build(finder=finder, max_people=2)
    asked = []
    for t in range(16):
        shown = [one.copy() for one in people]
        for one in shown if t >= 9 else ():
            one[2] = one[4]
        image = show(*shown)
        for one in people:
            image = dressed(image, one, BROWN if t < 4 else GREEN)
        before = finder.calls
        stream.step(image)
        asked.append(finder.calls - before)
    # Both have other colours from the frame 4 on, and were seen so for three frames before 7.
    assert asked == [1, *[0] * 6, 1, *[0] * 8]


def test_two_who_come_upon_one_person_become_one(build, show):
    joints = person(40)
    stream, _ = build()
    both = {0: seen(joints).box, 4: seen(joints).box + 5}
    assert [p.id for p in stream.step(show(joints), both).people] == [0, 4]  # as given
    assert [p.id for p in stream.step(show(joints)).people] == [0]


def test_a_stream_is_equal_to_the_clip(build, show):
    """About one box for all frames."""
    stream, recorder = build()
    model = recorder.model
    images = [show(person(10 * t, (150 + t, 120))) for t in range(7)]
    frames = [Frame(t, t / 10, image) for t, image in enumerate(images)]
    box = np.float32([80, 50, 230, 190])
    for clip in predict_video(model, frames, box.tolist()):
        (found,) = stream.step(images[clip.index], [body_of_box(box)]).people
        np.testing.assert_allclose(found.keypoints, clip.keypoints[0], atol=1e-4)
        np.testing.assert_allclose(found.scores, clip.scores[0], atol=1e-4)
        np.testing.assert_allclose(found.box, clip.people[0].box, atol=1e-3)
        assert found.rotation == clip.people[0].rotation == 0


def test_clips_follow_the_body_of_the_last_frame_of_the_one_before(build, show):
    model = build()[1].model
    joints = [person(10 * t, (150 + t, 120)) for t in range(12)]
    frames = [Frame(t, t / 10, show(points)) for t, points in enumerate(joints)]
    results = list(predict_video(model, frames, 'follow'))
    for t, result in enumerate(results):
        (found,) = result.people
        np.testing.assert_allclose(found.keypoints, joints[t], atol=0.8)
        assert apart(found.rotation, 10 * (t - t % 3 - 1) if t >= 3 else 0) < 2


def test_an_inferencer_streams_bodies_and_goes_on_with_a_run_where_it_was(build, show, tmp_path):
    model = build()[1].model
    torch.save(model.state_dict(), tmp_path / 'dots.pth')
    joints = [person(15 * t, (150 + t, 120)) for t in range(8)]
    for t, points in enumerate(joints):
        cv2.imwrite(str(tmp_path / f'{t}.png'), show(points))
    source = open_input(f'{tmp_path}/*.png')
    frame = dict(finder=WholeFrame())  # dots are no people to BlazePose's detector
    stream = PoseInferencer(model.cfg, tmp_path / 'dots.pth', stream_options=frame)
    assert stream.mode_for(source) == 'stream', 'though it is a file'
    whole = list(stream.raw(source))
    known = [FrameResult.from_dict(json.loads(json.dumps(r.to_dict()))) for r in whole[:4]]
    resumed = list(stream.raw(source, known))
    for results in (whole, resumed):
        for t, result in enumerate(results):
            np.testing.assert_allclose(result.keypoints[0], joints[t], atol=0.5)
            # Crops are a frame late, but for the first two from a start on.
            early = 15 if results is resumed and t in (4, 5) else 0
            late = result.people[0].rotation - whole[t].people[0].rotation
            assert late == pytest.approx(early, abs=1)
    assert [r.people[0].state for r in resumed] == (['started'] + ['tracked'] * 3) * 2
    assert apart(resumed[4].people[0].rotation, 45) < 2


def test_what_cannot_be_is_refused(build, show, dot_model):
    stream, _ = build()
    with pytest.raises(BoxError, match='radius above 0'):
        stream.step(BLACK, [Body(np.zeros(2), 0.0)])
    with pytest.raises(BoxError, match='finite'):
        stream.step(BLACK, [Body(np.array([0, np.nan]), 5.0)])
    boxes = StreamingRPSTN(dot_model(dict(type='TopdownAffine')))
    with pytest.raises(BoxError, match='needs a box'):
        boxes.step(BLACK, [Body(np.zeros(2), 5.0)])
    nameless = dot_model(dict(type='TopdownAffine'), body=True)
    nameless.dataset_meta = dot_model(dict(type='TopdownAffine')).dataset_meta | dict(
        keypoint_id2name={k: f'dot{k}' for k in range(7)}
    )
    with pytest.raises(SettingError, match='no left_hip'):
        StreamingRPSTN(nameless)
