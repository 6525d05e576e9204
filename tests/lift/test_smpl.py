"""Joints from SMPL parameters against linear blend skinning written out."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from rpstn.lift import SMPLJoints
from rpstn.lift.smpl import SMPL_WITH_VERTICES
from rpstn.skeletons import SKELETONS, map_joints

smplx = pytest.importorskip('smplx', reason='smplx is not installed')

SMPL = SKELETONS['smpl24']


def rodrigues(vector: np.ndarray) -> np.ndarray:
    """R = I + sin(a) K + (1 - cos(a)) K K, K the cross product with the axis."""
    angle = np.sqrt(sum(x * x for x in vector))
    if angle == 0:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def skinning(model: dict, betas, pose, transl) -> tuple[np.ndarray, np.ndarray]:
    """Joints (24, 3) and vertices (N, 3) of one frame; SMPL, Loper et al. 2015, equations 2-11.

    betas (S,), pose (24, 3) with the pelvis first, transl (3,).
    """
    shaped = model['v_template'].copy()
    for coefficient, direction in zip(betas, np.moveaxis(model['shapedirs'], 2, 0)):
        shaped += coefficient * direction
    rest = np.zeros((24, 3))
    regressor = model['J_regressor'].toarray()
    for joint in range(24):
        for vertex in range(len(shaped)):
            rest[joint] += regressor[joint, vertex] * shaped[vertex]
    rotations = [rodrigues(vector) for vector in pose]
    posed, number = shaped.copy(), 0
    for joint in range(1, 24):
        for row in range(3):
            for column in range(3):
                feature = rotations[joint][row, column] - (row == column)
                posed += feature * model['posedirs'][:, :, number]
                number += 1
    world, places = [], []  # global rotation and place of each joint, down the chain
    for joint, parent in enumerate(SMPL.parents):
        if parent < 0:
            world.append(rotations[0])
            places.append(rest[0])
        else:
            places.append(places[parent] + world[parent] @ (rest[joint] - rest[parent]))
            world.append(world[parent] @ rotations[joint])
    vertices = np.zeros_like(posed)
    for vertex, point in enumerate(posed):
        for joint in range(24):
            moved = world[joint] @ (point - rest[joint]) + places[joint]
            vertices[vertex] += model['weights'][vertex, joint] * moved
    return np.array(places) + transl, vertices + transl


def parameters(frames: int, seed: int = 0, num_betas: int = 10) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return dict(
        betas=rng.normal(size=(frames, num_betas)),
        body_pose=0.6 * rng.normal(size=(frames, 69)),
        global_orient=2 * rng.normal(size=(frames, 3)),
        transl=rng.normal(size=(frames, 3)),
    )


def expected(model: dict, params: dict) -> tuple[np.ndarray, np.ndarray]:
    joints, vertices = zip(
        *(
            skinning(model, b, np.concatenate([g, p]).reshape(24, 3), t)
            for b, p, g, t in zip(
                params['betas'], params['body_pose'], params['global_orient'], params['transl']
            )
        )
    )
    return np.array(joints), np.array(vertices)


def test_joints_are_those_of_linear_blend_skinning(model, model_file):
    params = parameters(5)
    joints = SMPLJoints(model_file, batch_size=2)(**params)
    assert joints.shape == (5, 24, 3) and joints.dtype == np.float32
    np.testing.assert_allclose(joints, expected(model, params)[0], atol=2e-5)


def test_regressed_joints_come_from_the_posed_vertices(model, model_file, tmp_path):
    params = parameters(3, seed=1)
    regressor = np.random.default_rng(2).normal(size=(17, 40))
    np.save(tmp_path / 'regressor.npy', regressor)
    for given in (regressor, tmp_path / 'regressor.npy'):
        joints = SMPLJoints(model_file, 'coco17', regressor=given)(**params)
        np.testing.assert_allclose(joints, regressor @ expected(model, params)[1], atol=2e-4)


def test_at_rest_joints_are_regressed_from_the_template(full_model, full_model_file):
    zeros = dict(betas=np.zeros(10), body_pose=np.zeros((1, 69)), global_orient=np.zeros((1, 3)))
    joints = SMPLJoints(full_model_file)(**zeros)
    np.testing.assert_allclose(
        joints[0], full_model['J_regressor'] @ full_model['v_template'], atol=1e-5
    )


def test_a_bent_left_elbow_moves_only_what_hangs_on_it(model_file):
    at_rest = dict(
        betas=np.zeros(10), global_orient=np.zeros((1, 3)), body_pose=np.zeros((1, 23, 3))
    )
    bent = at_rest['body_pose'].copy()
    bent[0, SMPL.index('left_elbow') - 1] = 0, 0, np.pi / 2
    joints = SMPLJoints(model_file)
    before, after = joints(**at_rest)[0], joints(**at_rest | dict(body_pose=bent))[0]
    moved = {SMPL.joints[j] for j in np.flatnonzero(np.abs(after - before).max(1) > 1e-5)}
    assert moved == {'left_wrist', 'left_hand'}
    elbow, wrist = SMPL.index('left_elbow'), SMPL.index('left_wrist')
    x, y, z = before[wrist] - before[elbow]  # a quarter turn about z
    np.testing.assert_allclose(after[wrist] - after[elbow], [-y, x, z], atol=1e-5)


def test_batches_frames_and_layouts_do_not_matter(model_file):
    params = parameters(7)
    params['betas'] = params['betas'][0]
    whole = SMPLJoints(model_file, batch_size=100)(**params)
    for batch_size in (1, 3, 7):
        joints = SMPLJoints(model_file, batch_size=batch_size)
        np.testing.assert_allclose(joints(**params), whole, atol=1e-5)
    as_tensors = {k: torch.from_numpy(v) for k, v in params.items()}
    as_tensors['body_pose'] = as_tensors['body_pose'].view(7, 23, 3).requires_grad_()
    np.testing.assert_allclose(joints(**as_tensors), whole, atol=1e-5)
    np.testing.assert_allclose(
        joints(**params | dict(betas=params['betas'][None])), whole, atol=1e-5
    )
    assert joints(**{k: v[:0] if v.ndim > 1 else v for k, v in params.items()}).shape == (0, 24, 3)


def test_fewer_betas_are_padded_and_more_refused(model, model_file):
    params = parameters(2)
    joints = SMPLJoints(model_file)
    padded = params['betas'].copy()
    padded[:, 4:] = 0
    assert np.array_equal(
        joints(**params | dict(betas=params['betas'][:, :4])), joints(**params | dict(betas=padded))
    )
    with pytest.raises(ValueError, match='betas has 16 values, the model takes 10'):
        joints(**params | dict(betas=np.zeros(16)))


def test_a_model_of_300_betas(tmp_path, save_model, model):
    shapes = 0.1 * np.random.default_rng(3).normal(size=(40, 3, 300))
    path = save_model(tmp_path / 'm.npz', model | dict(shapedirs=shapes))
    params = parameters(2, num_betas=16)
    joints = SMPLJoints(path, num_betas=16)(**params)
    np.testing.assert_allclose(
        joints, expected(model | dict(shapedirs=shapes), params)[0], atol=2e-5
    )


def test_a_frame_of_nan_stays_alone(model_file):
    params = parameters(4)
    whole = SMPLJoints(model_file)(**params)
    params['body_pose'][2] = np.nan
    joints = SMPLJoints(model_file)(**params)
    assert np.isnan(joints[2, 1:]).any()
    np.testing.assert_allclose(joints[[0, 1, 3]], whole[[0, 1, 3]], atol=1e-6)


# --------------------------------------------------------------------------------------------------
# Other skeletons.


def test_cocoplus_takes_the_face_from_vertices(full_model, full_model_file):
    params = parameters(1, seed=4)
    joints = SMPLJoints(full_model_file, 'cocoplus19')
    assert joints.missing == ('head_top',)
    made = joints(**params)[0]
    own, vertices = (x[0] for x in expected(full_model, params))
    ids = smplx.vertex_ids.vertex_ids['smplh']
    for number, joint in enumerate(joints.skeleton.joints):
        short = joint[0] + joint.split('_')[-1]
        if joint == 'head_top':
            assert np.isnan(made[number]).all()
        elif joint == 'nose' or short in ids:
            wanted = vertices[ids['nose' if joint == 'nose' else short]]
            np.testing.assert_allclose(made[number], wanted, atol=1e-4)
        else:
            np.testing.assert_allclose(made[number], own[SMPL.index(joint)], atol=1e-4)


def test_the_feet_of_mediapipe_are_vertices(full_model, full_model_file):
    params = parameters(1, seed=5)
    joints = SMPLJoints(full_model_file, 'mediapipe19')
    assert joints.missing == ('left_mouth', 'right_mouth')
    made, (_, vertices) = joints(**params)[0], expected(full_model, params)
    ids = smplx.vertex_ids.vertex_ids['smplh']
    for joint, name in dict(
        left_heel='LHeel', right_heel='RHeel', left_foot_index='LBigToe', right_foot_index='RBigToe'
    ).items():
        np.testing.assert_allclose(
            made[joints.skeleton.index(joint)], vertices[0, ids[name]], atol=1e-4
        )


@pytest.mark.parametrize('name', SKELETONS)
def test_every_skeleton_is_a_mapping_of_the_joints_there_are(full_model_file, name):
    joints = SMPLJoints(full_model_file, name)
    made = joints(**parameters(2))
    source = np.full((2, SMPL_WITH_VERTICES.num_joints, 3), np.nan, np.float32)
    source[:, :24] = SMPLJoints(full_model_file)(**parameters(2))
    known = np.isfinite(map_joints(source, SMPL_WITH_VERTICES, joints.skeleton))
    wanted = map_joints(source, SMPL_WITH_VERTICES, joints.skeleton)
    np.testing.assert_allclose(made[known], wanted[known], atol=1e-5)
    missing = [j for j, nan in zip(joints.skeleton.joints, np.isnan(made[0, :, 0])) if nan]
    assert list(joints.missing) == missing
    assert np.array_equal(np.isnan(made[0]), np.isnan(made[1]))


def test_another_mesh_has_no_named_vertices(model_file):
    assert SMPLJoints(model_file, 'cocoplus19').missing == (
        'head_top',
        'nose',
        'left_eye',
        'right_eye',
        'left_ear',
        'right_ear',
    )


def test_a_vertex_can_be_named(model, model_file):
    params = parameters(2)
    joints = SMPLJoints(model_file, 'cocoplus19', vertices=dict(head_top=7, right_knee=8))
    assert 'head_top' not in joints.missing
    made, vertices = joints(**params), expected(model, params)[1]
    np.testing.assert_allclose(
        made[:, joints.skeleton.index('head_top')], vertices[:, 7], atol=1e-4
    )
    np.testing.assert_allclose(
        made[:, joints.skeleton.index('right_knee')], vertices[:, 8], atol=1e-4
    )


def test_the_regressor_of_hmr_gives_all_of_cocoplus(tmp_path, model, save_model):
    regressor = np.random.default_rng(6).random((19, 40))
    path = save_model(tmp_path / 'hmr.npz', model | dict(cocoplus_regressor=regressor))
    joints, params = SMPLJoints(path, 'cocoplus19'), parameters(2)
    assert joints.missing == ()
    np.testing.assert_allclose(joints(**params), regressor @ expected(model, params)[1], atol=1e-4)
    own = SMPLJoints(path, 'smpl24')(**params)  # no other skeleton uses it
    np.testing.assert_allclose(own, expected(model, params)[0], atol=2e-5)


# --------------------------------------------------------------------------------------------------
# Errors.


@pytest.mark.parametrize(
    'change, message',
    [
        (
            dict(body_pose=np.zeros((3, 63))),
            r'body_pose must be of shape \(3, 69\) or \(3, 23, 3\), '
            r'got \(3, 63\)',
        ),
        (dict(body_pose=np.zeros((2, 69))), r'body_pose .* got \(2, 69\)'),
        (dict(global_orient=np.zeros((3, 4))), r'global_orient .* \(3, 3\), got \(3, 4\)'),
        (dict(global_orient=np.zeros((3, 3, 3))), r'global_orient .* got \(3, 3, 3\)'),
        (dict(global_orient=0), r'global_orient .* got \(\)'),
        (dict(transl=np.zeros(3)), r'transl .* \(3, 3\), got \(3,\)'),
        (dict(betas=np.zeros((2, 10))), r'betas .* got \(2, 10\)'),
        (dict(betas=0.0), r'betas .* got \(\)'),
        (dict(transl=np.array(['a'])), 'transl does not hold numbers'),
    ],
)
def test_a_wrong_field_is_named(model_file, change, message):
    with pytest.raises(ValueError, match=message):
        SMPLJoints(model_file)(**parameters(3) | change)


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(skeleton='coco18'), "unknown skeleton 'coco18'"),
        (dict(batch_size=0), 'batch_size and num_betas must be at least 1'),
        (dict(vertices=dict(head_top=1)), "smpl24 has no joint 'head_top'"),
        (dict(vertices=dict(head=40)), 'head is vertex 40, of 40'),
        (
            dict(regressor=np.zeros((24, 6890))),
            r'shape \(24, 40\) \(joints, vertices\), got '
            r'\(24, 6890\)',
        ),
    ],
)
def test_wrong_arguments_are_named(model_file, arguments, message):
    with pytest.raises(ValueError, match=message):
        SMPLJoints(model_file, **arguments)


def test_nothing_is_printed(model_file, capfd):
    SMPLJoints(model_file)(**parameters(1))
    assert capfd.readouterr() == ('', '')


def test_without_smplx_the_error_says_how_to_install_it(model_file, monkeypatch):
    monkeypatch.setitem(sys.modules, 'smplx', None)  # as if it were not installed
    with pytest.raises(ImportError, match='pip install --no-deps smplx'):
        SMPLJoints(model_file)
