"""Skeletons against the libraries and the real data they describe."""

import json
from pathlib import Path

import mmpose
import numpy as np
import pytest
import scipy.io
import torch
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from smplx.joint_names import JOINT_NAMES

from rpstn.form.geometry.distances import joints_from_distances
from rpstn.pose.datasets import JHMDB15, PENN13, find_data
from rpstn.pose.datasets.metainfo import BLAZEPOSE33
from rpstn.skeletons import (
    SKELETONS,
    Skeleton,
    get_skeleton,
    joint_mapping,
    joint_weights,
    map_joints,
)

NAMES = (
    'cocoplus19',
    'mediapipe33',
    'mediapipe19',
    'smpl24',
    'coco17',
    'halpe26',
    'penn13',
    'jhmdb15',
    'h36m17',
    'lifter15',
    'blazepose33',
)
MMPOSE = Path(mmpose.__file__).parent / '.mim/configs/_base_/datasets'


def body(name: str, frames: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, SKELETONS[name].num_joints, 3))


def data(relative: str):
    try:
        return find_data(relative)
    except FileNotFoundError as error:
        pytest.skip(f'needs real data: {error}')


def test_all_skeletons_are_there_under_their_names():
    assert tuple(SKELETONS) == NAMES
    assert all(skeleton.name == name for name, skeleton in SKELETONS.items())


@pytest.mark.parametrize('skeleton', SKELETONS.values(), ids=NAMES)
def test_limbs_are_one_tree_over_as_many_joints_as_the_name_says(skeleton):
    assert skeleton.name.endswith(str(skeleton.num_joints))
    assert len(skeleton.limbs) == skeleton.num_joints - 1
    assert skeleton.parents.count(-1) == 1 and skeleton.parents[skeleton.root] == -1
    for joint in range(skeleton.num_joints):
        steps = 0
        while joint != skeleton.root:
            joint, steps = skeleton.parents[joint], steps + 1
            assert steps < skeleton.num_joints
    for (parent, child), (a, b) in zip(skeleton.limb_indices, skeleton.limbs):
        assert (skeleton.joints[parent], skeleton.joints[child]) == (a, b)
        assert skeleton.parents[child] == parent


@pytest.mark.parametrize('skeleton', SKELETONS.values(), ids=NAMES)
def test_a_mirror_exchanges_left_and_right_and_the_limbs_that_hang_on_them(skeleton):
    flip = skeleton.flip_indices
    assert [flip[i] for i in flip] == list(range(skeleton.num_joints))
    for joint, other in enumerate(flip):
        expected = skeleton.joints[joint]
        if expected.startswith('left_'):
            expected = 'right_' + expected[5:]
        elif expected.startswith('right_'):
            expected = 'left_' + expected[6:]
        assert skeleton.joints[other] == expected
    assert sorted(skeleton.flip_pairs) == [(i, j) for i, j in enumerate(flip) if i < j]
    # All limbs but those that lead over the right hip to the head have their mirror image.
    limbs = {frozenset(limb) for limb in skeleton.limb_indices}
    odd = {limb for limb in limbs if frozenset(flip[i] for i in limb) not in limbs}
    assert odd <= {
        frozenset((skeleton.index('right_shoulder'), joint))
        for joint in range(skeleton.num_joints)
        if skeleton.joints[joint] in ('nose', 'head')
    }


@pytest.mark.parametrize('skeleton', SKELETONS.values(), ids=NAMES)
def test_head_and_body_divide_the_limbs(skeleton):
    head, rest = set(skeleton.head_limbs), set(skeleton.body_limbs)
    assert head and rest and not head & rest
    assert head | rest == set(range(len(skeleton.limbs)))
    reached = {skeleton.limbs[n][1] for n in rest}
    assert {'left_wrist', 'right_ankle', 'left_shoulder'} <= reached
    assert not reached & {'nose', 'head', 'head_top', 'left_eye', 'left_ear', 'left_mouth'}


@pytest.mark.parametrize(
    'name, metainfo, renamed',
    [
        ('coco17', 'coco.py', {}),
        (
            'h36m17',
            'h36m.py',
            dict(root='pelvis', head='head_top', left_foot='left_ankle', right_foot='right_ankle'),
        ),
        ('jhmdb15', 'jhmdb.py', {}),
        ('jhmdb15', JHMDB15, {}),
        ('penn13', PENN13, {}),
        ('blazepose33', BLAZEPOSE33, {}),
        (
            'halpe26',
            'halpe26.py',
            dict(
                head='head_top',
                hip='pelvis',
                left_big_toe='left_foot_index',
                right_big_toe='right_foot_index',
            ),
        ),
    ],
)
def test_joints_and_mirror_are_those_of_the_pose_data_set(name, metainfo, renamed):
    if isinstance(metainfo, str):
        metainfo = dict(from_file=str(MMPOSE / metainfo))
    meta = parse_pose_metainfo(metainfo)
    skeleton = SKELETONS[name]
    names = [meta['keypoint_id2name'][k] for k in range(meta['num_keypoints'])]
    assert tuple(renamed.get(joint, joint) for joint in names) == skeleton.joints
    assert tuple(meta['flip_indices']) == skeleton.flip_indices


