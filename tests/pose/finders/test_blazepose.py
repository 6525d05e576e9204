"""BlazePose's finder: people in any position and of any size, from the package alone."""

import json
import math
import shutil

import cv2
import numpy as np
import pytest

from rpstn.checkpoints import SHIPPED, ModelError
from rpstn.data.paths import find_data
from rpstn.errors import SettingError
from rpstn.files import sha256
from rpstn.pose.bodies import BODY, Body, box_of_body
from rpstn.pose.finders import BlazePoseFinder, FoundPerson, build_finder
from rpstn.pose.finders.blazepose import (
    SURE,
    VISIBLE,
    apart,
    load_blazepose_detector,
    people_of,
    shown_whole,
    tile_levels,
)
from rpstn.pose.models.blazepose_detection import Detections, View, detect_in_views
from rpstn.pose.models.blazepose_weights import TFLiteError, detector_weights


@pytest.fixture(scope='module')
def finder() -> BlazePoseFinder:
    return build_finder('blazepose')


def frame(name: str, number: int) -> np.ndarray:
    try:
        video = cv2.VideoCapture(str(find_data(name)))
    except FileNotFoundError as error:
        pytest.skip(f'needs real data: {error}')
    for _ in range(number + 1):
        read, image = video.read()
    return image


@pytest.fixture(scope='module')
def squat() -> np.ndarray:
    """(426, 240, 3): hips at (110, 280), soles at 418, crown at 150."""
    return frame('videos/squat_bending_forward.mp4', 20)


# Known answers


def test_a_detection_becomes_a_person():
    points = np.zeros((2, 4, 2))
    points[0, :2] = (100, 80), (100, 30)  # upright
    points[1, :2] = (500, 80), (500, 30)  # outside of the image
    found = Detections(np.array([0.9, 0.8]), np.zeros((2, 4)), points)
    (person,) = people_of(found, (200, 150))
    along, across = 50 * np.array(BODY)
    expected = (100 - across, 80 - along, 100 + across, 80 + along)
    np.testing.assert_allclose(person.box, expected, rtol=1e-6)
    assert (person.score, person.body.radius, person.body.angle) == (0.9, 50, 0)
    (cut,) = people_of(found, (110, 100))
    np.testing.assert_allclose(cut.box, (*expected[:2], 109, 99), rtol=1e-6)


@pytest.mark.parametrize('degrees', [0, 30, 90, 135, 180, -60])
def test_the_box_is_that_of_all_points_of_the_ellipse(degrees):
    angle, (along, across) = np.radians(degrees), BODY
    t = np.linspace(0, 2 * np.pi, 3601)
    up, side = along * np.cos(t), across * np.sin(t)
    x = up * np.sin(angle) + side * np.cos(angle)
    y = -up * np.cos(angle) + side * np.sin(angle)
    expected = np.array([7, 5, 7, 5]) + 40 * np.array([x.min(), y.min(), x.max(), y.max()])
    np.testing.assert_allclose(box_of_body(Body(np.array([7, 5]), 40, angle)), expected, atol=1e-3)


@pytest.mark.parametrize('turn', range(4))
def test_a_view_turns_people_upright_and_back(turn):
    size, image = (300, 200), np.zeros((200, 300, 3), np.uint8)
    view = View(np.array([140.0, 90]), 112, turn)
    direction = np.array([(0, -1), (1, 0), (0, 1), (-1, 0)][turn])
    head = np.array([140, 90]) + 30 * direction
    image[head[1], head[0]] = 255
    y, x = np.unravel_index(view.cut(image)[..., 0].argmax(), (224, 224))
    # Twice as large, straight above the middle.
    assert abs(x - 111.5) <= 1 and abs(y - (111.5 - 60)) <= 1
    points = np.zeros((1, 4, 2)) + (112, 112)
    points[0, 1] = 112, 112 - 60
    face = np.array([[112 - 10, 52 - 10, 112 + 10, 52 + 10]])
    found = view.to_image(Detections(np.array([0.9]), face, points))
    np.testing.assert_allclose(found.centers, [(140, 90)], atol=1e-9)
    np.testing.assert_allclose(found.faces, [[*(head - 5), *(head + 5)]], atol=1e-9)
    (person,) = people_of(found, size)
    assert person.body.radius == pytest.approx(30)
    assert np.degrees(person.body.angle) % 360 == pytest.approx(90 * turn)


