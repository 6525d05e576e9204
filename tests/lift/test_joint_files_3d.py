"""Joints in space in files: to the last digit and in words, and those of other tools."""

import json

import numpy as np
import pytest

from rpstn.errors import BadSequenceError, SettingError
from rpstn.lift import JointFile, LiftError, lift, load_joints, read_track, save_joints
from rpstn.lift.axes import axes_matrix

from squat_bodies import SKELETON, joints_of, squat

KNEE = SKELETON.index('left_knee')


@pytest.mark.parametrize('suffix', ['.npz', '.json'])
@pytest.mark.parametrize('upright', [True, False])
def test_what_is_saved_comes_back_and_says_what_it_is(tmp_path, suffix, upright):
    poses = squat(9)
    poses[3, 5:9] = np.nan
    frames = np.array([0, 1, 2, 5, 6, 7, 8, 9, 11])
    saved = joints_of(poses, frames=frames, times=frames / 30, upright=upright, scale='height')
    path = save_joints(tmp_path / f'joints{suffix}', saved)
    again = load_joints(path)
    for name in ('joints', 'scores', 'times', 'frames'):
        np.testing.assert_array_equal(getattr(again, name), getattr(saved, name))
    for name in ('skeleton', 'source', 'scale', 'upright'):
        assert getattr(again, name) == getattr(saved, name)
    text = str(dict(np.load(path))) if suffix == '.npz' else path.read_text()
    assert 'middle of the hips' in text and 'z towards the camera' in text
    assert ("the image's up" in text) != upright
    lifted = lift(path, cutoff=None)
    assert lifted.source == 'test' and lifted.upright == upright
    np.testing.assert_array_equal(lifted.joints, saved.joints)


def test_damaged_files_are_refused_and_others_left_to_others(tmp_path):
    saved = joints_of(squat(4))
    path = save_joints(tmp_path / 'joints.json', saved)
    content = json.loads(path.read_text())
    damages = (dict(skeleton='nobody'), dict(scale='ells'), dict(frames=content['frames'][::-1]))
    for damage in (*damages, dict(frames=[dict(frame=0, time=0, keypoints=[[1, 2, 3, 4]])])):
        path.write_text(json.dumps(content | damage))
        with pytest.raises(LiftError, match='joints.json: joints in space that are damaged'):
            load_joints(path)
    path.write_text('{"frames": []}')
    assert load_joints(path) is None
    (tmp_path / 'broken.npz').write_bytes(b'PK')
    assert load_joints(tmp_path / 'broken.npz') is None
    with pytest.raises(BadSequenceError):
        lift(tmp_path / 'broken.npz')
    with pytest.raises(LiftError, match='no such file'):
        lift(tmp_path / 'missing.json')
    with pytest.raises(LiftError, match=r'written as .npz or .json'):
        save_joints(tmp_path / 'joints.txt', saved)


@pytest.mark.parametrize(
    'name, variable',
    [('joints.npz', 'RPSTN_MAX_UNPACKED_BYTES'), ('joints.json', 'RPSTN_MAX_JSON_BYTES')],
)
def test_limits_are_those_of_other_files(tmp_path, monkeypatch, name, variable):
    path = save_joints(tmp_path / name, joints_of(squat(4)))
    monkeypatch.setenv(variable, '1000')
    with pytest.raises(BadSequenceError, match=variable):
        lift(path)


def write(path, poses, **more):
    np.savez(path, keypoints=poses, joints=np.array(SKELETON.joints), **more)
    return path


# A file's coordinates of ours, by the axes it is read with.
WAYS = {
    'x,y,z': lambda p: p,
    'x,-y,-z': lambda p: p * (1, -1, -1),  # as images have it
    'x,z,-y': lambda p: p[..., [0, 2, 1]] * (1, -1, 1),  # z up
    'x,y,-z': lambda p: p * (1, 1, -1),  # left-handed
}


