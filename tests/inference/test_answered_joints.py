"""What models of JHMDB's joints and of BlazePose's answer in other skeletons."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from rpstn.choices import JOINTS
from rpstn.inference.answered_joints import map_answer, map_scores
from rpstn.inference.inferencer import PoseInferencer
from rpstn.skeletons import get_skeleton, joint_mapping, map_joints

from tiny_rpstn import tiny_files

RNG = np.random.default_rng(0)
KEYPOINTS, SCORES = RNG.uniform(0, 100, (4, 15, 2)), RNG.uniform(0.1, 1, (4, 15))
JHMDB = get_skeleton('jhmdb15')


@pytest.mark.parametrize('target, there', [('coco17', 12), ('penn13', 13), ('jhmdb15', 15)])
def test_joints_that_exist_keep_place_and_score(target, there):
    keypoints, scores = map_answer(KEYPOINTS, SCORES, 'jhmdb15', target)
    skeleton = get_skeleton(target)
    assert keypoints.shape == (4, skeleton.num_joints, 2) and scores.shape == keypoints.shape[:2]
    found = [joint for joint in skeleton.joints if joint in JHMDB.joints]
    assert len(found) == there
    for k, joint in enumerate(skeleton.joints):
        if joint in found:
            assert (keypoints[:, k] == KEYPOINTS[:, JHMDB.index(joint)]).all()
            assert (scores[:, k] == SCORES[:, JHMDB.index(joint)]).all()
        else:
            assert np.isnan(keypoints[:, k]).all() and (scores[:, k] == 0).all()


def test_a_mean_is_as_sure_as_its_least_part():
    scores = np.ones((2, 33))
    mediapipe = get_skeleton('mediapipe33')
    scores[0, mediapipe.index('left_shoulder')] = 0.3
    assert map_scores(scores, 'mediapipe33', 'jhmdb15')[:, JHMDB.index('neck')].tolist() == [0.3, 1]


def test_shapes_must_agree():
    with pytest.raises(ValueError, match='agree'):
        map_answer(KEYPOINTS, SCORES[:, :14])
    with pytest.raises(ValueError, match='jhmdb15 takes'):
        map_answer(KEYPOINTS[:, :14], SCORES[:, :14])


@pytest.fixture(scope='module')
def blazepose(tmp_path_factory) -> tuple[Path, Path]:
    """A model of 33 joints that has learned nothing."""
    return tiny_files(tmp_path_factory.mktemp('model'), 'blazepose33', dict(type='ClipBBox'))


@pytest.fixture(scope='module')
def video(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp('video') / 'noise.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48))
    rng = np.random.default_rng(0)
    for _ in range(4):
        writer.write(rng.integers(0, 255, (48, 64, 3), np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize('mode', ['clip', 'stream'])
@pytest.mark.parametrize('target', JOINTS)
def test_a_model_of_blazepose_answers_all_skeletons(blazepose, video, target, mode):
    options = dict(mode=mode, box='frame', kpt_thr=-9)
    own = [result.people[0] for result in PoseInferencer(*blazepose, **options)(video)]
    inferencer = PoseInferencer(*blazepose, **options, joints=target)
    mapping = joint_mapping('blazepose33', target)
    assert len(inferencer.joints) == len(inferencer.dataset_meta['keypoint_colors']) == len(mapping)
    for result, person in zip(inferencer(video), own, strict=True):
        (mapped,) = result.people
        places = np.nan_to_num(map_joints(person.keypoints, 'blazepose33', target))
        np.testing.assert_array_equal(mapped.keypoints, places)
        for k, members in enumerate(mapping):
            assert mapped.scores[k] == (min(person.scores[list(members)]) if members else 0)
        assert result.draw().shape == (48, 64, 3)


@pytest.mark.parametrize('target', ['jhmdb15', 'halpe26'])
def test_the_command_line_answers_them_too(blazepose, video, target, command, tmp_path):
    status, said = command(
        'infer', *blazepose, video, '--joints', target, '--box', 'frame', '--save', 'csv',
        '--out', tmp_path, '--device', 'cpu',
    )  # fmt: skip
    assert status == 0, said
    with open(tmp_path / 'noise.csv', encoding='utf-8') as file:
        names = [row['joint'] for row in csv.DictReader(file)]
    assert len(names) == 4 * get_skeleton(target).num_joints
    there = {joint for joint in names if joint in get_skeleton('blazepose33').joints}
    assert there >= {'left_knee', 'right_wrist'}


def test_halpes_crown_and_small_toes_score_0_and_its_feet_are_there():
    scores, keypoints = np.ones((1, 33)), RNG.uniform(1, 100, (1, 33, 2))
    places, sure = map_answer(keypoints, scores, 'blazepose33', 'halpe26')
    halpe, source = get_skeleton('halpe26'), get_skeleton('blazepose33')
    lost = {'head_top', 'left_small_toe', 'right_small_toe'}
    assert {halpe.joints[k] for k in np.flatnonzero(sure[0] == 0)} == lost
    for joint in ('left_heel', 'right_foot_index', 'left_eye'):
        there = keypoints[0, source.index(joint)]
        assert (places[0, halpe.index(joint)] == there).all()
