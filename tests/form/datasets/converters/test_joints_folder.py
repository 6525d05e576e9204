"""Folders of joints: labels, splits, skeletons, and files that appear whole or not at all."""

import csv
import json
import os

import numpy as np
import pytest
from mmaction.datasets import PoseDataset

from rpstn.form.datasets.converters import convert_joints_folder
from rpstn.form.datasets.converters.skeleton_files import LABEL_SEPARATOR
from rpstn.form.datasets.form_dataset import SkeletonFormDataset
from rpstn.form.datasets.sequence import BadSkeletonError
from rpstn.pose.datasets import find_data
from rpstn.skeletons import SKELETONS, get_skeleton

try:
    SQUATS = find_data('squat_mediapipe19')
except FileNotFoundError:
    SQUATS = None
COCO = get_skeleton('coco17')


def write_json(path, joints, names=None, **head):
    """Joints (T, V, D) as a list, or, with names, as objects."""
    frames = [
        [[None if np.isnan(v) else float(v) for v in joint] for joint in frame] for frame in joints
    ]
    if names:
        frames = [dict(zip(names, frame)) for frame in frames]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(head, frames=frames)))
    return path


def some_joints(skeleton='coco17', frames=5, dim=3, seed=0):
    shape = frames, get_skeleton(skeleton).num_joints, dim
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def read_output(folder):
    files = sorted(os.listdir(folder))
    (archive,) = (name for name in files if name.endswith('.npz'))
    with np.load(folder / archive, allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files}
    with open(folder / 'labels.csv', newline='') as file:
        return arrays, {row['name']: row for row in csv.DictReader(file)}, files


@pytest.fixture
def tree(tmp_path):
    """Three sequences of two labels in two splits."""
    root = tmp_path / 'in'
    for seed, name in enumerate(('train/good/2', 'train/good/10', 'test/bad/file')):
        write_json(
            root / f'{name}.json',
            some_joints(frames=5 + seed, seed=seed),
            COCO.joints,
            fps=25,
            size=[64, 48],
        )
    return root


def test_labels_and_splits_come_from_the_folders(tree, tmp_path):
    conversion = convert_joints_folder(tree, tmp_path / 'out')
    arrays, rows, files = read_output(tmp_path / 'out')
    assert files == ['keypoints3d.npz', 'labels.csv']
    # Natural order, and a name that numpy.savez could not take.
    assert list(arrays) == list(rows) == ['test/bad/file', 'train/good/2', 'train/good/10']
    assert rows['train/good/10'] == dict(
        name='train/good/10',
        label='good',
        split='train',
        fps='25',
        width='64',
        height='48',
        frames='6',
    )
    for seed, name in enumerate(('train/good/2', 'train/good/10', 'test/bad/file')):
        np.testing.assert_allclose(arrays[name], some_joints(frames=5 + seed, seed=seed), rtol=1e-6)
        assert arrays[name].dtype == np.float32
    assert (conversion.sequences, conversion.frames, conversion.skeleton) == (3, 18, 'coco17')
    assert conversion.summary() == (
        f'{tmp_path / "out"}: 3 sequences, 18 frames of coco17 (0.0% of joints missing); bad 1, '
        'good 2; skipped 0'
    )


def test_the_data_set_reads_what_is_written(tree, tmp_path):
    convert_joints_folder(tree, tmp_path / 'out')
    meta = dict(skeleton='coco17', unit='m')
    for part, count in (('train', 2), ('test', 1)):
        data = SkeletonFormDataset(
            str(tmp_path / 'out'),
            metainfo=meta,
            bad_data='raise',
            split=dict(type='given', part=part),
        )
        assert len(data) == count and data.metainfo['classes'] == ('bad', 'good')
    item = data[0]
    assert item['keypoint'].shape == (1, 7, 17, 3) and item['label'] == 0
    np.testing.assert_allclose(item['keypoint'][0], some_joints(frames=7, seed=2), rtol=1e-6)


def test_files_in_two_formats_are_one_sequence(tree, tmp_path):
    (tree / 'train/good/2.csv').write_text('frame,joint,x,y\n')
    (tree / 'train/good/2.mp4').write_bytes(b'')
    conversion = convert_joints_folder(tree, tmp_path / 'out')
    assert conversion.sequences == 3
    assert '1 files beside one of the same name in another format not read' in conversion.notes
    assert '1 files of other kinds not read' in conversion.notes