@pytest.mark.parametrize('axes', WAYS)
@pytest.mark.parametrize(('unit', 'per_metre'), [('m', 1), ('mm', 1000)])
def test_files_of_other_axes_units_and_origins(tmp_path, axes, unit, per_metre):
    moved = WAYS[axes](squat()) * per_metre + (3 * per_metre, 2, 1)
    path = write(tmp_path / 'other.npz', moved, fps=np.float64(50))
    found = lift(path, dict(type='file', axes=axes, unit=unit, upright=True), cutoff=None)
    np.testing.assert_allclose(found.joints, squat(), atol=1e-5)
    assert (found.source, found.scale, found.upright) == ('file', 'metric', True)
    assert found.times[-1] == pytest.approx(49 / 50)
    assert lift(path, dict(type='file', axes=axes, unit=unit)).upright  # as they stand


def test_axes_and_units_that_cannot_be_are_seen_in_the_body(tmp_path):
    fps = np.float64(25)
    for way, poses, message in (
        ({}, squat() * 1000, 'tall: state the unit'),
        ({}, squat() * (1, -1, -1), 'shoulders lie below the ankles'),
        ({}, squat() * (1, 1, -1), 'toes point backwards'),
        (dict(unit='mm'), squat(), 'tall: state the unit'),
    ):
        path = write(tmp_path / 'other.npz', poses, fps=fps)
        with pytest.raises(LiftError, match=message):
            lift(path, dict(type='file', **way))
    handstand = write(tmp_path / 'other.npz', squat() * (1, -1, -1), fps=fps)
    assert lift(handstand, dict(type='file', axes='x,y,z')).joint('shoulder')[0, 1] < 0
    path = write(tmp_path / 'other.npz', squat())
    with pytest.raises(LiftError, match='state them'):
        lift(path)
    for wrong in (0, -25, float('nan')):
        with pytest.raises(SettingError, match='fps must be above 0'):
            lift(path, dict(type='file', fps=wrong))
    assert lift(path, dict(type='file', fps=25)).upright


@pytest.mark.parametrize('axes', ['x,y', 'x,y,y', 'x,y,zz', 'x;y;z', 'a,b,c', ''])
def test_axes_are_three_different_ones(axes):
    with pytest.raises(SettingError, match='each of x, y, z once'):
        axes_matrix(axes)


def test_an_unknown_unit_is_refused(tmp_path):
    path = write(tmp_path / 'other.npz', squat(), fps=np.float64(25))
    with pytest.raises(SettingError, match='unit must be one of m, cm, mm'):
        lift(path, dict(type='file', unit='inch'))


def test_joints_in_the_image_become_a_track_for_those_who_lift(tmp_path):
    numbers = np.nan_to_num(100 * squat(4)[..., :2], nan=0.0)
    path = tmp_path / 'flat.npz'
    write(path, numbers, fps=np.float64(25), image_size=np.array([640, 480]))
    track = read_track(path)
    assert track.image_size == (640, 480) and track.world is None
    assert track.kpt_thr == 0.2, 'as of files that older versions wrote'
    write(tmp_path / 'new.npz', numbers, fps=np.float64(25), kpt_thr=np.float64(0.399))
    assert read_track(tmp_path / 'new.npz').kpt_thr == 0.399
    np.testing.assert_allclose(track.keypoints[:, KNEE], numbers[:, KNEE], atol=1e-4)
    with pytest.raises(LiftError, match='two coordinates: they need a source'):
        JointFile()(path)
    solid = write(tmp_path / 'solid.npz', squat(4), fps=np.float64(25))
    with pytest.raises(LiftError, match='three coordinates'):
        read_track(solid)


def test_openposes_folders_become_the_widest_skeleton(tmp_path):
    points = np.random.default_rng(0).uniform(1, 400, (4, 25, 2))
    for n, frame in enumerate(points):
        numbers = np.column_stack([frame, np.full(25, 0.5)]).ravel().tolist()
        content = dict(people=[dict(pose_keypoints_2d=numbers)])
        (tmp_path / f'video_{n:012d}_keypoints.json').write_text(json.dumps(content))
    track = read_track(tmp_path, fps=25)
    assert track.skeleton.name == 'halpe26'
    for joint, place in (('nose', 0), ('left_knee', 13), ('pelvis', 8), ('left_heel', 21)):
        seen = track.keypoints[:, track.skeleton.index(joint)]
        np.testing.assert_allclose(seen, points[:, place], atol=1e-4)
    head = track.skeleton.index('head_top')  # which OpenPose does not tell
    assert np.isnan(track.keypoints[:, head]).all() and (track.scores[:, head] == 0).all()
