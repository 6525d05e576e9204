"""SMPL parameters under the names and in the layouts that files have them."""

from __future__ import annotations

import logging
import os
import pickle

import numpy as np
import pytest
from mmengine.logging import MMLogger
from scipy.spatial.transform import Rotation

from rpstn.lift import read_smpl_parameters
from rpstn.safe_pickle import UnsafePickleError

T = 4
RNG = np.random.default_rng(0)
ORIENT, BODY = RNG.normal(size=(T, 3)), RNG.normal(size=(T, 23, 3)) * 0.6
TRANSL, BETAS = RNG.normal(size=(T, 3)), RNG.normal(size=10)
POSE = np.concatenate([ORIENT[:, None], BODY], axis=1)
PLAIN = dict(betas=BETAS, body_pose=BODY.reshape(T, 69), global_orient=ORIENT, transl=TRANSL)


def matrices(vectors: np.ndarray) -> np.ndarray:
    return Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(*vectors.shape, 3)


def write(path, fields):
    if path.suffix == '.npz':
        np.savez(path, **fields)
    else:
        path.write_bytes(pickle.dumps(fields, 2))
    return path


def check(path, expected=PLAIN) -> None:
    read = read_smpl_parameters(path)
    assert sorted(read) == sorted(expected)
    for name, value in expected.items():
        assert read[name].dtype == np.float32 and read[name].shape == value.shape, name
        if name in ('body_pose', 'global_orient'):  # the same rotations; other turns may be added
            np.testing.assert_allclose(
                matrices(read[name].reshape(len(value), -1, 3)),
                matrices(value.reshape(len(value), -1, 3)),
                atol=1e-5,
            )
        else:
            np.testing.assert_allclose(read[name], value, rtol=1e-6)


@pytest.mark.parametrize('suffix', ['.npz', '.pkl'])
@pytest.mark.parametrize(
    'fields',
    [
        PLAIN,
        dict(shape=BETAS[None], pose=POSE.reshape(T, 72), trans=TRANSL, gender='neutral'),
        dict(beta=BETAS, poses=POSE, transl=TRANSL),
        dict(betas=BETAS, pose_body=BODY, root_orient=ORIENT[:, None], trans=TRANSL),
        dict(betas=BETAS, full_pose=matrices(POSE), trans=TRANSL),
        dict(betas=BETAS, body_pose=matrices(BODY), global_orient=matrices(ORIENT), trans=TRANSL),
        dict(
            betas=BETAS,
            body_pose=matrices(BODY),
            global_orient=matrices(ORIENT)[:, None],
            trans=TRANSL,
        ),
    ],
    ids=['smplx', 'pose', 'poses', 'AMASS names', 'pose matrices', 'matrices', '4D matrices'],
)
def test_names_and_layouts(tmp_path, suffix, fields):
    check(write(tmp_path / f'p{suffix}', fields))


def test_fields_together_below_another(tmp_path):
    check(write(tmp_path / 'p.pkl', {'smpl': PLAIN, 'frame': 3}))
    lists = {name: value.tolist() for name, value in PLAIN.items()}
    check(write(tmp_path / 'p.pkl', {'smpl_params': lists}))


def test_amass_without_its_hands(tmp_path):
    """52 joints of SMPL+H: the first 22 are SMPL's, which has a hand where SMPL+H has fingers."""
    fingers = RNG.normal(size=(T, 30, 3))
    poses = np.concatenate([POSE[:, :22], fingers], axis=1).reshape(T, 156)
    body = np.concatenate([BODY[:, :21], np.zeros((T, 2, 3))], axis=1).reshape(T, 69)
    fields = dict(
        poses=poses,
        trans=TRANSL,
        betas=RNG.normal(size=16),
        gender='male',
        dmpls=np.zeros((T, 8)),
        mocap_framerate=120.0,
    )
    check(
        write(tmp_path / 'amass.npz', fields), PLAIN | dict(body_pose=body, betas=fields['betas'])
    )
    check(
        write(tmp_path / 'body.npz', PLAIN | dict(body_pose=BODY[:, :21].reshape(T, 63))),
        PLAIN | dict(body_pose=body),
    )


def test_one_frame(tmp_path):
    one = dict(
        betas=BETAS, body_pose=BODY[:1].reshape(1, 69), global_orient=ORIENT[:1], transl=TRANSL[:1]
    )
    check(write(tmp_path / 'p.npz', dict(pose=POSE[0].ravel(), betas=BETAS, trans=TRANSL[0])), one)
    check(
        write(
            tmp_path / 'p.npz',
            dict(
                body_pose=matrices(BODY[0]),
                betas=BETAS,
                trans=TRANSL[0],
                global_orient=matrices(ORIENT[:1]),
            ),
        ),
        one,
    )


