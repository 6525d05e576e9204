"""SyntheticSquatDataset: what training gets when there is no file."""

import numpy as np
import pytest
from mmaction.registry import DATASETS
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rpstn.errors import SettingError
from rpstn.form.datasets.waseda import WasedaSquatDataset
from rpstn.simulation.squats.squat_dataset import SyntheticSquatDataset
from rpstn.skeletons import get_skeleton, map_joints

SMALL = dict(num_sequences=14, num_subjects=2, repetitions=(1, 1))
CLEAN = dict(noise=0, bias=0, scale=0)
PAIRS = np.triu_indices(19, 1)


def keypoints(**kwargs) -> list[np.ndarray]:
    dataset = SyntheticSquatDataset(**{**SMALL, **kwargs})
    return [dataset[i]['keypoint'][0] for i in range(len(dataset))]


def distances(joints: np.ndarray) -> np.ndarray:
    return np.linalg.norm(joints[:, PAIRS[0]] - joints[:, PAIRS[1]], axis=-1)


def test_items_are_mmactions_skeleton_format():
    dataset = DATASETS.build(dict(type='SyntheticSquatDataset', **SMALL))
    assert len(dataset) == 14 and dataset.metainfo['skeleton'] == 'cocoplus19'
    assert dataset.metainfo['classes'] == WasedaSquatDataset.METAINFO['classes']
    assert set(dataset.class_counts().values()) == {2} and not dataset.skipped
    names = set()
    for i in range(14):
        item = dataset[i]
        assert item['keypoint'].shape == (1, item['total_frames'], 19, 3)
        assert item['keypoint'].dtype == np.float32 and np.isfinite(item['keypoint']).all()
        assert item['modality'] == 'Pose' and item['start_index'] == 0
        assert item['label'] == i % 7
        assert dataset.metainfo['classes'][i % 7] in item['frame_dir'].replace('_', ' ')
        assert item['subject'] == f'train_{i // 7:03d}' and item['split'] == 'train'
        assert item['day'] == 'simulated'
        names.add(item['frame_dir'])
    assert len(names) == 14


def test_the_same_arguments_give_the_same_and_more_do_not_change_the_first():
    first, again, more = keypoints(), keypoints(), keypoints(num_sequences=21)
    for a, b, c in zip(first, again, more):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    for other in (keypoints(seed=1), keypoints(part='test')):
        assert all(len(a) != len(b) or np.abs(a - b).max() > 0.05 for a, b in zip(first, other))


def test_training_and_test_have_other_people():
    legs, limb = {}, [get_skeleton('cocoplus19').index(n) for n in ('left_hip', 'left_knee')]
    for part in ('train', 'test'):
        dataset = SyntheticSquatDataset(
            num_sequences=70, part=part, num_subjects=10, repetitions=(1, 1), sensor=CLEAN
        )
        for i in range(70):
            item = dataset[i]
            thigh = np.linalg.norm(np.subtract(*item['keypoint'][0][0, limb]))
            legs.setdefault(item['subject'], set()).add(round(float(thigh), 4))
    assert len(legs) == 20 and all(len(thighs) == 1 for thighs in legs.values())
    assert len(set.union(*legs.values())) == 20  # nobody is in both


def test_classes_can_be_those_of_another_data_set():
    classes = ('no depth', 'other', 'fine')
    mapping = {'good': 'fine', 'shallowness': 'no depth'}
    settings = dict(num_sequences=6, repetitions=(1, 1), metainfo=dict(classes=classes))
    dataset = SyntheticSquatDataset(mapping=mapping, **settings)
    assert dataset.metainfo['classes'] == classes and not dataset.skipped
    assert dataset.class_counts() == {'no depth': 3, 'other': 0, 'fine': 3}
    for wrong in ({'good': 'unheard of'}, {'excellent': 'fine'}, {}):
        with pytest.raises(SettingError, match='mapping must be from some of'):
            SyntheticSquatDataset(mapping=wrong, **settings)
    # Without one the classes asked for are all there is of them, as in any data set.
    some = SyntheticSquatDataset(num_sequences=7, metainfo=dict(classes=('good', 'shallowness')))
    assert len(some) == 2