def test_of_one_person_the_surest_answer_is_kept():
    def person(x: float, score: float) -> FoundPerson:
        return FoundPerson(np.array([x, 0, x + 50, 100], np.float32), score)

    people = [person(0, 0.6), person(5, 0.9), person(60, 0.7), person(90, 0.95), person(9, 0.8)]
    assert [p.score for p in apart(people)] == [0.95, 0.9, 0.7]
    assert apart([]) == []


def test_who_is_cut_by_a_tile_is_not_believed():
    view = View(np.array([100.0, 100]), 100)
    assert shown_whole(np.array([55, 50, 80, 154]), view)
    assert not shown_whole(np.array([55, 50, 80, 156]), view)
    assert not shown_whole(np.array([40, 60, 80, 100]), view)


@pytest.mark.parametrize('size', [(1920, 1080), (1080, 1920), (640, 480), (320, 240), (50, 3000)])
def test_everybody_of_a_size_is_whole_in_a_tile(size):
    width, height = size
    levels = tile_levels(size)
    sides = [level[0].side for level in levels]
    assert sides == sorted(sides, reverse=True) and sides[0] < max(size)
    assert sides[-1] == pytest.approx(max(height / 12 / VISIBLE, 112))
    rng = np.random.default_rng(0)
    for level in levels:
        tall = VISIBLE * level[0].side
        corners = np.array([view.center - view.side / 2 for view in level]) - 1
        for _ in range(300):
            low = rng.uniform(0, 1, 2) * (width - tall / 2, height - tall)
            inside = (low >= corners) & (low + (tall / 2, tall) <= corners + level[0].side + 2)
            assert inside.all(axis=1).any() or min(size) < tall


def test_a_small_image_has_no_tiles():
    assert tile_levels((100, 90)) == []


# Real people


def test_one_person_is_found_as_looked_at(finder, squat):
    (person,) = finder.find(squat)
    assert person.score > 0.9 and np.linalg.norm(person.body.center - (110, 280)) < 25
    assert abs(np.degrees(person.body.angle)) < 8 and 110 < person.body.radius < 160
    assert person.box.dtype == np.float32 and person.box[1] < 200 and person.box[3] > 370


@pytest.mark.parametrize('turns', [1, 2, 3])
def test_who_lies_or_stands_on_the_head_is_found_so(finder, squat, turns):
    (upright,) = finder.find(squat)
    turned, center, size = squat, upright.body.center, squat.shape[1::-1]
    for _ in range(turns):
        turned = cv2.rotate(turned, cv2.ROTATE_90_CLOCKWISE)
        center = np.array([size[1] - 1 - center[1], center[0]])
        size = size[::-1]
    (person,) = finder.find(np.ascontiguousarray(turned))
    assert np.linalg.norm(person.body.center - center) < 0.15 * upright.body.radius
    off = np.degrees(person.body.angle - upright.body.angle) - 90 * turns
    assert abs((off + 180) % 360 - 180) < 10
    assert person.body.radius == pytest.approx(upright.body.radius, rel=0.15)


def test_other_turns_are_looked_at_where_too_few_people_are_sure(squat, monkeypatch):
    turns: list[list[int]] = []

    def noted(detector, image, views, *args):
        turns.append([view.turn for view in views])
        return detect_in_views(detector, image, views, *args)

    monkeypatch.setattr('rpstn.pose.finders.blazepose.detect_in_views', noted)
    (plain,) = BlazePoseFinder().find(squat)
    assert plain.score > SURE and turns == [[0]]
    for finder in (BlazePoseFinder(sure=math.inf), BlazePoseFinder(sure=plain.score + 1e-6)):
        turns.clear()
        (person,) = finder.find(squat)
        assert turns == [[0], [1, 2, 3]] and person.score >= plain.score
    turns.clear()
    BlazePoseFinder(people=2).find(squat)
    assert turns[:2] == [[0], [1, 2, 3]]


def test_who_does_push_ups_lies(finder):
    (person,) = finder.find(frame('pushups/correct42.mp4', 15))
    assert person.score > 0.9 and abs(np.degrees(person.body.angle) - 80) < 15


def test_two_people_side_by_side_are_two(squat):
    two = np.concatenate([squat, squat[:, ::-1]], axis=1)
    people = BlazePoseFinder(people=2).find(two)
    assert len(people) == 2
    left, right = sorted(person.body.center[0] for person in people)
    assert abs(left - 110) < 25 and abs(right - (240 + 239 - 110)) < 25
    assert people[0].score >= people[1].score