def test_three_frames_are_not_taken_for_a_matrix(tmp_path):
    three = dict(
        betas=np.tile(BETAS, (3, 1)),
        body_pose=PLAIN['body_pose'][:3],
        global_orient=ORIENT[:3],
        transl=TRANSL[:3],
    )
    check(write(tmp_path / 'p.npz', three), three)


def test_half_a_turn_and_none_as_matrices(tmp_path):
    vectors = np.zeros((2, 24, 3))
    vectors[1, :, 1] = np.pi
    read = read_smpl_parameters(
        write(
            tmp_path / 'p.npz',
            PLAIN
            | dict(
                body_pose=matrices(vectors)[:, 1:],
                global_orient=matrices(vectors)[:, 0],
                transl=np.zeros((2, 3)),
            ),
        )
    )
    assert not read['body_pose'][0].any()
    np.testing.assert_allclose(
        np.abs(read['body_pose'][1].reshape(23, 3)), vectors[1, 1:], atol=1e-4
    )


def test_nan_matrices_stay_nan(tmp_path):
    rotations = matrices(BODY)
    rotations[2] = np.nan
    read = read_smpl_parameters(write(tmp_path / 'p.npz', PLAIN | dict(body_pose=rotations)))
    assert np.isnan(read['body_pose'][2]).all() and np.isfinite(read['body_pose'][[0, 1, 3]]).all()


def test_what_is_left_out_is_zero_and_said(tmp_path, caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        path = write(tmp_path / 'p.npz', dict(pose=POSE))
        check(path, PLAIN | dict(betas=np.zeros(10), transl=np.zeros((T, 3))))
    finally:
        logger.removeHandler(caplog.handler)
    messages = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(messages) == 2
    assert any('p.npz: no betas' in m for m in messages)
    assert any('p.npz: no transl' in m for m in messages)


@pytest.mark.parametrize(
    'fields, message',
    [
        (dict(betas=BETAS), r"the pose is needed once, .*the file has \['betas'\]"),
        (dict(body_pose=BODY), 'the pose is needed once'),
        (PLAIN | dict(pose=POSE), 'the pose is needed once'),
        (PLAIN | dict(trans=TRANSL), r"\['transl', 'trans'\] all give transl"),
        (
            dict(poses=np.zeros((T, 165))),
            r"'poses' must be \(T, 72\).*\(T, 156\).* it is \(4, 165\)",
        ),
        (PLAIN | dict(body_pose=np.zeros((T, 66))), r"'body_pose' must be \(T, 69\).*\(4, 66\)"),
        (PLAIN | dict(body_pose=np.zeros((3, 69))), 'body_pose has 3 frames, global_orient 4'),
        (PLAIN | dict(transl=TRANSL[:2]), r"'transl' must be \(4, 3\), it is \(2, 3\)"),
        (PLAIN | dict(betas=np.zeros((2, 10))), r"'betas' must be .* it is \(2, 10\)"),
        (PLAIN | dict(betas=np.float32(1)), r"'betas' must be .* it is \(\)"),
        (PLAIN | dict(betas=np.zeros(0)), r"'betas' must be .* it is \(0,\)"),
        (PLAIN | dict(global_orient=np.array(['a'] * T)), "'global_orient' does not hold numbers"),
        (PLAIN | dict(body_pose=2 * matrices(BODY)), "'body_pose' holds matrices that are no rot"),
        (
            PLAIN | dict(global_orient=-matrices(ORIENT)),
            "'global_orient' holds matrices that are no",
        ),
    ],
    ids=[
        'no pose',
        'half',
        'both',
        'two names',
        'SMPL-X',
        'joints',
        'frames',
        'transl',
        'betas',
        'scalar',
        'empty',
        'text',
        'scaled',
        'mirrored',
    ],
)
def test_a_wrong_field_is_named(tmp_path, fields, message):
    for suffix in ('.npz', '.pkl'):
        with pytest.raises(ValueError, match=rf'p\{suffix}: .*{message}'):
            read_smpl_parameters(write(tmp_path / f'p{suffix}', fields))


def test_unsafe_files_are_refused(tmp_path):
    class Command:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / 'marker'),)

    with pytest.raises(UnsafePickleError, match=r"p\.pkl: it names '.*mkdir'"):
        read_smpl_parameters(write(tmp_path / 'p.pkl', PLAIN | dict(extra=Command())))
    np.savez(tmp_path / 'p.npz', pose=np.array([Command()]))
    with pytest.raises(ValueError, match=r"p\.npz: field 'pose' cannot be read as a plain array"):
        read_smpl_parameters(tmp_path / 'p.npz')
    assert not (tmp_path / 'marker').exists()
