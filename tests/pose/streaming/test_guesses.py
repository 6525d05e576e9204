"""Where the finder sees nobody, the network is shown all of a frame by crops of several sizes."""

from itertools import product

import numpy as np
import pytest
from scipy.io import loadmat

from rpstn.data.paths import find_data
from rpstn.inference.guesses import grid
from rpstn.inference.inferencer import PoseInferencer
from rpstn.inference.streams import stream_video
from rpstn.pose.finders import FoundPerson
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


@pytest.fixture
def streaming(dot_model):
    """Of a model whose scores count as shares of joints that are right."""

    def build(**options) -> StreamingRPSTN:
        streaming = StreamingRPSTN(dot_model({'type': 'TopdownAffine'}, body=True), **options)
        streaming.meta['score_knots'] = [[0.0, 0.0], [1.0, 1.0]]
        return streaming

    return build


def walking(t: int) -> np.ndarray:
    return STANDING + (200 + 2 * t, 120)


def frames_of(dots, number: int, hidden: tuple[int, ...] = ()) -> list[Frame]:
    black = np.zeros((240, 320, 3), np.uint8)
    return [
        Frame(t, t / 10, black if t in hidden else dots(walking(t), 4, SIZE, COLORS))
        for t in range(number)
    ]


@pytest.mark.parametrize('size', [(320, 240), (1920, 1080), (1080, 1920), (640, 640)])
@pytest.mark.parametrize('share', [0.4, 0.55, 0.7, 0.9, 1.1])
def test_a_crop_of_the_grid_shows_whoever_stands_there(size, share):
    """Nine tenths of the body or more, and not much else: it fills two fifths of the crop or more."""
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


def test_whom_the_finder_does_not_see_is_guessed(streaming, dots):
    frames = frames_of(dots, 8)
    results = list(stream_video(streaming(finder=Blind()), iter(frames)))
    assert [result.index for result in results] == list(range(8))
    for result in results:
        (person,) = result.people
        assert person.id == 0 and not person.lost
        np.testing.assert_allclose(person.keypoints, walking(result.index), atol=0.8)


def test_whom_the_finder_takes_for_somebody_is_given_up_for_a_guess(streaming, dots):
    frames = frames_of(dots, 8)

    class Mistaken(Blind):
        def find(self, image, stream):
            box = np.array([5, 5, 45, 100], np.float32)
            return [FoundPerson(box, 0.7)]

    stream = streaming(finder=Mistaken())
    for result in stream_video(stream, iter(frames)):
        np.testing.assert_allclose(result.people[0].keypoints, walking(result.index), atol=0.8)
    assert not stream._streams, 'nothing is kept of what was tried'


def test_nobody_is_guessed_where_nobody_can_be_followed(streaming, dots):
    for hidden in (range(8), range(1, 8)):
        frames = frames_of(dots, 8, hidden=tuple(hidden))
        results = list(stream_video(streaming(finder=Blind()), iter(frames)))
        assert [len(result.people) for result in results] == [0] * 8


def test_nobody_is_guessed_of_several_or_by_scores_that_say_nothing(streaming, dots):
    frames = frames_of(dots, 4)
    for people, knots in ((2, [[0.0, 0.0], [1.0, 1.0]]), (1, None)):
        stream = streaming(finder=Blind(), max_people=people)
        stream.meta['score_knots'] = knots
        assert not any(result.people for result in stream_video(stream, iter(frames)))


@pytest.mark.parametrize('stop', [1, 2, 4, 6, 9])
def test_nothing_is_kept_of_guesses_that_are_broken_off(streaming, dots, stop):
    stream = streaming(finder=Blind())
    step, calls = stream.step, []

    def stopped(*args, **kwargs):
        calls.append(args)
        if len(calls) == stop:
            raise KeyboardInterrupt
        return step(*args, **kwargs)

    stream.step = stopped
    with pytest.raises(KeyboardInterrupt):
        list(stream_video(stream, iter(frames_of(dots, 8))))
    assert not stream._streams


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
        assert np.linalg.norm(result.people[0].keypoints.mean(axis=0) - middle) < 30, 'the boy is 90 pixels away'