def test_a_folder_of_frames_is_a_sequence(tmp_path):
    joints = some_joints('coco17', 6, 2)
    for name in ('good/a', 'bad/a'):
        for t in (0, 1, 3, 4, 5):
            frame = dict(zip(COCO.joints, joints[t].tolist()))
            path = tmp_path / f'in/{name}/{t}.json'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(frame))
    convert_joints_folder(tmp_path / 'in', tmp_path / 'out', per_frame=True)
    arrays, rows, files = read_output(tmp_path / 'out')
    assert files == ['keypoints2d.npz', 'labels.csv']
    assert {name: row['label'] for name, row in rows.items()} == {'good/a': 'good', 'bad/a': 'bad'}
    joints[2] = np.nan
    np.testing.assert_allclose(arrays['good/a'], joints, rtol=1e-6)
    with pytest.raises(BadSkeletonError, match=r'0\.json.*per_frame'):
        (tmp_path / 'in/bad/a/0.json').write_text('{"people": []}')
        convert_joints_folder(tmp_path / 'in', tmp_path / 'out2')


def test_a_table_of_labels(tree, tmp_path):
    table = tree / 'mine.csv'
    table.write_text(
        'name,label,subject,frames\n2,deep,ann,7\ntrain/good/10.json,"low, slow",bob,'
        '1\nghost,deep,ann,1\n'
    )
    conversion = convert_joints_folder(tree, tmp_path / 'out', labels=table)
    _, rows, _ = read_output(tmp_path / 'out')
    assert {n: (r['label'], r['subject'], r['split'], r['frames']) for n, r in rows.items()} == {
        'train/good/2': ('deep', 'ann', '', '5'),
        'train/good/10': ('low, slow', 'bob', '', '6'),
    }
    assert {name: kind for name, (kind, _) in conversion.skipped.items()} == {
        'ghost': 'labelled but not there',
        'test/bad/file': 'without a label',
    }
    assert 'skipped 2: 1 labelled but not there, 1 without a label' in conversion.summary()


def test_several_labels_of_a_sequence(tree, tmp_path):
    table = tmp_path / 'mine.csv'
    table.write_text(f'name,label\n2,deep{LABEL_SEPARATOR} slow\n10,\nfile,slow\n')
    convert_joints_folder(tree, tmp_path / 'out', labels=table, multi_label=True, annotations=True)
    meta = dict(skeleton='coco17', unit='m')
    for file in ('keypoints3d.npz', 'annotations.pkl'):
        data = SkeletonFormDataset(
            str(tmp_path / 'out'), file, metainfo=meta, multi_class=True, bad_data='raise'
        )
        found = {data[i]['frame_dir']: data[i]['label'].tolist() for i in range(3)}
        assert found == {'train/good/2': [1, 1], 'train/good/10': [0, 0], 'test/bad/file': [0, 1]}


@pytest.mark.parametrize(
    'content,message',
    [
        ('name\n', 'line 1: columns must be with name and label, got name'),
        ('name,label\n2,a\n2.json,b\n', "line 3: name must be there and unique, got '2'"),
        ('name,label\n2,\n', "line 2: label must be a class, got ''"),
        ('name,label\n2,a,b\n', 'line 2: the row must be as long as the header'),
        ('name,label\ntwice,a\n', "name must be a path where several.*got 'twice'"),
        ('name,label\n2,a\ntrain/good/2,b\n', "name must be unique, got 'train/good/2'"),
    ],
)
def test_a_bad_table_of_labels(tree, tmp_path, content, message):
    for label in 'ab':
        write_json(tree / label / 'twice.json', some_joints(), COCO.joints)
    (tmp_path / 'mine.csv').write_text(content)
    with pytest.raises(BadSkeletonError, match=message) as error:
        convert_joints_folder(tree, tmp_path / 'out', labels=tmp_path / 'mine.csv')
    assert 'mine.csv' in str(error.value)


def test_named_joints_come_into_the_order_of_their_skeleton(tmp_path):
    joints = some_joints()
    order = np.random.default_rng(1).permutation(17)
    names = [COCO.joints[i].upper().replace('_', ' ') for i in order]
    write_json(tmp_path / 'in/good/a.json', joints[:, order], names)
    convert_joints_folder(tmp_path / 'in', tmp_path / 'out')
    np.testing.assert_allclose(read_output(tmp_path / 'out')[0]['good/a'], joints, rtol=1e-6)


