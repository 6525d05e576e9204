"""Joints in metres of the crops that were looked at, turned back into the image: as MediaPipe has
them, as a loop has them, and the same in clips and streams."""

import dataclasses
import math

import cv2
import numpy as np
import pytest
import torch
from mmpose.datasets.datasets.utils import parse_pose_metainfo

import rpstn
from rpstn.data.paths import find_data
from rpstn.errors import RPSTNError, SettingError
from rpstn.inference.answered_joints import ANSWERS, AnsweredJoints
from rpstn.inference.clips import predict_video
from rpstn.inference.inferencer import PoseInferencer
from rpstn.pose.bodies import Body, body_of_box
from rpstn.pose.models.blazepose_head import BlazePoseHead
from rpstn.pose.models.guided_blazepose import GuidedBlazePose
from rpstn.pose.streaming.streaming import StreamingRPSTN
from rpstn.pose.world import WorldJoints, check_world, turned_back
from rpstn.results import FrameResult
from rpstn.skeletons import SKELETONS
from rpstn.video.frames import Frame

NAMES = SKELETONS['blazepose33'].joints


@pytest.fixture(scope='module')
def model():
    return rpstn.from_pretrained()


@pytest.fixture(scope='module')
def image() -> np.ndarray:
    """Somebody, with much around them."""
    try:
        video = find_data('videos/squat_olympic_squat.mp4')
    except (RPSTNError, FileNotFoundError) as error:
        pytest.skip(str(error))
    capture = cv2.VideoCapture(str(video))
    capture.set(cv2.CAP_PROP_POS_FRAMES, 30)
    small = capture.read()[1]
    large = cv2.resize(small, None, fx=2, fy=2)
    return cv2.copyMakeBorder(large, 150, 150, 300, 300, cv2.BORDER_REFLECT)


def test_turning_back_is_a_rotation_of_the_image_plane():
    up = np.array([[[0.0, -1.0, 0.3]]])
    np.testing.assert_allclose(turned_back(up, [90])[0, 0], [1, 0, 0.3], atol=1e-12)
    world = np.random.default_rng(0).normal(size=(2, 4, 3))
    turned = turned_back(world, [20.0, -170.0])
    for n, degrees in enumerate((20.0, -170.0)):
        sin, cos = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
        for k, (x, y, z) in enumerate(world[n]):
            np.testing.assert_allclose(turned[n, k], [cos * x - sin * y, sin * x + cos * y, z])


def test_they_are_the_heads_own():
    torch.manual_seed(0)
    network = GuidedBlazePose()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    world = WorldJoints(network)
    images = torch.rand(3, 3, 256, 256)
    network(images[:2]), network(images[2:])  # in parts, as streams look at newcomers first
    found = world.take([0.0] * 3)
    head = BlazePoseHead().eval()
    head.load_state_dict(network.head.state_dict())
    with torch.no_grad():
        expected = head(network.backbone(images)).world[:, :33]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    world.close()
    network(images)
    assert not world._codes


@pytest.mark.parametrize('other', [None, torch.nn.Linear(1, 1)])
def test_what_has_none_is_refused_in_one_line(other):
    with pytest.raises(SettingError, match='GuidedBlazePose') as error:
        WorldJoints(other)
    assert '\n' not in str(error.value)


def test_a_turned_image_turns_them_and_nothing_else(model, image):
    """The same crop of both, so that all the difference is the way back."""
    height, width = image.shape[:2]
    body = Body(np.array([width / 2, height * 0.6]), 280.0)
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    matrix = cv2.getRotationMatrix2D(tuple(middle), -25, 1.0)  # clockwise
    turned_image = cv2.warpAffine(image, matrix, (width, height))
    turned_body = Body(matrix[:, :2] @ body.center + matrix[:, 2], 280.0, math.radians(25))
    straight, turned = (
        StreamingRPSTN(model, world=True).step(picture, [place]).people[0]
        for picture, place in ((image, body), (turned_image, turned_body))
    )
    assert straight.world.shape == (33, 3) and turned.rotation == pytest.approx(25)
    back = turned_back(turned.world[None], [-25])[0]
    assert np.abs(back - straight.world).mean() < 0.01  # metres, of two interpolations
    ankle, shoulder = (
        straight.world[NAMES.index(f'left_{part}')] for part in ('ankle', 'shoulder')
    )
    assert ankle[1] > 0.5 and shoulder[1] < -0.3  # y is down
    left, right = (straight.world[NAMES.index(f'{side}_hip')] for side in ('left', 'right'))
    np.testing.assert_allclose(left + right, 0, atol=0.03)  # between the hips is the origin


