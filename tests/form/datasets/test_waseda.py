"""The Waseda squat set: true frames, and trees in its layout with every fault."""

import json
import time

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from rpstn.form.datasets import BadSkeletonError, WasedaSquatDataset
from rpstn.pose.datasets import find_data
from rpstn.skeletons import get_skeleton

try:
    REAL = find_data('waseda_sample/Pose_Dataset')
except FileNotFoundError:
    REAL = None
FOLDER = '1115_3djoints_index'
NAME = '0918_squat_000001'


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


def motion(frames, seed=0):
    """(T, 19, 3) of a body that moves smoothly, metres."""
    rng = np.random.default_rng(seed)
    start, step = rng.normal(0, 0.5, (19, 3)), rng.normal(0, 0.02, (19, 3))
    return start + np.sin(np.arange(frames) / 5)[:, None, None] * step


def content(joints, numbers=None):
    numbers = range(len(joints)) if numbers is None else numbers
    return {
        str(n): {'index': n, '3d_joint': pdist(frame).tolist()}
        for n, frame in zip(numbers, joints, strict=True)
    }


def write(root, folder, name, what):
    path = root / folder / FOLDER / f'{name}.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(what if isinstance(what, str) else json.dumps(what))
    return path


def distances(joints):
    return np.stack([pdist(frame) for frame in joints.astype(float)])


def fit(joints, target):
    """``joints`` (N, 3) moved, turned and mirrored onto ``target`` as well as possible."""
    a, b = joints - joints.mean(0), target - target.mean(0)
    u, _, v = np.linalg.svd(a.T @ b)
    return a @ u @ v + target.mean(0)


def test_joints_have_the_distances_of_the_file_and_move_smoothly(tmp_path):
    joints = motion(40)
    write(tmp_path, 'bad_head', NAME, content(joints))
    (item,) = WasedaSquatDataset(str(tmp_path), bad_data='raise')
    assert item['frame_dir'] == f'bad_head/{NAME}' and item['day'] == '0918'
    assert item['total_frames'] == 40 and item['keypoint'].shape == (1, 40, 19, 3)
    found = item['keypoint'][0].astype(float)
    np.testing.assert_allclose(distances(found), distances(joints), atol=1e-5)
    # No frame is mirrored or turned against the one before: the body moves as little as it did,
    # up to the motion as a whole, which distances do not tell.
    steps = np.linalg.norm(np.diff(found, axis=0), axis=2)
    assert steps.max() < 2 * np.linalg.norm(np.diff(joints, axis=0), axis=2).max()
    np.testing.assert_allclose(fit(found[7], joints[7]), joints[7], atol=1e-5)


def test_missing_frames_are_nan_at_their_time(tmp_path):
    joints = motion(20)
    numbers = [n for n in range(20) if n not in (0, 5, 6, 7, 19)]
    shuffled = np.random.default_rng(0).permutation(numbers).tolist()
    write(tmp_path, 'good', NAME, content(joints[shuffled], shuffled))
    found = WasedaSquatDataset(str(tmp_path))[0]['keypoint'][0]
    assert len(found) == 18  # 1 .. 18
    missing = np.isnan(found).all(axis=(1, 2))
    assert np.flatnonzero(missing).tolist() == [4, 5, 6]
    np.testing.assert_allclose(distances(found[~missing]), distances(joints[numbers]), atol=1e-5)


def test_classes_have_the_names_of_the_paper_whatever_the_spelling(tmp_path):
    folders = (
        'bad_innner_thigh',
        'bad_inner_thigh',
        'bad_back_round',
        'bad_back_warp',
        'bad_head',
        'bad_shallow',
        'bad_toe',
        'good',
    )
    for i, folder in enumerate(folders):
        write(tmp_path, folder, NAME if i else 'squat', content(motion(3, i)))
    (tmp_path / 'README.txt').write_text('beside the class folders')
    data = WasedaSquatDataset(str(tmp_path), bad_data='raise')
    names = {d['frame_dir'].split('/')[0]: data.metainfo['classes'][d['label']] for d in data}
    assert names == dict(
        zip(
            folders,
            (
                'inward knee',
                'inward knee',
                'round back',
                'warped back',
                'upwards head',
                'shallowness',
                'frontal knee',
                'good',
            ),
        )
    )
    assert data.metainfo['classes'] == (
        'inward knee',
        'round back',
        'warped back',
        'upwards head',
        'shallowness',
        'frontal knee',
        'good',
    )
    assert {d['frame_dir']: d['day'] for d in data}['bad_innner_thigh/squat'] == ''


def entry(values, index=1):
    return {'0': content(motion(1))['0'], '1': {'index': index, '3d_joint': values}}