def test_part_of_a_skeleton(tmp_path):
    joints = some_joints()
    write_json(tmp_path / 'in/good/a.json', joints[:, 5:], COCO.joints[5:])
    with pytest.raises(BadSkeletonError, match='a.json: joints must be those of a known skeleton'):
        convert_joints_folder(tmp_path / 'in', tmp_path / 'out')
    conversion = convert_joints_folder(tmp_path / 'in', tmp_path / 'out', skeleton='coco17')
    joints[:, :5] = np.nan
    np.testing.assert_allclose(read_output(tmp_path / 'out')[0]['good/a'], joints, rtol=1e-6)
    assert conversion.missing == pytest.approx(5 / 17)
    assert conversion.notes == [
        'joints of coco17 that no sequence has: left_ear, left_eye, nose, right_ear, right_eye'
    ]
    with pytest.raises(BadSkeletonError, match='joints must be those of smpl24.*got left_ear$'):
        write_json(tmp_path / 'in/good/a.json', joints[:, [13, 3]], ('left_knee', 'left_ear'))
        convert_joints_folder(tmp_path / 'in', tmp_path / 'out', skeleton='smpl24')


def test_joints_without_names_need_a_skeleton(tmp_path):
    write_json(tmp_path / 'in/good/a.json', some_joints('mediapipe19'))
    with pytest.raises(BadSkeletonError, match='19 without names .as cocoplus19 and mediapipe19'):
        convert_joints_folder(tmp_path / 'in', tmp_path / 'out')
    with pytest.raises(BadSkeletonError, match='joints must be the 17 of coco17, got 19'):
        convert_joints_folder(tmp_path / 'in', tmp_path / 'out', skeleton='coco17')
    convert_joints_folder(tmp_path / 'in', tmp_path / 'out', skeleton='mediapipe19')
    np.testing.assert_allclose(
        read_output(tmp_path / 'out')[0]['good/a'], some_joints('mediapipe19'), rtol=1e-6
    )


def test_another_skeleton_and_unit(tmp_path):
    joints = some_joints()
    joints[2, COCO.index('left_hip')] = np.nan
    write_json(tmp_path / 'in/good/a.json', joints)
    conversion = convert_joints_folder(
        tmp_path / 'in', tmp_path / 'out', skeleton='coco17', target='h36m17', scale=0.01
    )
    found = read_output(tmp_path / 'out')[0]['good/a']
    target = SKELETONS['h36m17']
    hips = [COCO.index('left_hip'), COCO.index('right_hip')]
    np.testing.assert_allclose(
        found[:, target.index('pelvis')], joints[:, hips].mean(axis=1) / 100, rtol=1e-5
    )
    assert np.isnan(found[2, target.index('pelvis')]).all()
    for joint in ('right_knee', 'left_wrist'):
        np.testing.assert_allclose(
            found[:, target.index(joint)], joints[:, COCO.index(joint)] / 100, rtol=1e-5
        )
    assert conversion.skeleton == 'h36m17'
    assert any(
        note.startswith('joints without a place in h36m17: left_ear (1)')
        for note in conversion.notes
    )


def test_scores_and_sizes_in_mmactions_own_format(tmp_path):
    rng = np.random.default_rng(0)
    points, scores = rng.uniform(1, 60, (5, 17, 2)), rng.uniform(0.1, 1, (5, 17))
    scores[3, 4] = 0
    frames = [dict(frame=t, keypoints=np.c_[points[t], scores[t]].tolist()) for t in range(5)]
    for label in ('good', 'bad'):
        (tmp_path / 'in/train' / label).mkdir(parents=True)
        (tmp_path / f'in/train/{label}/{label}.json').write_text(
            json.dumps(dict(joints=COCO.joints, fps=30, size=[64, 48], frames=frames))
        )
    convert_joints_folder(tmp_path / 'in', tmp_path / 'out', annotations=True, target='penn13')
    data = PoseDataset(str(tmp_path / 'out/annotations.pkl'), [], split='train')
    ours = SkeletonFormDataset(
        str(tmp_path / 'out'),
        'annotations.pkl',
        bad_data='raise',
        metainfo=dict(skeleton='penn13', unit='px'),
    )
    assert [data[i]['label'] for i in range(2)] == [0, 1] == ours.labels()
    for item, missing in ((data[0], 0), (ours[0], np.nan)):
        assert item['img_shape'] == (48, 64) and item['total_frames'] == 5
        penn = SKELETONS['penn13']
        knees = [penn.index('left_knee'), COCO.index('left_knee')]
        np.testing.assert_allclose(item['keypoint'][0, :, knees[0]], points[:, knees[1]], rtol=1e-6)
        np.testing.assert_allclose(
            item['keypoint_score'][0, :, knees[0]], scores[:, knees[1]], rtol=1e-6
        )
        # The head is the middle of the ears, as sure as the less sure one; joint 4 is an ear.
        lower = scores[:, [COCO.index('left_ear'), COCO.index('right_ear')]].min(axis=1)
        assert lower[3] == 0
        np.testing.assert_array_equal(item['keypoint'][0, 3, 0], missing)
        np.testing.assert_allclose(item['keypoint_score'][0, :, 0], lower, rtol=1e-6)


