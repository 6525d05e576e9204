"""Whole frames go the way of `rpstn infer`; crops of bodies lie as BlazePose wants them."""

import time

import numpy as np
import pytest

from rpstn.engine.loading import load_model
from rpstn.inference.inferencer import PoseInferencer
from rpstn.pose.finders import MotionFinder
from rpstn.pose.models.blazepose_tflite import TFLiteError
from rpstn.skeletons import get_skeleton, map_joints
from rpstn.video.frames import open_frames
from rpstn.video.part import Moment, Part

from blazepose_alone import SIDES, BlazePoseAlone, body_crop
from lite_evaluation import jhmdb_clips, videos
from lite_predictors import (
    FPS,
    ClipSource,
    frame_milliseconds,
    inferencer_predictor,
    label_predictor,
    seen_crops,
    streaming_inferencer,
)
from tiny_rpstn import SIZE, tiny_files


@pytest.fixture(scope='module')
def clip() -> dict:
    """The first validation clip of JHMDB."""
    try:
        return next(videos(jhmdb_clips('val')))
    except FileNotFoundError:
        pytest.skip('the clips of JHMDB are not here')


@pytest.fixture(scope='module')
def alone() -> BlazePoseAlone:
    try:
        return BlazePoseAlone()
    except TFLiteError as error:
        pytest.skip(str(error))


def frames_of(clip: dict, number: int) -> dict:
    return dict(clip, frames=clip['frames'][:number])


def test_whole_frames_are_answered_as_the_file_is_and_no_label_is_seen(clip):
    inferencer = streaming_inferencer()
    assert inferencer.mode == 'stream'
    file = open_frames(clip['reader'].path, fps=FPS, part=Part(end=Moment(5)))
    told = PoseInferencer(joints='jhmdb15', smooth=True, spare=True)
    expected = [result.keypoints[0] for result in told(file)]
    blind = dict(
        video=clip['video'], frames=[dict(img=frame['img']) for frame in clip['frames'][:5]]
    )
    found = list(inferencer_predictor(inferencer)(blind))
    np.testing.assert_array_equal(found, expected)
    # Each clip starts with nothing known.
    np.testing.assert_array_equal(list(inferencer_predictor(inferencer)(blind)), expected)


@pytest.mark.parametrize('skeleton', ['jhmdb15', 'penn13', 'blazepose33'])
@pytest.mark.parametrize('by', ['boxes', 'poses'])
def test_crops_of_labels_are_jhmdbs_whatever_joints_a_model_has(clip, tmp_path, skeleton, by):
    transforms = dict(
        boxes=dict(type='ClipBBox'),
        poses=dict(type='ClipBody', joints=skeleton, wobble=0.0, input_size=(SIZE, SIZE)),
    )
    model = load_model(*tiny_files(tmp_path, skeleton, transforms[by]))
    assert seen_crops(model) == f'label {by}'
    results = frames_of(clip, 4)
    seen, step = [], model.test_step

    def watched(batch: dict) -> list:
        answers = step(batch)
        seen.extend(answers)
        return answers

    model.test_step = watched
    found = label_predictor(model)(results)
    assert len(found) == 4
    for joints, frame, sample in zip(found, results['frames'], seen, strict=True):
        own = sample.pred_instances.keypoints[0]
        np.testing.assert_array_equal(joints, map_joints(own, skeleton, 'jhmdb15'))
        assert sample.metainfo['flip_indices'] == list(get_skeleton(skeleton).flip_indices)
        if by == 'poses':
            wanted = body_crop(frame['keypoints'][0])
            np.testing.assert_allclose(sample.metainfo['input_center'], wanted.center, rtol=1e-5)
            np.testing.assert_allclose(sample.metainfo['input_scale'], wanted.scale, rtol=1e-5)
    label_predictor(model, flip=True)(results)
    assert seen[-1].pred_instances.keypoints.shape[1] == get_skeleton(skeleton).num_joints
    assert results['frames'][0]['flip_indices'] == list(get_skeleton('jhmdb15').flip_indices)