def test_subjects_can_be_left_out():
    def subjects(part):
        dataset = SyntheticSquatDataset(
            num_sequences=42,
            num_subjects=3,
            repetitions=(1, 1),
            split=dict(type='leave_group_out', group='subject', fold=1, num_folds='all', part=part),
        )
        return [dataset[i]['subject'] for i in range(len(dataset))]

    assert set(subjects('test')) == {'train_001'} and len(subjects('test')) == 14
    assert set(subjects('train')) == {'train_000', 'train_002'} and len(subjects('train')) == 28


@pytest.mark.parametrize('name', ['mediapipe19', 'coco17', 'penn13', 'smpl24'])
def test_other_skeletons_show_the_same_people(name):
    kwargs = dict(num_sequences=7, sensor=dict(CLEAN, view='front'))
    for ours, theirs in zip(keypoints(**kwargs), keypoints(skeleton=name, **kwargs)):
        mapped = map_joints(ours, 'cocoplus19', name)
        both = np.isfinite(mapped).all((0, 2)) & np.isfinite(theirs).all((0, 2))
        # A neck is elsewhere in other skeletons, and so is a head.
        both &= [not joint.startswith(('neck', 'head')) for joint in get_skeleton(name).joints]
        assert both.sum() >= 12
        off = (mapped - theirs)[:, both]
        np.testing.assert_allclose(off, np.broadcast_to(off[:1, :1], off.shape), atol=1e-4)
        if name != 'smpl24':
            assert np.isfinite(theirs).all()


def test_every_view_shows_the_same_distances():
    views = [keypoints(sensor=dict(CLEAN, view=view)) for view in ('front', 'around', 'any')]
    for front, around, anywhere in zip(*views):
        np.testing.assert_allclose(distances(around), distances(front), atol=1e-5)
        np.testing.assert_allclose(distances(anywhere), distances(front), atol=1e-5)


def test_the_reach_of_missing_joints():
    for joints in keypoints(sensor=dict(missing=0.15)):
        assert np.isnan(joints).mean() == pytest.approx(0.15, abs=0.01)


def test_sequences_begin_standing_also_as_the_sensor_sees_them():
    shoulder, hip, knee = (
        get_skeleton('cocoplus19').index(f'right_{name}') for name in ('shoulder', 'hip', 'knee')
    )
    for joints in keypoints(num_sequences=70, num_subjects=10):
        u, v = joints[:10, shoulder] - joints[:10, hip], joints[:10, knee] - joints[:10, hip]
        cos = (u * v).sum(-1) / np.linalg.norm(u, axis=-1) / np.linalg.norm(v, axis=-1)
        assert np.degrees(np.arccos(cos)).max() > 150


def test_classes_of_unseen_people_can_be_learned():
    def features(part, number):
        dataset = SyntheticSquatDataset(number, part, repetitions=(1, 1))
        rows = [distances(dataset[i]['keypoint'][0]) for i in range(number)]
        return np.array(
            [np.r_[d.min(0), d.max(0), np.median(d, 0)] for d in rows]
        ), dataset.labels()

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    accuracy = model.fit(*features('train', 420)).score(*features('test', 140))
    assert 0.6 < accuracy < 1  # chance is 0.14; a task without any error would teach nothing


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(part='val'), "train.*test.*'val'"),
        (dict(num_sequences=0), 'num_sequences.*0'),
        (dict(num_subjects=1.5), 'num_subjects.*1.5'),
        (dict(repetitions=(3, 2)), 'most.*3.*2'),
        (dict(skeleton='coco18'), 'coco18.*cocoplus19'),
        (dict(fps=0), r'fps.*\[1, 1000\].*0'),
        (dict(sensor=dict(view='back')), 'view.*back'),
        (dict(seed=-1), 'seed.*-1'),
        (dict(metainfo=dict(skeleton='coco17')), "'skeleton'.*coco17"),
    ],
)
def test_wrong_arguments_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        SyntheticSquatDataset(**{**SMALL, **wrong})


def test_mmactions_transforms_take_the_items():
    pipeline = [
        dict(type='PreNormalize3D', align_spine=False),
        dict(type='UniformSampleFrames', clip_len=32, test_mode=True),
        dict(type='PoseDecode'),
        dict(type='FormatGCNInput', num_person=1),
        dict(type='PackActionInputs'),
    ]
    packed = SyntheticSquatDataset(**SMALL, pipeline=pipeline)[5]
    assert packed['inputs'].shape == (1, 1, 32, 19, 3)
    assert packed['data_samples'].gt_label.item() == 5
