"""BlazePose's two points that say where the body is: MediaPipe's own, back in the image, heard of
the crops just looked at alone, and followed."""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import rpstn
from rpstn.pose.alignment import ALIGNMENT, aligned_bodies, alignment_points
from rpstn.pose.bodies import Body, BodyJoints
from rpstn.pose.crops import Cropper
from rpstn.pose.followed_body import FollowedBody
from rpstn.pose.models.guided_blazepose import GuidedBlazePose
from rpstn.pose.presence import presences
from rpstn.pose.streaming.streaming import StreamingRPSTN, TorchStepper
from rpstn.video.frames import open_frames

DEMO = Path(__file__).parents[2] / 'demo/squat.mp4'
CROPPER = Cropper((256, 256), upright=True)


class Knows:
    """A stepper that has looked at crops in which the bodies lie so."""

    def __init__(self, crops, bodies) -> None:
        pairs = [
            crop.to_input(
                [body.center, body.center + body.radius * np.array(
                    [math.sin(body.angle), -math.cos(body.angle)])]
            ) + 0.5
            for crop, body in zip(crops, bodies)
        ]  # fmt: skip
        self.regressed = {ALIGNMENT: np.reshape(pairs, (-1, 4))}


def test_points_in_turned_crops_are_bodies_in_the_image():
    rng = np.random.default_rng(0)
    bodies, crops = [], []
    for _ in range(20):
        place = Body(rng.uniform(0, 300, 2), rng.uniform(20, 200), rng.uniform(-3, 3))
        crops.append(CROPPER.about(place))
        bodies.append(Body(rng.uniform(-100, 400, 2), rng.uniform(20, 400), rng.uniform(-3, 3)))
    for body, found in zip(bodies, aligned_bodies(Knows(crops, bodies), crops)):
        assert found.center == pytest.approx(body.center, abs=1e-3)
        assert found.radius == pytest.approx(body.radius, rel=1e-4)
        assert math.remainder(found.angle - body.angle, 2 * math.pi) == pytest.approx(0, abs=1e-4)


def test_steppers_that_know_none_say_so():
    assert aligned_bodies(object(), [None, None]) == [None, None]
    assert aligned_bodies(type('Plain', (), dict(regressed={}))(), [None]) == [None]


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_points_that_are_no_numbers_say_nothing(value):
    places = [Body(np.array([50.0, 60]), 40.0, 0.3)] * 2
    crops = [CROPPER.about(place) for place in places]
    stepper = Knows(crops, places)
    stepper.regressed[ALIGNMENT][0, 2] = value
    nothing, body = aligned_bodies(stepper, crops)
    assert nothing is None and body.radius == pytest.approx(40, rel=1e-4)


@pytest.fixture(scope='module')
def model():
    return rpstn.from_pretrained()


@pytest.fixture(scope='module')
def frame() -> np.ndarray:
    return next(iter(open_frames(DEMO))).image


def test_a_stepper_hears_of_its_own_crops_alone(model):
    crops = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (3, 3, 256, 256)).astype(np.uint8)
    )
    stepper = TorchStepper(model)
    state = stepper.start(crops)
    started, present = stepper.regressed[ALIGNMENT], presences(stepper)
    guide = next(m for m in model.modules() if isinstance(m, GuidedBlazePose))
    with torch.no_grad():
        images = crops.flip(1) / 255.0
        finest, coarsest = guide.backbone(images)
        said = guide.head((finest, coarsest))
        expected = alignment_points(said.landmarks)
        guide(images[:1])  # of somebody else's
    torch.testing.assert_close(started, expected, atol=1e-3, rtol=1e-4)
    np.testing.assert_allclose(present, said.presence.sigmoid()[:, 0], rtol=1e-3, atol=1e-6)
    assert stepper.regressed[ALIGNMENT] is started
    stepper.step(crops.flip(0), *state)
    torch.testing.assert_close(stepper.regressed[ALIGNMENT], started.flip(0), atol=1e-3, rtol=1e-4)
    assert not guide.head.landmarks._forward_hooks


@pytest.mark.parametrize('share', [0.5, 1.5])
def test_a_crop_of_the_wrong_size_soon_has_the_right_one(model, frame, share):
    stream = StreamingRPSTN(model)
    for _ in range(30):
        stream.step(frame)
    place = stream._streams[0].people[0].place
    stream.step(frame, [Body(place.center, share * place.radius, place.angle)])
    for _ in range(12):
        stream.step(frame)
    again = stream._streams[0].people[0].place
    assert again.radius == pytest.approx(place.radius, rel=0.05)
    assert np.linalg.norm(again.center - place.center) < 0.05 * place.radius


