"""What OpenPose, AlphaPose, MMPose, Pose2Sim and Sports2D write, with their joint counts."""

import json

import numpy as np
import pytest

from rpstn.data.joints.joint_json import OPENPOSE_JOINTS
from rpstn.data.joints.joint_people import identity
from rpstn.data.joints.joint_sequence import joint_name
from rpstn.form.datasets.converters import convert_joints_folder, read_joints
from rpstn.form.datasets.sequence import BadSkeletonError
from rpstn.skeletons import SKELETONS, get_skeleton

COCO, HALPE = get_skeleton('coco17').joints, get_skeleton('halpe26').joints
FRAMES = 4


def points(person: int = 0, joints: int = 17) -> np.ndarray:
    """(T, K, 3): x, y, score; people are far from one another."""
    rng = np.random.default_rng(person)
    found = rng.uniform(1, 50, (FRAMES, joints, 3)) + 500 * person
    found[..., 2] = rng.uniform(0.1, 1, found.shape[:2])
    return found


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def openpose(folder, people, **keys):
    """A file a frame; people[p] (T, K, 3), whose places change from frame to frame."""
    for t in range(FRAMES):
        entries = [
            dict(
                {key: values[p] for key, values in keys.items()},
                pose_keypoints_2d=found[t].ravel().tolist(),
            )
            for p, found in enumerate(people)
        ]
        write(folder / f'clip_{t:012d}_keypoints.json', dict(people=entries[:: 1 - 2 * (t % 2)]))
    return folder


@pytest.mark.parametrize('count', OPENPOSE_JOINTS)
def test_openpose_by_the_number_of_joints(tmp_path, count):
    found = read_joints(openpose(tmp_path / 'clip', [points(0, count)]))
    joints = OPENPOSE_JOINTS[count]
    assert found.joints == joints and len(set(joints)) == len(joints)
    np.testing.assert_allclose(found.keypoints, points(0, count)[:, : len(joints), :2], rtol=1e-6)
    assert found.unread == (() if count == len(joints) else ('joints of face and hands',))


def test_wholebody_counts():
    assert {n: len(joints) for n, joints in OPENPOSE_JOINTS.items()} == {
        25: 25, 18: 18, 17: 17, 26: 26, 133: 23, 136: 26
    }  # fmt: skip
    for joints in OPENPOSE_JOINTS.values():
        known = {joint for skeleton in SKELETONS.values() for joint in skeleton.joints}
        assert set(joints) <= known


def coco_list(folder, people, **keys):
    return write(
        folder / 'a.json',
        [
            dict(
                {key: values[p] for key, values in keys.items()},
                image_id=f'clip_{t:06d}.jpg',
                category_id=1,
                keypoints=found[t].ravel().tolist(),
                score=0.9,
            )
            for t in range(FRAMES)
            for p, found in list(enumerate(people))[:: 1 - 2 * (t % 2)]
        ],
    )


def mmpose_video(folder, people, **keys):
    return write(
        folder / 'a.json',
        [dict(frame_id=t, instances=instances(people, t, keys)) for t in range(FRAMES)],
    )


def instances(people, t, keys):
    return [
        dict(
            {key: values[p] for key, values in keys.items()},
            keypoints=found[t, :, :2].tolist(),
            keypoint_scores=found[t, :, 2].tolist(),
            bbox=[[0, 0, 9, 9]],
            bbox_score=0.9,
        )
        for p, found in list(enumerate(people))[:: 1 - 2 * (t % 2)]
    ]


def mmpose_images(folder, people, **keys):
    for t in range(FRAMES):
        write(folder / f'clip/{t:06d}.json', instances(people, t, keys))
    return folder / 'clip'


def mmpose_demo_images(folder, people, **keys):
    """As the demos write an image, with the names of the joints."""
    meta = dict(keypoint_id2name=dict(enumerate(COCO)))
    for t in range(FRAMES):
        content = dict(meta_info=meta, instance_info=instances(people, t, keys))
        write(folder / f'clip/{t:06d}.json', content)
    return folder / 'clip'


def alphapose_by_image(folder, people, **keys):
    content = {
        f'{t}.jpg': dict(
            version=1.3,
            people=[
                dict(
                    {key: values[p] for key, values in keys.items()},
                    pose_keypoints_2d=found[t].ravel().tolist(),
                )
                for p, found in list(enumerate(people))[:: 1 - 2 * (t % 2)]
            ],
        )
        for t in range(FRAMES)
    }
    return write(folder / 'a.json', content)


def openpose_folder(folder, people, **keys):
    return openpose(folder / 'clip', people, **keys)


