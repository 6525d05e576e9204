"""Where the finder sees nobody, the network is shown all of a frame by crops of several sizes."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from scipy.io import loadmat

from rpstn.data.paths import find_data
from rpstn.inference import beginning
from rpstn.inference.doubts import Doubts
from rpstn.inference.guesses import MOST, grid, guessed
from rpstn.inference.inferencer import PoseInferencer
from rpstn.inference.streams import stream_video
from rpstn.pose.finders import FoundPerson
from rpstn.pose.presence import PRESENCE
from rpstn.pose.streaming.steppers import TorchStepper
from rpstn.pose.streaming.streaming import StreamingRPSTN
from rpstn.video.frames import Frame
from rpstn.video.inputs import open_input

from body_dots import BODY

COLORS = np.array(list(BODY.values()), float)
# Hips, shoulders, head, ankles of somebody 95 pixels tall.
STANDING = np.array(
    [(10, 0), (-10, 0), (13, -27), (-13, -27), (0, -45), (11, 50), (-11, 50)], float
)
SIZE = (320, 240)
CLIP = 'sit/IamLegend_sit_f_cm_np1_fr_med_24'


class Blind:
    """A finder that sees nobody."""

    any_frame = True

    def observe(self, image, stream) -> None:
        pass

    def find(self, image, stream) -> list:
        return []

    def forget(self, stream) -> None:
        pass


class Present(TorchStepper):
    """Sure that there is somebody where there are dots, as BlazePose's regression would be."""

    sure = 1.0

    def start(self, crops):
        heatmaps, features = super().start(crops)
        self.regressed = {PRESENCE: self.sure * (heatmaps.amax((1, 2, 3)) > 0.5).float()[:, None]}
        return heatmaps, features


@pytest.fixture
def streaming(dot_model):
    """Of a model whose scores count as shares of joints that are right."""

    def build(sure: float = 1.0, **options) -> StreamingRPSTN:
        model = dot_model({'type': 'TopdownAffine'}, body=True)
        stepper = Present(model)
        stepper.sure = sure
        streaming = StreamingRPSTN(stepper, model.cfg, meta=model.dataset_meta, **options)
        streaming.meta['score_knots'] = [[0.0, 0.0], [1.0, 1.0]]
        return streaming

    return build


def walking(t: int) -> np.ndarray:
    return STANDING + (200 + 2 * t, 120)


def frames_of(dots, number: int, hidden: Sequence[int] = ()) -> list[Frame]:
    frames = []
    for t in range(number):
        image = np.zeros((240, 320, 3), np.uint8)
        if t not in hidden:
            image = dots(walking(t), 4, SIZE, COLORS)
        image[0, 0] = t  # tells it from others
        frames.append(Frame(t, t / 10, image))
    return frames


@pytest.mark.parametrize('size', [(320, 240), (1920, 1080), (1080, 1920), (640, 640)])
@pytest.mark.parametrize('share', [0.4, 0.55, 0.7, 0.9, 1.1])
def test_a_crop_of_the_grid_shows_whoever_stands_there(size, share):
    """Nine tenths of the body or more, which fills two fifths of the crop or more."""
    width, height = size
    half = np.array([0.15, 0.5]) * share * height
    bodies = grid(size)
    centers = np.array([body.center for body in bodies])
    reaches = 1.25 * np.array([body.radius for body in bodies])
    low = np.minimum(half, np.array(size) / 2)  # who is larger than the image is in its middle
    for place in product(np.linspace(0, 1, 9), repeat=2):
        middle = low + place * (np.array(size) - 2 * low)
        shown = reaches >= (np.abs(centers - middle) + 0.9 * half).max(axis=1)
        assert shown.any(), place
        assert half[1] >= 0.4 * reaches[shown].min(), place


class Mistaken(Blind):
    """A finder that takes the dark at the left for somebody."""

    def find(self, image, stream):
        return [FoundPerson(np.array([5, 5, 45, 100], np.float32), 0.7)]


class Right(Blind):
    """A finder that sees who is there."""

    def find(self, image, stream):
        t = int(image[0, 0, 0])
        return [FoundPerson(body_box(walking(t)), 0.7)]


def body_box(joints: np.ndarray) -> np.ndarray:
    return np.concatenate([joints.min(axis=0), joints.max(axis=0)]).astype(np.float32)


@pytest.mark.parametrize('finder', [Blind, Mistaken])
def test_whom_the_finder_does_not_see_is_guessed(streaming, dots, finder):
    stream = streaming(finder=finder())
    results = list(stream_video(stream, iter(frames_of(dots, 8))))
    assert [result.index for result in results] == list(range(8))
    doubts = Doubts()
    for result in results:
        (person,) = result.people
        assert person.id == 0 and not person.lost
        np.testing.assert_allclose(person.keypoints, walking(result.index), atol=0.8)
        doubts.add(result)
    assert results[0].people[0].state == 'guessed' and 'guess' in str(doubts)
    assert not stream._streams, 'nothing is kept of what was tried'


