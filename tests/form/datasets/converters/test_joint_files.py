"""Every format of joints read back: the same joints from each, and what is wrong by its place."""

import csv
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rpstn.form.datasets.converters import read_joints
from rpstn.form.datasets.sequence import BadSkeletonError
from rpstn.inference.pose_files import CsvFile, NpzFile, PoseJson
from rpstn.results import FrameResult, PersonResult

NAMES = ('left_hip', 'left_knee', 'left_ankle', 'nose')


def some_joints(frames: int = 6, dim: int = 3, seed: int = 0) -> np.ndarray:
    """(T, 4, D), one joint missing in one frame, all of them in another."""
    joints = np.random.default_rng(seed).normal(size=(frames, 4, dim)).astype(np.float32) * 50
    joints[1:2, 2] = joints[3:4] = np.nan
    return joints


def plain(joints: np.ndarray) -> list:
    """Nested lists with None for NaN, as JSON has it."""
    return [
        [[None if np.isnan(v) else float(v) for v in joint] for joint in frame] for frame in joints
    ]


def write_rows(path, header, rows, delimiter=','):
    with open(path, 'w', newline='') as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([header, *rows])
    return path


def long_rows(joints, first=0):
    return [
        (t + first, name, *('' if np.isnan(v) else float(v) for v in joints[t, i]))
        for t in range(len(joints))
        for i, name in enumerate(NAMES)
    ]


def long_table(folder, joints):
    return write_rows(folder / 'a.csv', ('frame', 'joint', 'x', 'y', 'z'), long_rows(joints))


def shuffled_long_table(folder, joints):
    rows = long_rows(joints)
    # The first row keeps its place, the order of joints in the file is that of their names.
    order = np.random.default_rng(0).permutation(np.arange(4, len(rows)))
    rows = [
        (z, name, y, frame, x) for frame, name, x, y, z in [*rows[:4], *(rows[i] for i in order)]
    ]
    return write_rows(folder / 'a.csv', ('Z', 'Joint', 'y', 'Frame', 'x'), rows)


def long_table_without_missing(folder, joints):
    rows = [row for row in long_rows(joints) if '' not in row]
    return write_rows(folder / 'a.tsv', ('frame', 'joint', 'x', 'y', 'z'), rows, '\t')


def wide_table(folder, joints, delimiter=','):
    header = ['frame', *(f'{name}_{axis}' for name in NAMES for axis in 'xyz')]
    rows = [
        (t, *('' if np.isnan(v) else float(v) for v in frame.ravel()))
        for t, frame in enumerate(joints)
    ]
    return write_rows(folder / 'a.csv', header, rows, delimiter)


def wide_table_with_nan(folder, joints):
    header = [
        'time',
        *(f'{name.replace("_", " ").title()}.{axis.upper()}' for name in NAMES for axis in 'xyz'),
        'frame',
    ]
    rows = [(t / 30, *frame.ravel().tolist(), f'{t}.0') for t, frame in enumerate(joints)]
    return write_rows(folder / 'a.csv', header, rows, ';')


def list_of_objects(folder, joints):
    frames = [dict(zip(NAMES, frame)) for frame in plain(joints)]
    frames[3] = None
    (folder / 'a.json').write_text(json.dumps(frames))
    return folder / 'a.json'


def list_with_nan(folder, joints):
    (folder / 'a.json').write_text(json.dumps(dict(joints=NAMES, frames=joints.tolist())))
    return folder / 'a.json'


def object_with_frames(folder, joints):
    frames = [
        dict(frame=t, keypoints=[[*point, None] for point in frame])
        for t, frame in enumerate(plain(joints))
        if t != 3
    ]
    (folder / 'a.json').write_text(json.dumps(dict(joints=NAMES, frames=frames[::-1])))
    return folder / 'a.json'


