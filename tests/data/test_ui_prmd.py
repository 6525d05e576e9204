"""Joint centres out of markers on the skin."""

from dataclasses import replace

import numpy as np
import pytest

from rpstn.data.ui_prmd import read_ui_prmd
from rpstn.form.datasets import UIPRMDDataset
from rpstn.pose.datasets import find_data
from rpstn.skeletons import get_skeleton

SKELETON = get_skeleton('mediapipe19')
try:
    REAL = find_data('ui_prmd_vicon/m05.npz').parent
except FileNotFoundError:
    REAL = None
real = pytest.mark.skipif(REAL is None, reason='ui_prmd_vicon is not there')


def length(joints, a, b) -> np.ndarray:
    """(T,) metres."""
    return np.linalg.norm(joints[:, SKELETON.index(a)] - joints[:, SKELETON.index(b)], axis=-1)


@pytest.fixture(scope='module')
def sit_to_stand():
    return [one for one in read_ui_prmd(REAL, ('m05',)) if '_e01' in one.name]


@real
def test_limbs_are_those_of_people_and_hardly_change(sit_to_stand):
    assert len(sit_to_stand) == 14 and sum(one.correct for one in sit_to_stand) == 7
    for one in sit_to_stand:
        joints = one.joints()
        assert joints.shape == (len(one.markers), 19, 3)
        for side in ('left', 'right'):
            thigh = length(joints, f'{side}_hip', f'{side}_knee')
            shank = length(joints, f'{side}_knee', f'{side}_ankle')
            assert 0.33 < np.nanmean(thigh) < 0.48 and 0.35 < np.nanmean(shank) < 0.48
            assert np.nanstd(thigh) < 0.07 * np.nanmean(thigh)


@real
def test_axes_are_those_of_a_camera_in_front(sit_to_stand):
    for one in sit_to_stand:
        joints = one.joints()
        joints = joints[np.isfinite(joints[:, 0]).all(-1)].mean(0)
        at = {name: joints[k] for k, name in enumerate(SKELETON.joints)}
        assert at['left_hip'][0] > at['right_hip'][0]
        assert at['nose'][1] > at['left_hip'][1] > at['left_ankle'][1]
        assert at['left_foot_index'][2] > at['left_heel'][2]


@real
def test_turning_the_markers_turns_the_joints(sit_to_stand):
    one = sit_to_stand[0]
    c, s = np.cos(0.7), np.sin(0.7)
    markers = one.markers @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T  # about z, up
    turned = replace(one, markers=markers).joints()
    expected = one.joints() @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T  # about y, up
    np.testing.assert_allclose(turned, expected, atol=1e-4)


@real
def test_a_missing_marker_costs_its_joints_only(sit_to_stand):
    one = sit_to_stand[0]
    markers = one.markers.copy()
    markers[3, one.marker_names.index('LHEE')] = 0
    markers[5, one.marker_names.index('RKNE')] = 0
    missing = np.isnan(replace(one, markers=markers).joints()).any(-1)
    told = [k for k, name in enumerate(SKELETON.joints) if 'mouth' not in name]
    lost = [
        (frame, SKELETON.joints[joint]) for frame, joint in np.argwhere(missing) if joint in told
    ]
    assert lost == [(3, 'left_heel'), (5, 'right_knee'), (5, 'right_ankle')]


@real
def test_right_and_wrong_by_people():
    data = UIPRMDDataset(movements=('m05',), data_root=str(REAL))
    assert data.class_counts() == dict(right=70, wrong=70)
    parts = [
        UIPRMDDataset(
            movements=('m05',),
            data_root=str(REAL),
            split=dict(type='leave_group_out', group='subject', num_folds='all', fold=6, part=part),
        )
        for part in ('train', 'test')
    ]
    subjects = [{part.get_data_info(i)['subject'] for i in range(len(part))} for part in parts]
    assert subjects == [{f's0{n}' for n in range(1, 7)}, {'s07'}]


def test_other_files_are_refused(tmp_path):
    np.savez(tmp_path / 'm05.npz', markers=['A'], m05_s01_e01=np.zeros((4, 2, 3), np.int16))
    with pytest.raises(ValueError, match=r'm05.npz, m05_s01_e01: must be .*\(T, 1, 3\)'):
        list(read_ui_prmd(tmp_path))
    with pytest.raises(ValueError, match=r"movements must be of .*got \['m01'\]"):
        UIPRMDDataset(movements=('m01',), data_root=str(tmp_path))