def test_smpl_is_the_order_and_the_kinematic_tree_of_the_body_model():
    skeleton = SKELETONS['smpl24']
    assert skeleton.joints[:22] == tuple(JOINT_NAMES[:22])
    # kintree_table of the SMPL model files.
    assert skeleton.parents == (
        -1,
        0,
        0,
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        9,
        9,
        12,
        13,
        14,
        16,
        17,
        18,
        19,
        20,
        21,
    )


def test_mediapipe_is_the_order_of_its_landmarks():
    landmarks = pytest.importorskip('mediapipe').solutions.pose.PoseLandmark
    names = [landmark.name.lower() for landmark in landmarks]
    renamed = dict(mouth_left='left_mouth', mouth_right='right_mouth')
    assert tuple(renamed.get(name, name) for name in names) == SKELETONS['mediapipe33'].joints


def test_the_squat_sets_joints_are_those_of_mediapipe_it_names():
    taken = [0, 9, 10, *range(11, 17), *range(23, 33)]
    assert SKELETONS['mediapipe19'].joints == tuple(
        SKELETONS['mediapipe33'].joints[i] for i in taken
    )
    assert joint_mapping('mediapipe33', 'mediapipe19') == tuple((i,) for i in taken)


def test_real_waseda_frames_have_human_proportions_in_this_order():
    skeleton = SKELETONS['cocoplus19']
    files = sorted(data('waseda_sample').rglob('*.json'))
    assert files
    for file in files:
        for frame in json.loads(file.read_text()).values():
            joints = joints_from_distances(np.array(frame['3d_joint']))
            length = {
                limb: np.linalg.norm(joints[a] - joints[b])
                for limb, (a, b) in zip(skeleton.limbs, skeleton.limb_indices)
            }
            for (parent, child), value in length.items():
                mirrored = tuple(
                    skeleton.joints[skeleton.flip_indices[skeleton.index(joint)]]
                    for joint in (parent, child)
                )
                assert length[mirrored] == pytest.approx(value, rel=0.15), (parent, child)
            assert 0.3 < length['right_hip', 'right_knee'] < 0.5
            assert 0.2 < length['right_shoulder', 'right_elbow'] < 0.35
            far = np.linalg.norm(joints - joints[skeleton.index('right_ankle')], axis=-1)
            assert skeleton.joints[far.argmax()] == 'head_top'


def test_real_squats_stand_on_their_heels_in_this_order():
    skeleton = SKELETONS['mediapipe19']
    with np.load(data('squat_mediapipe19') / 'keypoints3d.npz') as sequences:
        first = np.stack([sequences[name][0] for name in sequences.files[:200]])
    height = -np.nanmedian(first[..., 1], axis=0)  # y points down
    order = [
        'nose',
        'left_mouth',
        'left_shoulder',
        'left_hip',
        'left_knee',
        'left_ankle',
        'left_heel',
    ]
    for names in (order, [name.replace('left', 'right') for name in order]):
        heights = height[[skeleton.index(name) for name in names]]
        assert (np.diff(heights) < 0).all()


@pytest.mark.parametrize('name', NAMES)
def test_mapping_to_the_same_skeleton_changes_nothing_and_copies(name):
    joints = body(name)
    same = map_joints(joints, name, name)
    np.testing.assert_array_equal(same, joints)
    assert not np.shares_memory(same, joints)


@pytest.mark.parametrize('source', NAMES)
@pytest.mark.parametrize('target', NAMES)
def test_joints_of_one_name_keep_their_place_and_unknown_ones_are_nan(source, target):
    joints = body(source)
    mapped = map_joints(joints, source, target)
    a, b = SKELETONS[source], SKELETONS[target]
    assert mapped.shape == (2, b.num_joints, 3)
    for name, weights in zip(b.joints, joint_weights(source, target)):
        place = mapped[:, b.index(name)]
        if name in a.joints:
            np.testing.assert_array_equal(place, joints[:, a.index(name)])
        elif not weights:
            assert np.isnan(place).all()
        else:
            expected = np.average(joints[:, list(weights)], axis=1, weights=[*weights.values()])
            np.testing.assert_allclose(place, expected)