def mmpose_results(folder, joints):
    frames = [
        dict(frame_id=t, instances=[dict(keypoints=frame, keypoint_scores=[0.5] * 4)])
        for t, frame in enumerate(plain(joints))
    ]
    meta = dict(keypoint_id2name={str(i): name for i, name in enumerate(NAMES)})
    (folder / 'a.json').write_text(json.dumps(dict(meta_info=meta, instance_info=frames)))
    return folder / 'a.json'


def files_of_frames(folder, joints):
    (folder / 'a').mkdir()
    for t, frame in enumerate(plain(joints)):
        if t % 2:
            (folder / f'a/cam2_{t:04d}.json').write_text(json.dumps(dict(zip(NAMES, frame))))
        else:
            write_rows(
                folder / f'a/cam2_{t:04d}.csv',
                ('joint', 'x', 'y', 'z'),
                [row[1:] for row in long_rows(joints[t : t + 1])],
            )
    return folder / 'a'


def arrays(folder, joints):
    np.savez(folder / 'a.npz', keypoints=joints, joints=NAMES)
    return folder / 'a.npz'


WRITERS = [
    long_table,
    shuffled_long_table,
    long_table_without_missing,
    wide_table,
    wide_table_with_nan,
    list_of_objects,
    list_with_nan,
    object_with_frames,
    mmpose_results,
    files_of_frames,
    arrays,
]


@pytest.mark.parametrize('write', WRITERS)
def test_every_format_gives_the_same_joints(write, tmp_path):
    joints = some_joints()
    found = read_joints(write(tmp_path, joints))
    order = [found.joints.index(name) for name in NAMES]
    np.testing.assert_allclose(found.keypoints[:, order], joints, rtol=1e-6)
    assert found.keypoints.dtype == np.float32 and found.unread == ()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(1, 6), st.sampled_from([2, 3]), st.integers(0, 99), st.data())
def test_tables_and_json_agree_on_anything(tmp_path, frames, dim, seed, data):
    joints = np.random.default_rng(seed).normal(size=(frames, 4, dim)).astype(np.float32)
    gone = data.draw(
        st.lists(st.tuples(st.integers(0, frames - 1), st.integers(0, 3)), max_size=4 * frames - 1)
    )
    for t, i in gone:
        joints[t, i] = np.nan
    if np.isnan(joints).any(axis=2).all():
        joints[0, 0] = 1
    axes = ('x', 'y', 'z')[:dim]
    table = write_rows(tmp_path / 'b.csv', ('frame', 'joint', *axes), long_rows(joints))
    (tmp_path / 'b.json').write_text(json.dumps(plain(joints)))
    np.testing.assert_array_equal(read_joints(table).keypoints, joints)
    np.testing.assert_array_equal(read_joints(tmp_path / 'b.json').keypoints, joints)


def test_frames_keep_their_time(tmp_path):
    joints = some_joints(3)
    joints[1] = 1
    rows = [(frame, *row[1:]) for row in long_rows(joints) for frame in [(5, 6, 9)[row[0]]]]
    path = write_rows(tmp_path / 'a.csv', ('frame', 'joint', 'x', 'y', 'z'), rows)
    found = read_joints(path).keypoints
    np.testing.assert_allclose(found[[0, 1, 4]], joints, rtol=1e-6)
    assert found.shape == (5, 4, 3) and np.isnan(found[2:4]).all()
    shifted = read_joints(path, first_frame=3).keypoints
    np.testing.assert_array_equal(shifted[2:], found)
    assert np.isnan(shifted[:2]).all()
    with pytest.raises(BadSkeletonError, match='line 2: frame must be 6 or more, got 5'):
        read_joints(path, first_frame=6)


def test_leading_and_trailing_frames_without_anybody_count(tmp_path):
    (tmp_path / 'a.json').write_text(json.dumps([[], None, plain(some_joints(1))[0], {}, None]))
    found = read_joints(tmp_path / 'a.json')
    assert found.keypoints.shape == (5, 4, 3) and found.joints is None
    assert np.flatnonzero(np.isfinite(found.keypoints).any(axis=(1, 2))).tolist() == [2]