def test_they_are_mediapipes_of_the_same_crop(model, image):
    pytest.importorskip('mediapipe', reason='mediapipe is not installed')
    from mediapipe.python.solution_base import SolutionBase
    from mediapipe.python.solutions import pose  # noqa: F401 (its calculators)

    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 20, 1.0)
    tilted = cv2.warpAffine(image, matrix, (width, height))
    switches = ('smooth_landmarks', 'enable_segmentation', 'smooth_segmentation')
    with SolutionBase(
        binary_graph_path='mediapipe/modules/pose_landmark/pose_landmark_cpu.binarypb',
        side_inputs=dict.fromkeys((*switches, 'use_prev_landmarks'), False)
        | dict(model_complexity=1),
        outputs=['pose_world_landmarks', 'pose_rect_from_detection'],
    ) as graph:
        answer = graph.process(dict(image=cv2.cvtColor(tilted, cv2.COLOR_BGR2RGB)))
    theirs = np.array([(p.x, p.y, p.z) for p in answer.pose_world_landmarks.landmark])
    rect = answer.pose_rect_from_detection
    radius = rect.width * width / 2 / 1.25  # the margin of both
    body = Body(np.array([rect.x_center * width, rect.y_center * height]), radius, rect.rotation)
    ours = StreamingRPSTN(model, world=True).step(tilted, [body]).people[0]
    assert abs(ours.rotation) > 10
    assert np.abs(ours.world - theirs).max() < 0.003  # metres


def test_clips_and_streams_answer_them_when_asked(model, image, tmp_path):
    box = np.array([300, 150, 780, 990])
    frames = [Frame(n, n / 25, image) for n in range(2)]
    clips = list(predict_video(model, frames, box, clip_len=3, world=True))  # one is padded
    assert len(clips) == 2
    stream = StreamingRPSTN(model, world=True).step(image, [body_of_box(box)])
    for result in clips:
        np.testing.assert_allclose(result.people[0].world, stream.people[0].world, atol=1e-4)
    world = stream.people[0].world
    assert world[NAMES.index('left_ankle'), 1] - world[NAMES.index('nose'), 1] > 0.8
    path = str(tmp_path / 'image.png')
    cv2.imwrite(path, image)
    where = ','.join(map(str, box))
    for world in (True, False):
        (found,) = PoseInferencer(box=where, world=world)(path)
        assert (found.people[0].world is not None) == world


def test_graphs_without_them_are_refused():
    class Stepper:
        input_size, num_joints = (256, 256), 33

    with pytest.raises(
        SettingError, match='built on GuidedBlazePose.* graphs exported of one anew'
    ):
        check_world(Stepper())


def test_other_skeletons_and_plain_values_keep_them():
    rng = np.random.default_rng(0)
    person = rpstn.PersonResult(
        0,
        np.zeros(4),
        rng.normal(size=(33, 2)),
        rng.uniform(size=33),
        world=rng.normal(size=(33, 3)),
    )
    again = rpstn.PersonResult.from_dict(person.to_dict())
    np.testing.assert_array_equal(again.world, person.world)
    assert 'world' not in dataclasses.replace(person, world=None).to_dict()
    meta = parse_pose_metainfo(ANSWERS['blazepose33'])
    coco = AnsweredJoints(meta, 'coco17')(FrameResult(0, 0.0, (person,), meta=meta)).people[0]
    knee = SKELETONS['coco17'].index('left_knee')
    np.testing.assert_array_equal(coco.world[knee], person.world[NAMES.index('left_knee')])