def test_composites_are_the_middles_they_are_named_after():
    joints = body('coco17')
    at = {name: joints[:, SKELETONS['coco17'].index(name)] for name in SKELETONS['coco17'].joints}
    hips = (at['left_hip'] + at['right_hip']) / 2
    shoulders = (at['left_shoulder'] + at['right_shoulder']) / 2
    expected = {
        'h36m17': dict(pelvis=hips, thorax=shoulders, spine=(hips + shoulders) / 2),
        'cocoplus19': dict(neck=shoulders),
        'jhmdb15': dict(neck=shoulders, belly=0.8 * hips + 0.2 * shoulders),
        'penn13': dict(head=(at['left_ear'] + at['right_ear']) / 2),
    }
    for target, places in expected.items():
        mapped = map_joints(joints, 'coco17', target)
        for name, place in places.items():
            np.testing.assert_allclose(mapped[:, SKELETONS[target].index(name)], place)


@pytest.mark.parametrize('target', ['jhmdb15', 'penn13', 'halpe26', 'coco17'])
@pytest.mark.parametrize('source', ['mediapipe33', 'blazepose33'])
def test_what_is_mapped_shifts_turns_grows_and_mirrors_with_its_source(source, target):
    joints = body(source)[..., :2]
    mapped = map_joints(joints, source, target)
    turn = 1.7 * np.array([[0.6, 0.8], [-0.8, 0.6]])
    np.testing.assert_allclose(
        map_joints(joints @ turn + (300, -40), source, target), mapped @ turn + (300, -40)
    )
    a, b = SKELETONS[source], SKELETONS[target]
    mirrored = (joints * (-1, 1))[:, list(a.flip_indices)]
    np.testing.assert_allclose(
        map_joints(mirrored, source, target), (mapped * (-1, 1))[:, list(b.flip_indices)]
    )
    assert all(
        sum(weights.values()) == pytest.approx(1) for weights in joint_weights(a, b) if weights
    )


def test_jhmdbs_neck_of_blazepose_lies_above_the_shoulders_where_it_was_fitted():
    joints = np.zeros((33, 2))
    skeleton = SKELETONS['blazepose33']
    for part, height in dict(ear=-30, shoulder=0, hip=100).items():
        for side, x in dict(left=10, right=-10).items():
            joints[skeleton.index(f'{side}_{part}')] = x, height
    neck, belly, head = map_joints(joints, 'blazepose33', 'jhmdb15')[:3]
    np.testing.assert_allclose(neck, (0, -30 * 2 * 0.145))
    np.testing.assert_allclose(belly, (0, 100 * 2 * 0.411))
    np.testing.assert_allclose(head, (0, -30))
    parts = joint_mapping('blazepose33', 'jhmdb15')[:3]
    assert [{skeleton.joints[i] for i in part} for part in parts] == [
        {f'{side}_{name}' for side in ('left', 'right') for name in names}
        for names in (('shoulder', 'ear'), ('hip', 'shoulder'), ('ear',))
    ]
    # Other necks are about the middle of the shoulders.
    (there,) = map_joints(joints, 'blazepose33', 'cocoplus19')[[12]]
    np.testing.assert_allclose(there, 0)


@pytest.mark.parametrize(
    'target, lost',
    [('coco17', ''), ('penn13', ''), ('jhmdb15', ''),
     ('halpe26', 'head_top left_small_toe right_small_toe')],
)  # fmt: skip
def test_blazepose_has_all_joints_but_the_crown_and_small_toes(target, lost):
    mapped = map_joints(body('blazepose33'), 'blazepose33', target)
    nowhere = np.flatnonzero(np.isnan(mapped).any((0, 2)))
    assert ' '.join(SKELETONS[target].joints[i] for i in nowhere) == lost


def test_penn_and_jhmdb_mean_one_place_by_the_head():
    """Above the middle of the shoulders, in lengths of upright trunks."""
    penn, jhmdb = (SKELETONS[name] for name in ('penn13', 'jhmdb15'))

    def height(joints: np.ndarray, skeleton: Skeleton) -> float:
        shoulders, hips = (
            joints[:, [skeleton.index(f'{side}_{part}') for side in ('left', 'right')]].mean(1)
            for part in ('shoulder', 'hip')
        )
        trunk = shoulders - hips
        length = np.linalg.norm(trunk, axis=-1)
        upright = (length > 15) & (trunk[:, 1] < -0.9 * length)
        above = ((joints[:, skeleton.index('head')] - shoulders) * trunk).sum(-1) / length**2
        return float(np.median(above[upright])) if upright.any() else np.nan

    heights: dict[str, list[float]] = dict(penn=[], jhmdb=[])
    for file in sorted((data('penn_action') / 'labels').glob('*.mat'))[::8]:
        label = scipy.io.loadmat(file)
        seen = (label['visibility'][:, [0, 1, 2, 7, 8]] > 0).all(1)
        joints = np.stack([label['x'], label['y']], axis=-1).astype(float)
        heights['penn'].append(height(joints[seen], penn))
    for file in sorted((data('jhmdb') / 'joint_positions').glob('*/*/joint_positions.mat'))[::4]:
        joints = scipy.io.loadmat(file)['pos_img'].transpose(2, 1, 0)
        heights['jhmdb'].append(height(joints, jhmdb))
    medians = {name: np.nanmedian(values) for name, values in heights.items()}
    assert medians['penn'] == pytest.approx(0.38, abs=0.03)
    assert medians['jhmdb'] == pytest.approx(0.37, abs=0.03)


