"""Penn Action's joints as JHMDB's: places, flags, and the mirror."""

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import TRANSFORMS

from rpstn.pose.datasets.metainfo import JHMDB15
from rpstn.pose.transforms import MapClipJoints
from rpstn.skeletons import get_skeleton

PENN, JHMDB = (get_skeleton(name) for name in ('penn13', 'jhmdb15'))


def clip(occluded=(), unlabelled=()) -> dict:
    rng = np.random.default_rng(0)
    flags = np.ones((1, 13), np.float32)
    hidden = np.zeros((1, 13), np.float32)
    flags[:, [PENN.index(j) for j in unlabelled]] = 0
    hidden[:, [PENN.index(j) for j in occluded]] = 1
    return dict(
        video='1',
        frames=[
            dict(
                keypoints=rng.uniform(0, 50, (1, 13, 2)).astype(np.float32),
                keypoints_visible=flags.copy(),
                keypoints_occluded=hidden.copy(),
                bbox=np.array([[0, 0, 50, 50]], np.float32),
                flip_indices=list(PENN.flip_indices),
                img_shape=(60, 60),
                img=np.zeros((60, 60, 3), np.uint8),
            )
            for _ in range(2)
        ],
    )


def test_joints_of_the_same_name_and_means():
    before = [frame['keypoints'].copy() for frame in clip()['frames']]
    frames = MapClipJoints('penn13', 'jhmdb15').transform(clip())['frames']
    for old, frame in zip(before, frames):
        new = frame['keypoints']
        assert new.shape == (1, 15, 2) and new.dtype == np.float32
        for joint in PENN.joints:
            assert (new[0, JHMDB.index(joint)] == old[0, PENN.index(joint)]).all()
        shoulders = [old[0, PENN.index(f'{side}_shoulder')] for side in ('left', 'right')]
        np.testing.assert_allclose(new[0, JHMDB.index('neck')], np.mean(shoulders, 0), rtol=1e-6)
        assert (frame['keypoints_visible'] == 1).all()


def test_flags_of_means_follow_their_parts():
    result = MapClipJoints('penn13', 'jhmdb15').transform(
        clip(occluded=['left_shoulder'], unlabelled=['right_hip'])
    )
    frame = result['frames'][0]
    labelled, occluded = (frame[f'keypoints_{key}'][0] for key in ('visible', 'occluded'))
    assert {JHMDB.joints[k] for k in np.flatnonzero(labelled == 0)} == {'right_hip', 'belly'}
    assert {JHMDB.joints[k] for k in np.flatnonzero(occluded)} == {'left_shoulder', 'neck'}


def test_a_joint_that_the_source_has_not_is_unlabelled():
    keypoints = np.ones((1, 17, 2), np.float32)
    frame = dict(
        keypoints=keypoints,
        keypoints_visible=np.ones((1, 17), np.float32),
        keypoints_occluded=np.zeros((1, 17), np.float32),
    )
    back = MapClipJoints('jhmdb15', 'penn13').transform(
        dict(
            frames=[
                dict(
                    frame,
                    keypoints=keypoints[:, :15],
                    keypoints_visible=np.ones((1, 15), np.float32),
                    keypoints_occluded=np.zeros((1, 15), np.float32),
                )
            ]
        )
    )['frames'][0]
    assert (back['keypoints_visible'] == 1).all(), "JHMDB has all of Penn Action's"
    hieve = MapClipJoints('h36m17', 'jhmdb15').transform(dict(frames=[frame]))['frames'][0]
    assert np.isfinite(hieve['keypoints']).all()


def test_flipping_goes_by_the_new_joints():
    init_default_scope('mmpose')
    result = MapClipJoints('penn13', 'jhmdb15').transform(clip())
    before = result['frames'][0]['keypoints'].copy()
    flip = TRANSFORMS.build(dict(type='RandomFlip', direction='horizontal', prob=1.0))
    frame = flip(result['frames'][0])
    expected = before[:, list(JHMDB.flip_indices)]
    expected[..., 0] = 59 - expected[..., 0]
    np.testing.assert_allclose(frame['keypoints'], expected, atol=1e-4)
    assert frame['dataset_name'] == 'jhmdb'
    assert list(frame['flip_indices']) == list(parse_pose_metainfo(JHMDB15)['flip_indices'])


def test_joints_of_blazepose_and_back():
    """A joint made of several is labelled where all are; what JHMDB lacks is unlabelled."""
    blazepose = get_skeleton('blazepose33')
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(0, 50, (1, 33, 2)).astype(np.float32)
    visible, occluded = np.ones((1, 33), np.float32), np.zeros((1, 33), np.float32)
    visible[0, blazepose.index('left_ear')] = 0
    occluded[0, blazepose.index('right_hip')] = 1
    frame = dict(keypoints=keypoints, keypoints_visible=visible, keypoints_occluded=occluded)
    frame = MapClipJoints('blazepose33', 'jhmdb15').transform(dict(frames=[frame]))['frames'][0]
    labelled, hidden = (frame[f'keypoints_{key}'][0] for key in ('visible', 'occluded'))
    assert {JHMDB.joints[k] for k in np.flatnonzero(labelled == 0)} == {'neck', 'head'}
    assert {JHMDB.joints[k] for k in np.flatnonzero(hidden)} == {'right_hip', 'belly'}
    back = MapClipJoints('jhmdb15', 'blazepose33').transform(dict(frames=[frame]))['frames'][0]
    known = {blazepose.joints[k] for k in np.flatnonzero(back['keypoints_visible'][0])}
    assert known == set(JHMDB.joints) - {'neck', 'belly', 'head'}
    knee = blazepose.index('left_knee')
    assert (back['keypoints'][0, knee] == keypoints[0, knee]).all()
    assert back['dataset_name'] == 'blazepose33'


@pytest.mark.parametrize('names', [('penn13', 'coco18'), ('penn14', 'jhmdb15')])
def test_unknown_skeletons(names):
    with pytest.raises(ValueError, match='jhmdb15|penn13'):
        MapClipJoints(*names)