WRITERS = [
    openpose_folder,
    coco_list,
    mmpose_video,
    mmpose_images,
    mmpose_demo_images,
    alphapose_by_image,
]
IDENTITIES = [
    dict(person_id=[[7], [9]]),
    dict(track_id=[7, 9]),
    dict(idx=[7.0, 9.0]),
    dict(person=['7', '9']),
]


@pytest.mark.parametrize('write', WRITERS)
@pytest.mark.parametrize('keys', IDENTITIES, ids=lambda keys: next(iter(keys)))
def test_identities_of_the_file_are_used(tmp_path, write, keys):
    people = [points(0), points(1)]
    people[1][2] = np.nan  # one joint less to be 'most'
    path = write(tmp_path, people, **keys)
    for person, who in (('7', 0), (9, 1), ('most', 0)):
        found = read_joints(path, person)
        np.testing.assert_allclose(found.keypoints, people[who][..., :2], rtol=1e-6)
        assert found.remarks == ()
    with pytest.raises(BadSkeletonError, match='person must be chosen .* got 7, 9'):
        read_joints(path)
    with pytest.raises(BadSkeletonError, match='person must be one of 7, 9, got 0'):
        read_joints(path, '0')


@pytest.mark.parametrize('write', WRITERS)
def test_places_that_change_are_told(tmp_path, write):
    people = [points(0), points(1)]
    (remark,) = read_joints(write(tmp_path, people, person_id=[[-1], [-1]]), 'most').remarks
    assert remark.startswith('people without identities change places')
    assert read_joints(write(tmp_path, people[:1])).remarks == ()


@pytest.mark.parametrize('write', WRITERS)
@pytest.mark.parametrize('nobody', [np.nan, 0.0])
def test_who_has_no_joint_is_nobody(tmp_path, write, nobody):
    people = [points(0), np.full_like(points(0), nobody)]
    for person in (None, 0, 'most'):
        found = read_joints(write(tmp_path, people), person)
        np.testing.assert_allclose(found.keypoints, people[0][..., :2], rtol=1e-6)


def test_people_who_stay_in_their_places_are_not_told_of(tmp_path):
    path = write(
        tmp_path / 'a.json',
        [dict(instances=instances([points(0), points(1)], 0, {})) for _ in range(FRAMES)],
    )
    assert read_joints(path, 1).remarks == ()


def test_a_table_names_its_people_too(tmp_path):
    for column in ('person', 'person_id', 'track_id', 'idx'):
        rows = [f'{t},{p}.0,{t + 9 * p},1' for t in range(3) for p in (7, 9)]
        (tmp_path / 'a.csv').write_text('\n'.join([f'frame,{column},nose_x,nose_y', *rows]))
        found = read_joints(tmp_path / 'a.csv', 9)
        assert found.keypoints[:, 0, 0].tolist() == [81, 82, 83] and found.unread == ()


@pytest.mark.parametrize(
    'value,expected',
    [
        *((value, '7') for value in (7, 7.0, '7', ' 7.0', [7], '007')),
        *((value, None) for value in (None, '', -1, [-1], '-1.0', float('nan'), 'nan', [])),
        ('1_1', '1_1'),
        ('ann', 'ann'),
    ],
)
def test_identity(value, expected):
    assert identity(value) == expected


@pytest.mark.parametrize('count,joints', [(133, OPENPOSE_JOINTS[133]), (136, HALPE)])
def test_whole_bodies_without_names(tmp_path, count, joints):
    for path in (
        coco_list(tmp_path, [points(0, count)]),
        mmpose_video(tmp_path, [points(0, count)]),
    ):
        found = read_joints(path)
        assert found.joints == joints and found.unread == ('joints of face and hands',)
        np.testing.assert_allclose(
            found.keypoints, points(0, count)[:, : len(joints), :2], rtol=1e-6
        )


def trc(path, names, joints, z=0.0):
    head = ['Frame#', 'Time', *(field for name in names for field in (name, '', ''))]
    lines = [
        ['PathFileType', '4', '(X/Y/Z)', path.name],
        ['DataRate', 'CameraRate', 'NumFrames', 'NumMarkers', 'Units'],
        ['50', '50', str(len(joints)), str(len(names)), 'm'],
        head[:-2],
        ['', '', *(f'{axis}{i + 1}' for i in range(len(names)) for axis in 'XYZ')],
        [],
    ]
    for t, frame in enumerate(joints):
        row = [v for joint in frame for v in ([*joint, z] if len(joint) == 2 else joint)]
        lines.append([str(t + 1), f'{t / 50:.3f}', *('' if np.isnan(v) else str(v) for v in row)])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join('\t'.join(line) for line in lines))
    return path


