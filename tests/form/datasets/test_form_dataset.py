"""Skeletons from archives and tables, and from MMAction2's own files, good and bad."""

import csv
import logging
import pickle

import numpy as np
import pytest
from mmaction.datasets import PoseDataset
from mmaction.registry import DATASETS
from mmengine.logging import MMLogger

from rpstn.errors import SettingError
from rpstn.form.datasets import BadSkeletonError, SkeletonFormDataset
from rpstn.form.datasets.converters.skeleton_files import Conversion, SkeletonFiles
from rpstn.pose.datasets import find_data
from rpstn.skeletons import get_skeleton

try:
    REAL = find_data('squat_mediapipe19/labels.csv').parent
except FileNotFoundError:
    REAL = None
LABELS = ('toes', 'depth', 'good')


@pytest.fixture
def warnings_logged(caplog):
    """A function that gives the warnings of MMEngine's current logger."""
    logger = MMLogger.get_instance('test_form_warnings')
    MMLogger._instance_dict.move_to_end('test_form_warnings')  # the current one is the last
    logger.addHandler(caplog.handler)
    yield lambda: [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    logger.removeHandler(caplog.handler)


class Tree:
    """Sequences s0 .. s5 in an archive and a table, to be spoilt before they are written."""

    def __init__(self, root):
        self.root = root
        rng = np.random.default_rng(0)
        self.arrays = {
            f's{i}': rng.normal(size=(10 + i, 19, 3)).astype(np.float32) for i in range(6)
        }
        self.rows = [
            dict(
                name=f's{i}',
                label=LABELS[i % 3],
                split='test' if i > 3 else 'train',
                day=f'{i // 2}',
                frames=str(10 + i),
            )
            for i in range(6)
        ]

    def write(self):
        np.savez(self.root / 'keypoints3d.npz', **self.arrays)
        with (self.root / 'labels.csv').open('w', newline='') as file:
            writer = csv.DictWriter(file, self.rows[0])
            writer.writeheader()
            writer.writerows(self.rows)

    def load(self, **kwargs):
        self.write()
        return SkeletonFormDataset(str(self.root), **kwargs)


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


@pytest.mark.parametrize('serialize_data', [False, True])
def test_items_are_in_the_format_of_mmaction(tree, serialize_data):
    tree.arrays['s1'][3, 4] = np.nan
    data = tree.load(serialize_data=serialize_data, bad_data='raise')
    assert data.metainfo == dict(
        skeleton='mediapipe19', unit='cm', axes=(1, -1, -1), classes=('depth', 'good', 'toes')
    )
    item = data[1]
    np.testing.assert_array_equal(item.pop('keypoint'), tree.arrays['s1'][None])
    assert item == dict(
        frame_dir='s1',
        label=0,
        total_frames=11,
        start_index=0,
        modality='Pose',
        split='train',
        day='0',
        sample_idx=1,
    )
    assert [data[i]['label'] for i in range(6)] == data.labels() == [2, 0, 1, 2, 0, 1]
    assert data.class_counts() == dict(depth=2, good=2, toes=2)
    assert [data.get_cat_ids(i) for i in range(3)] == [[2], [0], [1]]
    assert data.skipped == {}


@pytest.mark.parametrize('serialize_data', [False, True])
def test_transforms_may_change_what_they_get(tree, serialize_data):
    def spoil(results):
        results['keypoint'] *= 0
        results['label'] = 99
        return results

    data = tree.load(pipeline=[spoil], serialize_data=serialize_data)
    assert not data[0]['keypoint'].any()
    np.testing.assert_array_equal(data.get_data_info(0)['keypoint'][0], tree.arrays['s0'])
    assert data.get_data_info(0)['label'] == 2


def test_split_is_applied_and_classes_do_not_depend_on_it(tree):
    tree.rows[2]['label'] = tree.rows[5]['label'] = 'depth'  # no part has all of them any more
    train, test = (tree.load(split=dict(type='given', part=part)) for part in ('train', 'test'))
    assert [d['frame_dir'] for d in train] == ['s0', 's1', 's2', 's3']
    assert [d['frame_dir'] for d in test] == ['s4', 's5']
    assert train.metainfo['classes'] == test.metainfo['classes'] == ('depth', 'toes')
    nested = tree.load(
        split=[
            dict(type='given', part='train'),
            dict(type='leave_days_out', fold=1, num_folds='all', part='test'),
        ]
    )
    assert [d['frame_dir'] for d in nested] == ['s2', 's3']
    with pytest.raises(ValueError, match=r"keypoints3d.npz.*no field 'subject', it has \['day'"):
        tree.load(split=dict(type='leave_group_out', group='subject', fold=0, part='train'))


def test_pipeline_of_mmaction_runs_whatever_the_scope(tree):
    tree.write()
    data = DATASETS.build(
        dict(
            type='SkeletonFormDataset',
            data_root=str(tree.root),
            multi_class=True,
            pipeline=[
                dict(type='UniformSampleFrames', clip_len=8),
                dict(type='PoseDecode'),
                dict(type='FormatGCNInput', num_person=1),
                dict(type='PackActionInputs'),
            ],
        )
    )
    packed = data[0]
    assert packed['inputs'].shape == (1, 1, 8, 19, 3)
    assert packed['data_samples'].gt_label.tolist() == [0, 0, 1]


def test_several_labels_or_none(tree):
    tree.rows[0]['label'], tree.rows[1]['label'] = 'toes; depth', ''
    data = tree.load(multi_class=True)
    assert data.metainfo['classes'] == ('depth', 'good', 'toes') and data.num_classes == 3
    assert data[0]['label'].tolist() == [1, 0, 1] and data[1]['label'].tolist() == [0, 0, 0]
    assert data.get_cat_ids(0) == [2, 0] and data.class_counts() == dict(depth=2, good=2, toes=2)
    split = tree.load(multi_class=True, split=dict(type='random', fraction=0.5, part='train'))
    assert 0 < len(split) < 6


def test_a_failing_transform_names_the_sequence(tree):
    def fail(results):
        raise KeyError('bbox')

    with pytest.raises(RuntimeError, match=r"keypoints3d.npz, s3: KeyError: 'bbox'"):
        tree.load(pipeline=[fail])[3]


def test_every_other_column_is_a_group(tree):
    for i, row in enumerate(tree.rows):
        row.update(room=('hall', 'gym')[i % 2], width='64', height='48')
    data = tree.load(
        split=dict(type='leave_group_out', group='room', num_folds='all', fold=0, part='test')
    )
    assert [d['frame_dir'] for d in data] == ['s1', 's3', 's5']
    assert data[0]['room'] == 'gym' and 'img_shape' not in data[0]
    tree.arrays = {name: array[:, :17, :2] for name, array in tree.arrays.items()}
    assert tree.load(metainfo=dict(skeleton='coco17'))[0]['img_shape'] == (48, 64)
    for row in tree.rows:
        row['modality'] = 'RGB'
    with pytest.raises(BadSkeletonError, match=r"labels.csv: columns must be .* \['modality'\]"):
        tree.load()


def test_what_the_converters_write_is_read(tmp_path, tree):
    labels = [['depth'], ['good', 'toes'], [], ['toes'], ['depth'], ['good']]
    with SkeletonFiles(Conversion(tmp_path / 'out'), annotations=True, multi_label=True) as files:
        for (name, joints), classes in zip(tree.arrays.items(), labels):
            files.write(name, joints, classes, dict(split='train', fps=25.0))
    for kind in (dict(), dict(ann_file='annotations.pkl')):
        data = SkeletonFormDataset(
            str(tmp_path / 'out'),
            multi_class=True,
            bad_data='raise',
            metainfo=dict(classes=('depth', 'good', 'toes')),
            split=dict(type='given', part='train'),
            **kind,
        )
        assert len(data) == 6 and data[0]['fps'] == '25.0'
        for item, classes in zip(data, labels):
            np.testing.assert_array_equal(item['keypoint'][0], tree.arrays[item['frame_dir']])
            assert item['label'].tolist() == [float(c in classes) for c in data.metainfo['classes']]


def test_too_few_classes(tree):
    with pytest.raises(ValueError, match='num_classes must be at least 3, got 2'):
        tree.load(num_classes=2)


def wrong_joints(tree):
    tree.arrays['s2'] = tree.arrays['s2'][:, :17]


def flat(tree):
    tree.arrays['s2'] = tree.arrays['s2'][0]


def lost(tree):
    tree.arrays['s2'][:] = np.nan


def one_observed(tree):
    tree.arrays['s2'][1:, :, 0] = np.nan


def one_frame(tree):
    tree.arrays['s2'] = tree.arrays['s2'][:1]
    tree.rows[2]['frames'] = '1'


def no_frames(tree):
    tree.arrays['s2'] = tree.arrays['s2'][:0]
    tree.rows[2]['frames'] = '0'


def infinite(tree):
    tree.arrays['s2'][5, 7, 1] = np.inf


def whole_numbers(tree):
    tree.arrays['s2'] = np.zeros((12, 19, 3), int)


def unknown_label(tree):
    tree.rows[2]['label'] = 'Good'


def no_label(tree):
    tree.rows[2]['label'] = ''


def other_frames(tree):
    tree.rows[2]['frames'] = '13'


def not_in_archive(tree):
    del tree.arrays['s2']


def not_in_table(tree):
    del tree.rows[2]


def pickled(tree):
    tree.arrays['s2'] = np.array([Trap()], object)


class Trap:
    """Would end the tests if it were ever unpickled."""

    def __reduce__(self):
        return exec, ('raise SystemExit("a pickle was executed")',)


BAD = [
    (wrong_joints, r'keypoints3d.npz, s2: keypoint must be of 19 joints, got 17'),
    (flat, r'keypoints3d.npz, s2: the array must be \(T, V, D\), got shape \(19, 3\)'),
    (lost, r'keypoints3d.npz, s2: keypoint must be observed in at least 2 frames, got 0 of 12'),
    (one_observed, 'observed in at least 2 frames, got 1 of 12'),
    (one_frame, 's2: keypoint must be of at least 2 frames, got 1'),
    (no_frames, 's2: keypoint must be of at least 2 frames, got 0'),
    (infinite, r's2: keypoint must be finite.* inf, .* for joint 7 of frame 5'),
    (whole_numbers, 's2: keypoint must be floating point numbers, got int64'),
    (unknown_label, r"s2: label must be one of \('toes', 'depth', 'good'\).* got 'Good'"),
    (no_label, "s2: label must be one of .* got ''"),
    (other_frames, r"labels.csv, s2: frames must be the 12 of keypoints3d.npz, got '13'"),
    (not_in_archive, r"keypoints3d.npz: names must be those of .*labels.csv, got no 's2'"),
    (not_in_table, r"labels.csv: names must be those of .*keypoints3d.npz, got no 's2'"),
    (pickled, r'keypoints3d.npz, s2: the array must be readable without pickle'),
]


@pytest.mark.parametrize('spoil, message', BAD, ids=[spoil.__name__ for spoil, _ in BAD])
def test_bad_sequences_are_named_and_counted(tree, warnings_logged, spoil, message):
    spoil(tree)
    metainfo = dict(classes=LABELS)
    with pytest.raises(BadSkeletonError, match=message):
        tree.load(bad_data='raise', metainfo=metainfo)
    data = tree.load(metainfo=metainfo)
    assert [d['frame_dir'] for d in data] == ['s0', 's1', 's3', 's4', 's5']
    assert list(data.skipped) == ['s2']
    (line,) = warnings_logged()
    assert 'skipped 1 of 6 sequences' in line and data.skipped['s2'] in line
    with pytest.raises(BadSkeletonError, match=message):
        SkeletonFormDataset(str(tree.root), metainfo=metainfo, bad_data='raise')


def test_a_second_row_of_a_name_is_counted(tree):
    tree.rows += [{**tree.rows[2], 'label': 'toes'}] * 2
    data = tree.load()
    assert len(data) == 6 and data[2]['label'] == 1
    assert list(data.skipped) == ['s2', 's2 (2)']
    with pytest.raises(BadSkeletonError, match='name must be unique'):
        tree.load(bad_data='raise')


def test_nothing_usable_is_an_error(tree):
    for array in tree.arrays.values():
        array[:] = np.nan
    with pytest.raises(BadSkeletonError, match=r'skipped 6 of 6 .*none is left'):
        tree.load()
    np.savez(tree.root / 'keypoints3d.npz')
    (tree.root / 'labels.csv').write_text('name,label\n')
    with pytest.raises(BadSkeletonError, match='no sequences there'):
        SkeletonFormDataset(str(tree.root))


def test_clips_that_are_long_enough_by_choice(tree):
    one_frame(tree)
    assert len(tree.load(min_frames=1)) == 6
    assert len(tree.load(min_frames=14)) == 2
    for value in (0, 1.5):
        with pytest.raises(ValueError, match=f'min_frames must be .*, got {value}'):
            tree.load(min_frames=value)


def test_damaged_files_are_named(tree):
    tree.write()
    content = (tree.root / 'keypoints3d.npz').read_bytes()
    for bad in (b'', b'not an archive', content[: len(content) // 2]):
        (tree.root / 'keypoints3d.npz').write_bytes(bad)
        with pytest.raises(BadSkeletonError, match=r'keypoints3d.npz: must be an .npz archive'):
            SkeletonFormDataset(str(tree.root))
    np.save((tree.root / 'keypoints3d.npz').open('wb'), np.zeros(3))
    with pytest.raises(BadSkeletonError, match=r'keypoints3d.npz: must be an .npz archive'):
        SkeletonFormDataset(str(tree.root))
    for text, message in (
        ('', 'columns must include'),
        ('name,form\na,b\n', "got .*'form'"),
        (b'name,label\n\xff\xfe,x\n', 'UTF-8'),
    ):
        (tree.root / 'labels.csv').write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(BadSkeletonError, match=f'labels.csv: .*{message}'):
            SkeletonFormDataset(str(tree.root))
    (tree.root / 'labels.csv').unlink()
    with pytest.raises(FileNotFoundError, match=r'labels.csv'):
        SkeletonFormDataset(str(tree.root))
    with pytest.raises(ValueError, match=r"\.npz or a \.pkl file, got 'joints.json'"):
        SkeletonFormDataset(str(tree.root), ann_file='joints.json')
    with pytest.raises(ValueError, match="bad_data must be 'skip' or 'raise', got 'ignore'"):
        SkeletonFormDataset(str(tree.root), bad_data='ignore')
    with pytest.raises(FileNotFoundError, match='nowhere'):
        SkeletonFormDataset('nowhere')


def annotations(count=4):
    rng = np.random.default_rng(1)
    return [
        dict(
            frame_dir=f'clip{i}',
            label=i % 2,
            total_frames=5 + i,
            img_shape=(48, 64),
            original_shape=(48, 64),
            keypoint=rng.random((1, 5 + i, 17, 2)).astype('f2'),
            keypoint_score=rng.random((1, 5 + i, 17)).astype('f2'),
        )
        for i in range(count)
    ]


def dump(path, content):
    path.write_bytes(pickle.dumps(content))
    return dict(
        data_root=str(path.parent), ann_file=path.name, metainfo=dict(skeleton='coco17', unit='px')
    )


def test_annotation_files_of_mmaction_give_what_mmaction_reads(tmp_path):
    path = tmp_path / 'coco.pkl'
    config = dump(
        path,
        dict(
            split=dict(
                sub_train=['clip0', 'clip2', 'clip3'], sub_val=['clip1'], view_val=['clip3']
            ),
            annotations=annotations(),
        ),
    )
    for part in ('sub_train', 'sub_val', 'view_val'):
        ours = SkeletonFormDataset(split=dict(type='given', part=part), **config)
        theirs = PoseDataset(str(path), pipeline=[], split=part)
        assert len(ours) == len(theirs) > 0
        for mine, other in zip(ours, theirs):
            for key in ('keypoint', 'keypoint_score'):
                assert mine[key].dtype == np.float32
                np.testing.assert_array_equal(mine[key], other[key])
            for key in (
                'frame_dir',
                'label',
                'total_frames',
                'img_shape',
                'start_index',
                'modality',
            ):
                assert mine[key] == other[key]
    assert ours.metainfo['classes'] == ('0', '1')


def test_annotation_files_without_split_and_with_bad_entries(tmp_path):
    content = annotations(9)
    content[0].pop('label')
    content[1]['keypoint'] = content[1]['keypoint'][:, :, :13]
    content[2]['keypoint_score'] = content[2]['keypoint_score'][:, :2]
    content[3]['total_frames'] = 99
    content[4] = 'clip4'
    content[5]['label'] = 7
    content[6].pop('keypoint')
    config = dump(tmp_path / 'list.pkl', content)
    config['metainfo']['classes'] = ('good', 'bad')
    data = SkeletonFormDataset(**config)
    assert [d['frame_dir'] for d in data] == ['clip7', 'clip8']
    found = [
        (name, reason.split(': ', 1)[1].split(' must')[0]) for name, reason in data.skipped.items()
    ]
    assert sorted(found) == [
        ('annotation 4', 'it'),
        ('clip0', 'fields'),
        ('clip1', 'keypoint'),
        ('clip2', 'keypoint_score'),
        ('clip3', 'total_frames'),
        ('clip5', 'label'),
        ('clip6', 'fields'),
    ]
    for content in (7, dict(data_list=[])):
        with pytest.raises(BadSkeletonError, match=r"list.pkl: must be a list .*'annotations'"):
            SkeletonFormDataset(**dump(tmp_path / 'list.pkl', content))


def test_nothing_in_an_annotation_file_is_executed(tmp_path):
    content = annotations()
    content[0]['extra'] = Trap()
    with pytest.raises(ValueError, match=r'evil.pkl: .*builtins.exec'):
        SkeletonFormDataset(**dump(tmp_path / 'evil.pkl', content))


@pytest.mark.skipif(REAL is None, reason='the real squats are not here')
def test_the_real_squats():
    data = SkeletonFormDataset(str(REAL), bad_data='raise')
    assert len(data) == 1163 and len(data.metainfo['classes']) == 7
    assert data.class_counts()['olympic squat'] == 227
    lengths = [d['total_frames'] for d in data]
    assert min(lengths) == 30 and max(lengths) == 271
    train = SkeletonFormDataset(str(REAL), split=dict(type='given', part='train'))
    assert len(train) == 932
    # In centimetres, thighs are as long as people's.
    hip, knee = map(get_skeleton('mediapipe19').index, ('left_hip', 'left_knee'))
    thighs = [
        np.linalg.norm(d['keypoint'][0, :, hip] - d['keypoint'][0, :, knee], axis=-1) for d in data
    ]
    assert 25 < np.nanmedian(np.concatenate(thighs)) < 60


@pytest.mark.parametrize('classes', [(0, 1, 2), [2, 0, 1], ('0', '1', '2')])
def test_classes_may_be_numbers(tree, classes):
    names = [str(i) for i in range(3)]
    for i, row in enumerate(tree.rows):
        row['label'] = names[i % 3]
    data = tree.load(metainfo=dict(classes=classes), bad_data='raise')
    assert data.metainfo['classes'] == tuple(map(str, classes))
    assert data.labels() == [list(map(str, classes)).index(row['label']) for row in tree.rows]


@pytest.mark.parametrize(
    'classes,message',
    [
        ('deep', "classes must be a list of names, got 'deep'"),
        (3, 'classes must be a list of names, got 3'),
        ((0, '0'), r"classes must differ, got \('0', '0'\)"),
    ],
)
def test_classes_that_are_none(tree, classes, message):
    with pytest.raises(SettingError, match=message):
        tree.load(metainfo=dict(classes=classes))


def test_parts_may_be_numbers(tree):
    for i, row in enumerate(tree.rows):
        row['split'] = str(i % 2)
    data = tree.load(split=dict(type='given', part=1))
    assert len(data) == len(tree.rows) // 2


@pytest.mark.parametrize('scored', [True, False])
def test_what_mmaction_has_as_zero_is_missing(tmp_path, scored):
    """A joint at 0 with score 0, or a whole person; without scores a root may lie at 0."""
    content = annotations(3)
    for entry in content:
        entry['keypoint'][0, 1, 4] = entry['keypoint'][0, 2] = 0
        entry['keypoint_score'][0, 1, 4] = entry['keypoint_score'][0, 2] = 0
        if not scored:
            del entry['keypoint_score']
    (item, *_) = SkeletonFormDataset(**dump(tmp_path / 'a.pkl', content))
    gone = np.isnan(item['keypoint'][0]).all(axis=2)
    assert gone[2].all() and gone[1].nonzero()[0].tolist() == ([4] if scored else [])
    assert gone.sum() == 17 + scored
