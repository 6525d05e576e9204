"""What a model of JHMDB's joints answers in other skeletons."""

import numpy as np
import pytest

from rpstn.inference.answered_joints import map_answer, map_scores
from rpstn.skeletons import get_skeleton

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