GOOD = pdist(motion(1)[0]).tolist()
STRETCHED = [GOOD[0] * 9, *GOOD[1:]]
BAD = [
    ('{"0": {"index"', 'must be JSON, got'),
    ('', 'must be JSON, got'),
    ('{"0": 1, "0": 2}', "must be JSON, got '0' twice in one object"),
    ('[' * 100_000, 'must be JSON, got'),
    ([1, 2], 'must be an object with an entry for each frame, got list'),
    ({}, 'must be an object with an entry for each frame, got an empty one'),
    ({'first': {'3d_joint': GOOD}}, "frames must be named by their number, got 'first'"),
    ({'-1': {'3d_joint': GOOD}}, "frames must be named by their number, got '-1'"),
    ({'0': GOOD}, "frame 0: must be an object with 'index' and '3d_joint', got list"),
    ({'0': {'index': 0}}, r"frame 0: must be .* got \['index'\]"),
    ({'1': {'3d_joint': GOOD}, '01': {'3d_joint': GOOD}}, 'frame numbers must differ, got 2 for 1'),
    ({'0': {'3d_joint': GOOD}, '99999': {'3d_joint': GOOD}}, 'within 10000, got 0 to 99999'),
    (entry(GOOD, index=2), 'frame 1: index must be 1, got 2'),
    (entry(GOOD[:-1]), 'frame 1: 3d_joint must be 171 numbers, got 170'),
    (entry([GOOD]), 'frame 1: 3d_joint must be 171 numbers, got 1 x 171'),
    (entry(3.5), 'frame 1: 3d_joint must be 171 numbers, got one'),
    (entry(['far', *GOOD[1:]]), 'frame 1: 3d_joint must be 171 numbers, got something'),
    (entry([None, *GOOD[1:]]), 'frame 1: 3d_joint must be positive distances, got nan as value 0'),
    (entry([*GOOD[:9], -GOOD[9], *GOOD[10:]]), 'positive distances, got -.* as value 9'),
    (entry([float('nan'), *GOOD[1:]]), 'positive distances, got nan as value 0'),
    (entry([float('inf'), *GOOD[1:]]), 'positive distances, got inf as value 0'),
    (entry([0.0, *GOOD[1:]]), 'positive distances, got 0.0 as value 0'),
    (entry(STRETCHED), r'distances of 19 points in space to within 0.01 m, got .* in frame 1'),
]


@pytest.mark.parametrize('what, message', BAD, ids=range(len(BAD)))
def test_bad_files_are_named_and_counted(tmp_path, what, message):
    write(tmp_path, 'good', NAME, content(motion(3)))
    write(tmp_path, 'bad_toe', NAME, what)
    with pytest.raises(BadSkeletonError, match=rf'bad_toe/{FOLDER}/{NAME}.json: .*{message}'):
        WasedaSquatDataset(str(tmp_path), bad_data='raise')
    for _ in range(2):  # the second time out of the cache
        data = WasedaSquatDataset(str(tmp_path))
        assert [d['frame_dir'] for d in data] == [f'good/{NAME}']
        assert list(data.skipped) == [f'bad_toe/{NAME}']


def test_bad_folders_are_named_and_counted(tmp_path):
    write(tmp_path, 'good', NAME, content(motion(3)))
    write(tmp_path, 'bad_knee', 'a', content(motion(3)))
    write(tmp_path, 'bad_knee', 'b', content(motion(3)))
    (tmp_path / 'bad_head').mkdir()
    with pytest.raises(BadSkeletonError, match='bad_head'):
        WasedaSquatDataset(str(tmp_path), bad_data='raise')
    data = WasedaSquatDataset(str(tmp_path))
    assert len(data) == 1 and sorted(data.skipped) == ['bad_head', 'bad_knee']
    assert "'bad_knee' (2 files)" in data.skipped['bad_knee']
    assert 'no file' in data.skipped['bad_head']
    with pytest.raises(BadSkeletonError, match='no sequences there'):
        WasedaSquatDataset(str(tmp_path / 'bad_head'))


def test_the_second_time_files_are_not_parsed(tmp_path):
    for i in range(4):
        write(tmp_path, 'good', f'0918_squat_{i:06d}', content(motion(300, i)))
    start = time.perf_counter()
    first = WasedaSquatDataset(str(tmp_path))
    between = time.perf_counter()
    second = WasedaSquatDataset(str(tmp_path))
    assert time.perf_counter() - between < (between - start) / 2
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.pop('keypoint'), b.pop('keypoint'))
        assert a == b
    write(tmp_path, 'good', '0918_squat_000002', content(motion(7)))
    assert [d['total_frames'] for d in WasedaSquatDataset(str(tmp_path))] == [300, 300, 7, 300]


@pytest.mark.skipif(REAL is None, reason='the Waseda sample is not here')
def test_true_frames_of_the_release():
    with pytest.raises(BadSkeletonError, match='skipped 2 of 2 .*at least 2 frames, got 1'):
        WasedaSquatDataset(str(REAL))
    data = WasedaSquatDataset(str(REAL), min_frames=1, bad_data='raise')
    assert sorted(d['frame_dir'] for d in data) == [
        'bad_back_round/0918_squat_000016',
        'good/0918_squat_000001',
    ]
    for item in data:
        folder, name = item['frame_dir'].split('/')
        (frame,) = json.loads((REAL / folder / FOLDER / f'{name}.json').read_text()).values()
        joints = item['keypoint'][0]
        np.testing.assert_allclose(distances(joints)[0], frame['3d_joint'], atol=1e-4)
        skeleton = get_skeleton('cocoplus19')
        # A standing or squatting adult, in metres.
        thigh = joints[0, skeleton.index('left_hip')] - joints[0, skeleton.index('left_knee')]
        assert 0.3 < np.linalg.norm(thigh) < 0.6