def test_who_comes_later_is_guessed_where_they_are(streaming, dots):
    frames = frames_of(dots, 9, hidden=(0, 1, 2))
    results = list(stream_video(streaming(finder=Blind()), iter(frames)))
    assert all(person.lost for result in results[:3] for person in result.people)
    assert results[4].people[0].state == 'guessed', 'the middle one'
    for result in results[3:]:
        np.testing.assert_allclose(result.people[0].keypoints, walking(result.index), atol=0.8)


@pytest.mark.parametrize('hidden', [range(8), range(2, 8)])
def test_nobody_is_guessed_where_nobody_can_be_followed(streaming, dots, hidden):
    frames = frames_of(dots, 8, hidden=tuple(hidden))
    results = list(stream_video(streaming(finder=Blind()), iter(frames)))
    assert [len(result.people) for result in results] == [0] * 8


@pytest.mark.parametrize(
    'case', ['several people', 'scores that say nothing', 'not present', 'one frame', 'live']
)
def test_nobody_is_guessed(streaming, dots, case):
    stream = streaming(0.8 if case == 'not present' else 1.0, finder=Blind())
    if case == 'several people':
        stream.max_people = 2
    if case == 'scores that say nothing':
        stream.meta['score_knots'] = None
    frames = frames_of(dots, 1 if case == 'one frame' else 4)
    ahead = 0 if case == 'live' else 32
    assert not any(r.people for r in stream_video(stream, iter(frames), look_ahead=ahead))


def test_a_resumed_run_does_not_guess_anew(streaming, dots):
    frames = frames_of(dots, 10, hidden=range(6))
    whole = list(stream_video(streaming(finder=Blind()), iter(frames), look_ahead=4))
    assert not any(result.people for result in whole)
    stream = streaming(finder=Blind())
    resumed = stream_video(stream, iter(frames), known=whole[:7], look_ahead=4)
    assert not any(result.people for result in resumed)


def test_a_guess_that_is_no_better_is_not_taken(streaming, dots, monkeypatch):
    tried = []
    monkeypatch.setattr(beginning, 'guessed', lambda *args: tried.append(args) or guessed(*args))
    for trusted in (beginning.TRUSTED, 1.1):
        monkeypatch.setattr(beginning, 'TRUSTED', trusted)
        results = list(stream_video(streaming(finder=Right()), iter(frames_of(dots, 6))))
        assert {result.people[0].state for result in results} == {'started', 'tracked'}
        assert bool(tried) == (trusted > 1), 'who is followed well is not looked for'


def test_a_guess_that_is_hardly_followed_is_not_taken(streaming, dots, monkeypatch):
    monkeypatch.setattr(beginning, 'BELIEVED', 1.1)
    frames = frames_of(dots, 6)
    assert not any(r.people for r in stream_video(streaming(finder=Blind()), iter(frames)))


@pytest.mark.parametrize('stop', [2, 9, 20, 30, 33, 36])
def test_nothing_is_kept_of_guesses_that_are_broken_off(streaming, dots, stop):
    stream = streaming(finder=Mistaken())
    step, calls = stream.step, []

    def stopped(*args, **kwargs):
        result = step(*args, **kwargs)
        calls.append(args)
        if len(calls) == stop:
            raise KeyboardInterrupt
        return result

    stream.step = stopped
    with pytest.raises(KeyboardInterrupt):
        list(stream_video(stream, iter(frames_of(dots, 8))))
    assert not stream._streams


def test_only_so_many_crops_of_very_wide_images():
    assert 30 <= len(grid((320, 240))) <= len(grid((1920, 1080))) <= 70
    for size in ((8192, 1024), (3000, 64), (2000, 8), (100000, 1), (1, 1), (1, 5000)):
        assert len(grid(size)) <= MOST


@pytest.mark.parametrize('size', [(1, 1), (2, 300), (300, 2), (40, 30)])
def test_images_of_any_size_are_looked_at(streaming, size):
    assert guessed(streaming(finder=Blind()), np.zeros((*size[::-1], 3), np.uint8)) is None


def test_joints_in_metres_are_of_the_crops_asked_for_last():
    """What guesses have looked at is not left for the next frame's."""
    streaming = PoseInferencer(world=True).streaming
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    box = {0: np.array([20, 5, 60, 55], np.float32)}
    expected = streaming.step(image, box, 'before').people[0].world
    guessed(streaming, image)
    np.testing.assert_allclose(streaming.step(image, box, 'after').people[0].world, expected)


def test_somebody_whom_the_detector_misses_is_found():
    """She fills the frame's height; BlazePose's detector sees the boy at the table alone."""
    try:
        video = find_data(f'jhmdb/ReCompress_Videos/{CLIP}.avi')
        labels = loadmat(find_data(f'jhmdb/joint_positions/{CLIP}/joint_positions.mat'))
    except FileNotFoundError as error:
        pytest.skip(f'needs real data: {error}')
    middles = labels['pos_img'].mean(axis=1).T - 1
    inferencer = PoseInferencer(joints='jhmdb15')
    assert inferencer.streaming.finder.find(next(iter(open_input(video))).image)
    results = list(inferencer(video))
    assert len(results) == len(middles)
    for result, middle in zip(results, middles):
        assert np.linalg.norm(result.people[0].keypoints.mean(axis=0) - middle) < 30, (
            'the boy is 90 pixels away'
        )