def test_what_the_inference_tool_writes(tmp_path):
    rng = np.random.default_rng(0)
    points, scores = rng.uniform(0, 200, (7, 4, 2)).astype(np.float32), rng.uniform(0.2, 1, (7, 4))
    scores[2, 1] = 0  # nothing was found there
    header = dict(video='a.mp4', fps=12.5, size=(240, 426), skeleton=[[0, 1]])
    with (
        CsvFile(tmp_path / 'a.csv', list(NAMES)) as table,
        PoseJson(tmp_path / 'a.json', list(NAMES), header) as json_,
        NpzFile(tmp_path / 'a.npz', list(NAMES), 12.5, (240, 426)) as arrays_,
    ):
        for t in range(7):
            person = PersonResult(0, np.array([0, 0, 9, 9.0]), points[t], scores[t])
            for file in (table, json_, arrays_):
                file.write(FrameResult(t, t / 12.5, (person,)))
    points[2, 1] = np.nan
    np.testing.assert_array_equal(read_joints(tmp_path / 'a.npz').keypoints, points)
    table, json_ = read_joints(tmp_path / 'a.csv'), read_joints(tmp_path / 'a.json')
    for found in (table, json_):
        np.testing.assert_allclose(found.keypoints, points, atol=0.006)
        np.testing.assert_allclose(found.scores, scores, atol=1e-4)
        assert found.joints == NAMES and found.unread == ()
        assert found.fps == pytest.approx(12.5)
    assert json_.image_size == (240, 426)
    fewer = read_joints(tmp_path / 'a.json', min_score=0.6).keypoints
    np.testing.assert_array_equal(np.isnan(fewer[..., 0]), np.round(scores, 4) <= 0.6)


def test_rows_of_several_people(tmp_path):
    joints = np.stack([some_joints(5, 2, seed) for seed in (0, 1)])
    joints[1, 4, :3] = np.nan
    rows = [
        (t, t / 10, 'ab'[p], name, *joints[p, t, i].tolist(), 0.9)
        for t in range(5)
        for p in range(2)
        for i, name in enumerate(NAMES)
    ]
    path = write_rows(
        tmp_path / 'a.csv', ('frame', 'time', 'person', 'joint', 'x', 'y', 'score'), rows
    )
    with pytest.raises(BadSkeletonError, match=r'person must be chosen .*got a, b'):
        read_joints(path)
    with pytest.raises(BadSkeletonError, match=r'person must be one of a, b, got c'):
        read_joints(path, person='c')
    for person, expected in (('a', joints[0]), ('b', joints[1]), ('most', joints[0])):
        np.testing.assert_allclose(read_joints(path, person=person).keypoints, expected, rtol=1e-6)
    frames = [
        dict(frame=t, person=p, keypoints=[[*xy, 0.9] for xy in plain(joints[p])[t]])
        for t in range(5)
        for p in range(2)
    ]
    (tmp_path / 'a.json').write_text(json.dumps(dict(frames=frames)))
    found = read_joints(tmp_path / 'a.json', person='1')
    np.testing.assert_allclose(found.keypoints, joints[1], rtol=1e-6)


@pytest.mark.parametrize(('frames', 'fps'), [(49, 240), (2, None)])
def test_rounded_times_of_neighbours_may_be_equal(tmp_path, frames, fps):
    rows = [(t, round(t / 240, 2), 'nose', 5, 5) for t in range(frames)]
    path = write_rows(tmp_path / 'a.csv', ('frame', 'time', 'joint', 'x', 'y'), rows)
    assert read_joints(path).fps == (None if fps is None else pytest.approx(fps))