def test_threads_with_one_model_hear_their_own(model):
    rng = np.random.default_rng(0)
    crops = torch.from_numpy(rng.integers(0, 256, (3, 3, 256, 256)).astype(np.uint8))
    parts = crops[:1], crops[1:]
    expected = []
    for part in parts:
        stepper = TorchStepper(model)
        stepper.start(part)
        expected.append(stepper.regressed[ALIGNMENT])

    def look(part: torch.Tensor) -> list[torch.Tensor]:
        stepper, found = TorchStepper(model), []
        for _ in range(8):
            stepper.start(part)
            found.append(stepper.regressed[ALIGNMENT])
        return found

    with ThreadPoolExecutor(2) as pool:
        for own, found in zip(expected, pool.map(look, parts)):
            for points in found:
                torch.testing.assert_close(points, own, atol=1e-3, rtol=1e-4)


def test_radius_and_direction_go_half_of_the_way_and_the_hips_are_the_joints():
    follower = FollowedBody(BodyJoints((0, 1), (2, 3)))
    joints, sure = np.random.default_rng(0).uniform(40, 60, (6, 2)), np.ones(6)
    hips = joints[:2].mean(axis=0)
    follower.update(joints, sure, Body(hips + 3, 40.0, 3.0))
    assert follower.body.center == pytest.approx(hips)
    assert (follower.body.radius, follower.body.angle) == (40.0, 3.0)
    follower.look_at(Body(hips + 9, 100.0, 1.0))
    follower.update(joints, sure, Body(hips + 3, 40.0, 3.0))  # as it is, at first
    assert follower.body.center == pytest.approx(hips)
    assert (follower.body.radius, follower.body.angle) == (40.0, 3.0)
    follower.update(joints + 5, sure, Body(hips - 30, 40 * 1.21, -3.0))
    assert follower.body.center == pytest.approx(hips + 5)
    assert follower.body.radius == pytest.approx(40 * 1.1)
    turn = math.remainder(follower.body.angle - 3, 2 * math.pi)
    assert turn == pytest.approx((2 * math.pi - 6) / 2)
    follower.update(joints + 5, sure, Body(hips, 1.0, follower.body.angle + 3))
    assert follower.body.radius == pytest.approx(40 * 1.1 * 0.9)
    assert math.remainder(follower.body.angle - 3 - turn, 2 * math.pi) == pytest.approx(math.pi / 4)
    sure[0] = 0  # a hip, so that the centre goes half of the way, too
    follower.update(joints + 5, sure, Body(hips + 9, 40.0, 0.0))
    assert follower.body.center == pytest.approx(hips + 7)
    follower.update(joints + 7, sure)  # nothing is said: with the other joints
    assert follower.body.center == pytest.approx(hips + 9)
    sure[0] = 1
    follower.update(joints, np.zeros(6), Body(hips, 40.0, 0.0))
    assert follower.lost
    follower.update(joints, sure, Body(hips + 9, 70.0, 1.5))  # found again
    assert follower.body.center == pytest.approx(hips)
    assert (follower.body.radius, follower.body.angle) == (70.0, 1.5)


def test_points_are_mediapipes_of_the_same_crop(model, frame):
    pytest.importorskip('mediapipe', reason='mediapipe is not installed')
    from mediapipe.python.solution_base import SolutionBase
    from mediapipe.python.solutions import pose  # noqa: F401 (its calculators)

    height, width = frame.shape[:2]
    switches = ('smooth_landmarks', 'enable_segmentation', 'smooth_segmentation')
    with SolutionBase(
        binary_graph_path='mediapipe/modules/pose_landmark/pose_landmark_cpu.binarypb',
        side_inputs=dict.fromkeys((*switches, 'use_prev_landmarks'), False)
        | dict(model_complexity=1),
        outputs=['pose_rect_from_detection', 'pose_rect_from_landmarks'],
    ) as graph:
        answer = graph.process(dict(image=cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)))

    def body(rect) -> Body:
        center = np.array([rect.x_center * width, rect.y_center * height])
        return Body(center, rect.width * width / 2 / 1.25, rect.rotation)  # the margin of both

    seen, theirs = body(answer.pose_rect_from_detection), body(answer.pose_rect_from_landmarks)
    stream = StreamingRPSTN(model)
    stream.step(frame, [seen])
    ours = stream._streams[0].people[0].follower.body
    assert ours.center == pytest.approx(theirs.center, abs=0.1 * theirs.radius)  # by joints
    assert ours.radius == pytest.approx(theirs.radius, rel=0.02)
    assert ours.angle == pytest.approx(theirs.angle, abs=0.02)


def test_somebody_is_present_in_a_crop_of_them_and_not_in_noise(model, frame):
    stream = StreamingRPSTN(model)
    for _ in range(10):
        stream.step(frame)
    assert presences(stream.stepper)[0] > 0.9
    noise = np.random.default_rng(0).permutation(frame.reshape(-1, 3)).reshape(frame.shape)
    stream.step(noise, [stream._streams[0].people[0].place])
    assert presences(stream.stepper)[0] < 0.1