def small_in_a_large_frame(squat: np.ndarray) -> np.ndarray:
    """(720, 1280, 3): a person of 60 pixels, a twelfth of its height, hips near (906, 434)."""
    person = cv2.resize(squat[140:426, 40:190], None, fx=60 / 268, fy=60 / 268)
    large = np.full((720, 1280, 3), 120, np.uint8)
    large[403 : 403 + len(person), 890 : 890 + person.shape[1]] = person
    return large


def test_a_person_of_a_twelfth_of_the_frame_is_found_by_tiles(squat):
    finder, large = BlazePoseFinder(rest=3), small_in_a_large_frame(squat)
    (person,) = finder.find(large)
    assert np.linalg.norm(person.body.center - (906, 434)) < 10 and 20 < person.body.radius < 45
    # Whom tiles have shown once, they are asked for again at once.
    assert len(finder.find(large)) == 1


def test_tiles_rest_where_they_were_in_vain(squat):
    finder, large = BlazePoseFinder(rest=2), small_in_a_large_frame(squat)
    nobody = np.full((300, 400, 3), 120, np.uint8)
    assert finder.find(nobody, 'a') == []
    assert [len(finder.find(large, 'a')) for _ in range(3)] == [0, 0, 1]
    assert finder.find(nobody, 'a') == [] and len(finder.find(large, 'b')) == 1
    finder.forget('a')
    assert len(finder.find(large, 'a')) == 1


@pytest.mark.parametrize('kind', ['noise', 'black', 'blobs'])
def test_nobody_is_found_where_nobody_is(finder, kind):
    rng = np.random.default_rng(0)
    image = dict(
        noise=rng.integers(0, 256, (240, 320, 3)).astype(np.uint8),
        black=np.zeros((240, 320, 3), np.uint8),
        blobs=cv2.resize(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8), (320, 240)),
    )[kind]
    assert finder.find(image, kind) == []


# What comes with the package


def test_the_weights_are_mediapipes():
    try:
        released = detector_weights()
    except TFLiteError as error:
        pytest.skip(str(error))
    ours = load_blazepose_detector().state_dict()
    assert set(ours) == set(released)
    assert all((ours[name] == released[name].float()).all() for name in ours)
    described = json.loads((SHIPPED / 'blazepose_detector.json').read_text())
    assert described['about']['license'] == 'Apache-2.0' and described['bytes'] < 3e6


def test_it_needs_no_mediapipe(run_python, squat, tmp_path):
    cv2.imwrite(str(tmp_path / 'squat.png'), squat)
    code = f"""
import cv2
from rpstn.pose.finders import build_finder
(person,) = build_finder('blazepose').find(cv2.imread({str(tmp_path / 'squat.png')!r}))
print(round(person.score, 1))
"""
    said = run_python(code, hidden=('mediapipe', 'tflite'))
    assert said.stdout.strip() == '1.0', said.stderr


@pytest.mark.parametrize('how', ['bit', 'short', 'missing', 'other'])
def test_other_weights_are_refused_in_a_line(tmp_path, how):
    for ending in ('json', 'pt'):
        shutil.copy(SHIPPED / f'blazepose_detector.{ending}', tmp_path)
    weights, description = (tmp_path / f'blazepose_detector.{end}' for end in ('pt', 'json'))
    said = dict(
        bit='its sha256 must be', short='bytes, got 9', missing='missing', other='no weights of'
    )
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    if how == 'missing':
        weights.unlink()
    elif how == 'other':  # of a network that the description fits
        shutil.copy(SHIPPED / 'lite.pt', weights)
        changed = dict(format=1, sha256=sha256(weights), bytes=weights.stat().st_size)
        description.write_text(json.dumps(changed))
    else:
        weights.write_bytes(data if how == 'bit' else b'too short')
    with pytest.raises(ModelError, match=said[how]) as raised:
        BlazePoseFinder(folder=tmp_path)
    assert '\n' not in str(raised.value) and 'blazepose_detector' in str(raised.value)


@pytest.mark.parametrize(
    'options',
    [dict(people=0), dict(min_score=1.0), dict(min_height=0.0), dict(rest=-1), dict(sure=0.0)],
)
def test_options_out_of_range_are_refused(options):
    (name,) = options
    with pytest.raises(SettingError, match=f'{name} must be .*, got {options[name]}'):
        BlazePoseFinder(**options)