def test_openpose_files_with_gaps_and_empty_frames(tmp_path):
    numbers = np.random.default_rng(0).uniform(1, 200, (4, 25, 3)).round(3)
    numbers[1, 7] = 0
    for row, frame in enumerate((0, 1, 3)):
        people = [dict(person_id=[-1], pose_keypoints_2d=numbers[row].ravel().tolist())]
        (tmp_path / f'squat_{frame:012d}_keypoints.json').write_text(
            json.dumps(dict(version=1.3, people=people if frame != 1 else []))
        )
    (tmp_path / 'squat_000000000004_keypoints.json').write_text(
        json.dumps(
            dict(
                people=[
                    dict(pose_keypoints_2d=numbers[1].ravel().tolist()),
                    dict(pose_keypoints_2d=numbers[2].ravel().tolist()),
                ]
            )
        )
    )
    with pytest.raises(BadSkeletonError, match='person must be chosen'):
        read_joints(tmp_path)
    found = read_joints(tmp_path, person='0')
    expected = np.full((5, 25, 2), np.nan)
    expected[[0, 3, 4]] = numbers[[0, 2, 1], :, :2]
    expected[4, 7] = np.nan
    np.testing.assert_allclose(found.keypoints, expected, rtol=1e-6)
    # The documentation of OpenPose: 4 is the right wrist, 8 the middle of the hips, 19 a toe.
    assert [found.joints[i] for i in (0, 4, 8, 19, 24)] == [
        'nose',
        'right_wrist',
        'pelvis',
        'left_foot_index',
        'right_heel',
    ]


LONG = 'frame,joint,x,y\n'
BAD_TABLES = [
    (LONG + '0,nose,1,2\n1,nose,3,abc\n', r"line 3: y must be a number.*got 'abc'"),
    (LONG + '0,nose,1,inf\n', "line 2: joint 'nose' must be finite"),
    (LONG + '0,nose,1,2\n0,nose,1,2\n', "line 3: joint 'nose' of frame 0 must be given once"),
    (LONG + '0.5,nose,1,2\n', "line 2: frame must be a whole number, got '0.5'"),
    (LONG + '-1,nose,1,2\n', 'line 2: frame must be 0 or more, got -1'),
    (LONG + '0,nose,1\n', 'line 2: the row must be 4 fields.*got 3'),
    (LONG + '0,,1,2\n', 'line 2: joint must be the name of a joint, got nothing'),
    (LONG + '0,nose,1,2\n99999999,nose,1,2\n', 'frame must be the number of a frame'),
    (LONG + '0,nose,,2\n', 'no joint has all its coordinates'),
    (LONG, 'no joints in it'),
    ('', 'line 1: columns must be with frame'),
    ('frame,joint,x\n', 'line 1: columns must be with y'),
    ('joint,x,y\n', 'line 1: columns must be with frame, got joint, x, y'),
    ('frame,nose_x,nose_z\n', 'line 1: columns must be with nose_y'),
    ('frame,nose_x,nose_y,nose_z,left_hip_x,left_hip_y\n', 'with left_hip_z'),
    ('frame,a,b\n', 'columns must be <joint>_x and <joint>_y'),
    ('frame,joint,x,y,x\n', 'columns must be named once, got x'),
    (
        'frame,time,joint,x,y\n0,1,nose,1,2\n1,0.5,nose,1,2\n',
        'frame 1: time must be at least the 1 s of frame 0, got 0.5 s',
    ),
]
BAD_JSON = [
    ('[[1', 'must be JSON'),
    ('3', 'must be a list of frames, got int'),
    ('{"people": []}', "must be a list of frames.*per_frame.*got an object with 'people'"),
    ('[[[1, 2], [3]]]', r'frames\[0\]: joint 1: the joint must be .*got \[3\]'),
    ('[[[1, 2], [3, "4"]]]', r'frames\[0\]: joint 1'),
    ('[[[1, 2], [3, true]]]', r'frames\[0\]: joint 1'),
    ('[[[1, 2], [3, 4]], [[1, 2]]]', r'frames\[1\]: the frame must be a list of 2 joints.*got 1'),
    ('[[[1, 2]], [[1, 2, 3]]]', r'frames\[1\]: joint 0: joint 0 must be 2 coordinates.*got 3'),
    ('[{"nose": [1, 2], "box": 5}]', r'frames\[0\]: box: the joint must be'),
    ('[{"nose": [1, 2]}, [[1, 2]]]', 'joints must be named in every frame or in none, got nose'),
    (
        '[{"frame": 0, "keypoints": [[1, 2, 1]]}, {"frame": 0, "keypoints": [[1, 2, 1]]}]',
        r'frames\[1\]: joint 0: joint 0 of frame 0 must be given once',
    ),
    ('[{"frame": "x", "keypoints": [[1, 2, 1]]}]', "frame must be a whole number, got 'x'"),
    ('[[[1, Infinity]]]', 'must be finite'),
    ('{"joints": ["a", "b"], "frames": [[[1, 2]]]}', 'a list of 2 joints.*got 1'),
    ('{"joints": [1], "frames": [[[1, 2]]]}', r'joints must be a list of names, got \[1\]'),
    ('{"fps": "x", "frames": [[[1, 2]]]}', "fps must be a number, got 'x'"),
    ('{"fps": 0, "frames": [[[1, 2]]]}', 'fps must be above 0'),
    ('{"size": [0, 1], "frames": [[[1, 2]]]}', r'size must be \[width, height\]'),
    (
        '[{"instances": [{"keypoints": [[1, 2]], "keypoint_scores": []}]}]',
        r'instances\[0\]: keypoint_scores must be 1 numbers.*got 0',
    ),
    (
        '[{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}]',
        r'people\[0\]: pose_keypoints_2d must be .* 54 or 75 or .* numbers, got 3',
    ),
]