# Sports2D's names of Halpe's 26 joints, and where they stand in skeletons.py.
SPORTS2D = {
    'Hip': 'pelvis', 'RHip': 'right_hip', 'RKnee': 'right_knee', 'RAnkle': 'right_ankle',
    'RBigToe': 'right_foot_index', 'RSmallToe': 'right_small_toe', 'RHeel': 'right_heel',
    'LHip': 'left_hip', 'LKnee': 'left_knee', 'LAnkle': 'left_ankle',
    'LBigToe': 'left_foot_index', 'LSmallToe': 'left_small_toe', 'LHeel': 'left_heel',
    'Neck': 'neck', 'Head': 'head_top', 'Nose': 'nose', 'RShoulder': 'right_shoulder',
    'RElbow': 'right_elbow', 'RWrist': 'right_wrist', 'LShoulder': 'left_shoulder',
    'LElbow': 'left_elbow', 'LWrist': 'left_wrist',
}  # fmt: skip


@pytest.mark.parametrize('dim', [2, 3])
def test_markers_of_sports2d(tmp_path, dim):
    joints = np.random.default_rng(0).uniform(3, 90, (5, len(SPORTS2D), dim)).round(4)
    joints[2, 4] = np.nan
    path = trc(tmp_path / 'in/deep/a.trc', SPORTS2D, joints)
    found = read_joints(path)
    assert found.joints == tuple(SPORTS2D.values()) and found.fps == pytest.approx(50)
    np.testing.assert_allclose(found.keypoints, joints, rtol=1e-6)
    conversion = convert_joints_folder(tmp_path / 'in', tmp_path / 'out', skeleton='halpe26')
    assert (conversion.sequences, conversion.frames) == (1, 5)


@pytest.mark.parametrize(
    'old,new,message',
    [
        ('Frame#', 'Index', 'line 4: columns must be Frame#, Time and the markers'),
        ('\t7.0', '', 'line 7: the row must be 5 fields, for 1 markers, got 4'),
        ('7.0', 'x', 'line 7: the row must be numbers'),
        ('1\t0.000', '\t0.000', 'line 7: Frame# must be a whole number, got nothing'),
    ],
)
def test_a_bad_file_of_markers(tmp_path, old, new, message):
    path = trc(tmp_path / 'a.trc', ['Nose'], [[[5.0, 6.0, 7.0]]])
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(BadSkeletonError, match=message) as error:
        read_joints(path)
    assert str(path) in str(error.value)


def test_names_that_mean_the_same():
    assert joint_name('LBigToe') == joint_name('left_big_toe') == 'left_foot_index'
    assert joint_name('RShoulder') == joint_name('Right Shoulder') == 'right_shoulder'
    assert joint_name('Nose') == 'nose' and joint_name('LEFT_EYE') == 'left_eye'


@pytest.mark.parametrize(
    'content,message',
    [
        (instances([points()], 0, {}), 'list of frames .*per_frame.* the people of one image'),
        (
            [dict(image_id='x.jpg', keypoints=[1, 2, 3])],
            "frame must be a whole number, got 'x.jpg'",
        ),
        ([dict(image_id=1, keypoints=[1, 2, 3, 4])], 'keypoints must be x, y and score.*4 numbers'),
    ],
)
def test_lists_that_are_none(tmp_path, content, message):
    with pytest.raises(BadSkeletonError, match=message):
        read_joints(write(tmp_path / 'a.json', content))


def shares(joints):
    return dict(joints=COCO, frames=[dict(frame=t, keypoints=k.tolist()) for t, k in joints])


@pytest.mark.parametrize('size', [(1920, 1080), None])
def test_shares_of_width_and_height(tmp_path, size):
    joints = points() / [50, 50, 1]
    content = dict(shares(enumerate(joints)), **(dict(size=size) if size else {}))
    found = read_joints(write(tmp_path / 'a.json', content))
    np.testing.assert_allclose(found.keypoints, joints[..., :2] * (size or (1, 1)), rtol=1e-6)
    assert ('became pixels' in found.remarks[0]) == (size is not None)
    convert_joints_folder(write(tmp_path / 'in/deep/a.json', content).parents[1], tmp_path / 'out')


def test_what_is_no_share_stays(tmp_path):
    metres = [dict(zip(COCO, frame)) for frame in (points() / 500).tolist()]
    for content in (shares(enumerate(points())), dict(size=[640, 480], frames=metres)):
        assert read_joints(write(tmp_path / 'a.json', content)).remarks == ()