def test_the_belly_of_real_clips_lies_where_the_mapping_puts_it():
    files = sorted((data('jhmdb') / 'joint_positions').glob('*/*/joint_positions.mat'))[::8]
    skeleton, off = SKELETONS['jhmdb15'], []
    members = [
        skeleton.index(f'{side}_{part}')
        for part in ('hip', 'shoulder')
        for side in ('left', 'right')
    ]
    for file in files:
        joints = scipy.io.loadmat(file)['pos_img'].transpose(2, 1, 0)
        torso = np.linalg.norm(
            joints[:, members[:2]].mean(1) - joints[:, members[2:]].mean(1), axis=-1
        )
        belly = np.average(joints[:, members], axis=1, weights=[4, 4, 1, 1])
        off.append(np.median(np.linalg.norm(joints[:, 1] - belly, axis=-1) / torso))
    assert np.median(off) < 0.15


def test_mapping_keeps_kind_dtype_and_leading_dimensions_and_passes_gradients():
    joints = torch.randn(2, 3, 17, 2, dtype=torch.float32, requires_grad=True)
    mapped = map_joints(joints, 'coco17', 'h36m17')
    assert mapped.shape == (2, 3, 17, 2) and mapped.dtype == torch.float32
    mapped[..., 0, :].sum().backward()
    hips = [SKELETONS['coco17'].index(f'{side}_hip') for side in ('left', 'right')]
    assert (joints.grad[..., hips, :] == 0.5).all()
    assert joints.grad.count_nonzero() == 2 * 3 * 2 * 2
    array = map_joints(joints.detach().numpy(), 'coco17', 'h36m17')
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, mapped.detach().numpy())


def test_a_missing_joint_makes_only_its_own_composites_missing():
    joints = body('coco17')
    joints[0, SKELETONS['coco17'].index('left_hip')] = np.nan
    mapped = map_joints(joints, 'coco17', 'h36m17')
    h36m = SKELETONS['h36m17']
    lost = {h36m.joints[j] for j in np.flatnonzero(np.isnan(mapped[0]).any(-1))}
    assert lost == {'pelvis', 'left_hip', 'spine', 'neck_base', 'head_top'}
    assert not np.isnan(mapped[1, h36m.index('pelvis')]).any()


def test_a_wrong_shape_is_refused():
    for shape in ((17,), (4, 18, 3), (4, 17, 4)):
        with pytest.raises(ValueError, match=r'coco17 takes joints of shape \(\.\.\., 17, 2 or 3'):
            map_joints(np.zeros(shape), 'coco17', 'h36m17')


def test_an_unknown_skeleton_and_joint_are_refused_with_those_there_are():
    with pytest.raises(ValueError, match="unknown skeleton 'coco18'; known are cocoplus19, media"):
        get_skeleton('coco18')
    with pytest.raises(ValueError, match="penn13 has no joint 'nose'; its joints are head, left_"):
        SKELETONS['penn13'].index('nose')
    assert get_skeleton(SKELETONS['penn13']) is SKELETONS['penn13']


@pytest.mark.parametrize(
    'joints, limbs, message',
    [
        (('a', 'b', 'a'), (('a', 'b'),), 'occurs twice'),
        (('a', 'b', 'c'), (('a', 'b'),), r"no limb leads to \['c'\]"),
        (('a', 'b', 'c'), (('a', 'b'), ('b', 'c'), ('a', 'c')), 'must lead from a joint'),
        (('a', 'b', 'c'), (('b', 'c'), ('a', 'b')), 'must lead from a joint'),
        (('a', 'b'), (('a', 'x'),), "no joint 'x'"),
    ],
    ids=['joint twice', 'joint left out', 'circle', 'two roots', 'unknown joint'],
)
def test_what_is_no_tree_is_refused(joints, limbs, message):
    with pytest.raises(ValueError, match=message):
        Skeleton('mine', joints, limbs)