@pytest.mark.parametrize('skeleton', ['jhmdb15', 'blazepose33'])
def test_whole_frames_are_answered_in_jhmdbs_joints(tmp_path, skeleton, clip):
    files = tiny_files(tmp_path, skeleton, dict(type='ClipBBox'))
    inferencer = streaming_inferencer(*files)
    assert inferencer.mode == 'stream' and inferencer.joints == list(get_skeleton('jhmdb15').joints)
    assert (inferencer.answered is None) == (skeleton == 'jhmdb15')
    results = frames_of(clip, 2)
    expected = [
        map_joints(result.people[0].keypoints, skeleton, 'jhmdb15')
        for result in PoseInferencer(*files, mode='stream', smooth=True)(ClipSource.of(results))
    ]
    np.testing.assert_array_equal(list(inferencer_predictor(inferencer)(results)), expected)


def test_a_frame_without_people_has_no_answer():
    still = np.full((48, 64, 3), 90, np.uint8)
    inferencer = PoseInferencer(stream_options=dict(finder=MotionFinder()), joints='jhmdb15')
    results = dict(video='still', frames=[dict(img=still)] * 3)
    found = np.stack(list(inferencer_predictor(inferencer)(results)))
    assert found.shape == (3, 15, 2) and np.isnan(found).all()
    source = ClipSource.of(results)
    assert source.size == (64, 48) and [frame.index for frame in source] == [0, 1, 2]


def test_time_is_a_frames_even_where_several_are_answered_at_once():
    def predict(results: dict):
        for number in range(len(results['frames'])):
            if number % 8 == 0:
                time.sleep(0.2 if number == 0 else 0.016)
            yield number

    assert 2 <= frame_milliseconds(predict, dict(frames=[None] * 40)) < 10


def test_time_is_a_frames_even_where_others_are_waited_for():
    """As the smoother does, after a beginning of 32 frames that are answered at once."""

    def predict(results: dict):
        count = len(results['frames'])
        for number in range(count):
            ahead = 43 if number == 0 else 0 if number < 32 else int(number < count - 12)
            time.sleep(0.002 * ahead)
            yield number

    assert 2 <= frame_milliseconds(predict, dict(frames=[None] * 40)) < 5


@pytest.mark.parametrize('degrees', [0, 50, 180, -110])
def test_bodies_stand_upright_in_their_crops(degrees):
    skeleton = get_skeleton('jhmdb15')
    rng = np.random.default_rng(0)
    joints = rng.uniform(-10, 10, (15, 2))
    for part, height in dict(shoulder=-40, hip=0, ankle=80).items():
        for side, x in dict(left=8, right=-8).items():
            joints[skeleton.index(f'{side}_{part}')] = x, height
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    crop = body_crop(joints @ turn + (70, 30))
    scale = 128 / (1.25 * np.hypot(8, 80))
    np.testing.assert_allclose(crop.input_size, SIDES)
    np.testing.assert_allclose(
        crop.to_input(joints @ turn + (70, 30)), joints * scale + 128, atol=1e-3
    )


def test_blazepose_alone_finds_a_person_however_turned(alone, clip):
    results = frames_of(clip, 1)
    (frame,) = results['frames']
    truth = frame['keypoints'][0]
    size = np.ptp(truth, axis=0).max()
    (found,) = alone.from_label_poses(results)
    assert np.median(np.linalg.norm(found - truth, axis=-1)) < 0.1 * size
    height, width = frame['img'].shape[:2]
    around = np.array([width - 1, height - 1])
    upside_down = dict(frame, img=frame['img'][::-1, ::-1].copy(), keypoints=around - truth[None])
    (turned,) = alone.from_label_poses(dict(frames=[upside_down]))
    np.testing.assert_allclose(around - turned, found, atol=0.5)


def test_blazepose_alone_detects_people_or_answers_nothing(alone, clip):
    results = frames_of(clip, 3)
    found = np.stack(list(alone.from_whole_frames(results)))
    truth = np.stack([frame['keypoints'][0] for frame in results['frames']])
    size = np.ptp(truth, axis=1).max()
    assert np.median(np.linalg.norm(found - truth, axis=-1)) < 0.1 * size
    (nobody,) = alone.from_whole_frames(dict(frames=[dict(img=np.zeros((60, 80, 3), np.uint8))]))
    assert nobody.shape == (15, 2) and np.isnan(nobody).all()