def test_bad_files_stop_or_are_counted(tree, tmp_path):
    out = tmp_path / 'out'
    convert_joints_folder(tree, out)
    before = {name: (out / name).read_bytes() for name in os.listdir(out)}
    (tree / 'train/good/3.json').write_text('[[[1, 2, "x"]]]')
    (tree / 'train/good/flat.json').write_text(json.dumps([dict(zip(COCO.joints, [[1, 2]] * 17))]))
    write_json(tree / 'right_here.json', some_joints(), COCO.joints)
    with pytest.raises(BadSkeletonError):
        convert_joints_folder(tree, out)
    # As it was, and nothing beside it.
    assert {name: (out / name).read_bytes() for name in os.listdir(out)} == before
    conversion = convert_joints_folder(tree, out, skip_bad=True)
    assert conversion.sequences == 3
    reasons = {name: reason for name, (_, reason) in conversion.skipped.items()}
    assert reasons.keys() == {'train/good/3', 'train/good/flat', 'right_here'}
    assert 'frames[0]: joint 0' in reasons['train/good/3']
    assert 'must have 3 coordinates' in reasons['train/good/flat']
    assert 'in a folder named by its label' in reasons['right_here']
    assert 'skipped 3: 3 unreadable' in conversion.summary()
    assert list(read_output(out)[0]) == ['test/bad/file', 'train/good/2', 'train/good/10']


def test_nothing_is_written_where_nothing_can_be_read(tmp_path):
    (tmp_path / 'in/good').mkdir(parents=True)
    with pytest.raises(BadSkeletonError, match='no files'):
        convert_joints_folder(tmp_path / 'in', tmp_path / 'out')
    (tmp_path / 'in/good/a.json').write_text('{')
    with pytest.raises(BadSkeletonError, match=r'no sequence could be converted \(.*a\.json'):
        convert_joints_folder(tmp_path / 'in', tmp_path / 'out', skip_bad=True)
    assert not (tmp_path / 'out').exists() or os.listdir(tmp_path / 'out') == []


@pytest.mark.parametrize(
    'options,message',
    [
        (dict(out='in/good/out'), 'the output must not lie in the folder that is read'),
        (dict(fps=0), 'fps must be above 0'),
        (dict(scale=0), 'scale must be above 0'),
        (dict(target='coco'), "unknown skeleton 'coco'; known are"),
    ],
)
def test_options_are_checked_before_anything_is_written(tree, tmp_path, options, message):
    out = tmp_path / options.pop('out', 'out')
    with pytest.raises(ValueError, match=message):
        convert_joints_folder(tree, out, **options)
    assert not out.exists()


@pytest.mark.skipif(SQUATS is None, reason='the real squats are not here')
def test_real_squats_survive_the_way_through_csv(tmp_path):
    joints_of = get_skeleton('mediapipe19').joints
    header = ['frame', *(f'{joint}_{axis}' for joint in joints_of for axis in 'xyz')]
    with np.load(SQUATS / 'keypoints3d.npz') as archive:
        real = {name: archive[name] for name in archive.files[:3]}
    (tmp_path / 'in/squat').mkdir(parents=True)
    for name, joints in real.items():
        with open(tmp_path / f'in/squat/{name}.csv', 'w', newline='') as file:
            rows = csv.writer(file)
            rows.writerow(header)
            rows.writerows(
                [t, *map(repr, map(float, frame.ravel()))] for t, frame in enumerate(joints)
            )
    convert_joints_folder(tmp_path / 'in', tmp_path / 'out')
    for name, joints in read_output(tmp_path / 'out')[0].items():
        np.testing.assert_array_equal(joints, real[name.removeprefix('squat/')])