@pytest.mark.parametrize(
    'suffix,content,message',
    [('csv', *bad) for bad in BAD_TABLES] + [('json', *b) for b in BAD_JSON],
)
def test_a_bad_file_is_told_by_its_place(tmp_path, suffix, content, message):
    path = tmp_path / f'a.{suffix}'
    path.write_text(content)
    with pytest.raises(BadSkeletonError, match=message) as error:
        read_joints(path)
    assert str(path) in str(error.value) and '\n' not in str(error.value)


def test_other_bad_files(tmp_path):
    (tmp_path / 'a.csv').write_bytes(b'frame,joint,x,y\n\xff\xfe')
    with pytest.raises(BadSkeletonError, match='must be CSV in UTF-8'):
        read_joints(tmp_path / 'a.csv')
    np.savez(tmp_path / 'a.npz', keypoints=np.array([{}], object))
    with pytest.raises(BadSkeletonError, match='plain arrays'):
        read_joints(tmp_path / 'a.npz')
    np.savez(tmp_path / 'b.npz', keypoints=np.zeros((3, 4)))
    with pytest.raises(BadSkeletonError, match=r'got shape \(3, 4\)'):
        read_joints(tmp_path / 'b.npz')
    np.savez(tmp_path / 'c.npz', keypoints=np.zeros((3, 4, 2)), image_size=(1, 2, 3))
    with pytest.raises(BadSkeletonError, match='image_size must be numbers, got too many values'):
        read_joints(tmp_path / 'c.npz')
    for name in ('x_01.json', 'y_1.json'):
        (tmp_path / 'seq').mkdir(exist_ok=True)
        (tmp_path / 'seq' / name).write_text('[[1, 2]]')
    with pytest.raises(BadSkeletonError, match='seq/y_1.json: .* another than that of x_01.json'):
        read_joints(tmp_path / 'seq')


def test_columns_that_are_not_read_are_told(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_text('frame,nose_x,nose_y,nose_visibility,mood\n0,1,2,0.5,good\n1,3,4,0,bad\n')
    found = read_joints(path)
    assert found.unread == ('mood',)
    np.testing.assert_array_equal(found.keypoints, [[[1, 2]], [[np.nan, np.nan]]])
