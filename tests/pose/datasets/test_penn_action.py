"""Penn Action: the real labels, and every trap of the format in a small tree."""

import os
import time

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

import rpstn.pose.transforms  # noqa: F401
from rpstn.pose.datasets import BadSequenceError, PennActionDataset, UnreadableFrameError, find_data

try:
    REAL = find_data('penn_action/labels').parent
except FileNotFoundError:
    REAL = None
PIPELINE = [dict(type='LoadClip'), dict(type='PackClipInputs')]


def load(tree, **kwargs):
    return PennActionDataset(str(tree.root), **{'subset': 'all', 'clip_len': 3, **kwargs})


def sequence(data, name):
    return data.sequences[data.sequences.index(name)]


@pytest.mark.skipif(REAL is None, reason='the labels of Penn Action are not here')
def test_all_real_labels_are_read():
    start = time.perf_counter()
    data = PennActionDataset(
        str(REAL), subset='all', check_frames=False, start='fixed', bad_data='raise'
    )
    assert time.perf_counter() - start < 30
    assert len(data.sequences) == 2326 and data.sequences.lengths().sum() == 163841
    sequences = [data.sequences[i] for i in range(2326)]
    assert len({s.action for s in sequences}) == 15
    # Facts about the files, counted apart from this code.
    assert sum(s.labelled.sum() - s.occluded.sum() for s in sequences) == 1659425
    assert sum((s.labelled & (s.keypoints < 5).all(axis=2)).sum() for s in sequences) == 0
    for subset, count in (('trainval', 1258), ('test', 1068)):
        again = time.perf_counter()
        assert len(PennActionDataset(str(REAL), subset=subset, check_frames=False)) == count
        assert time.perf_counter() - again < 5, 'the cache was not used'
    held, rest = (
        PennActionDataset(str(REAL), subset=s, check_frames=False).sequences
        for s in ('val', 'train')
    )
    assert len(held) + len(rest) == 1258 and 115 <= len(held) <= 126
    assert not {held[i].name for i in range(len(held))} & {rest[i].name for i in range(len(rest))}
    # One box less than frames: the last is made of the joints. No area: so is the box.
    short = sequence(data, '1154')
    joints = short.keypoints[-1][short.labelled[-1]]
    np.testing.assert_allclose(short.boxes[-1], [*joints.min(0), *joints.max(0)], atol=1e-3)
    assert (
        sequence(data, '0623').boxes[271:518, 2:] > sequence(data, '0623').boxes[271:518, :2]
    ).all()


def test_coordinates_labels_and_occlusion(penn_tree):
    rng = np.random.default_rng(0)
    x, y = rng.uniform(12, 50, (6, 13)), rng.uniform(12, 40, (6, 13))
    visibility = np.ones((6, 13), np.uint8)
    x[0, 0], y[0, 0] = 1, 1  # a visible joint in the corner is a joint
    x[0, 1], y[0, 1] = 1, 1  # the placeholder, and how it looks in rescaled files
    x[0, 2], y[0, 2] = 0.75, 0.75
    x[0, 3], y[0, 3] = 1.5, 1.5
    x[0, 4] = 70  # hidden outside the frame
    x[0, 5] = 64.6  # seen, yet outside by its label
    x[0, 6], y[0, 6] = 64.4, 48.4  # on the last pixel
    visibility[0, [1, 2, 3, 4, 7]] = 0  # 7 lies within: labelled and occluded
    penn_tree.add('0001', x=x, y=y, visibility=visibility)
    found = sequence(load(penn_tree), '0001')
    assert found.labelled[0].tolist() == [True] + [False] * 5 + [True] * 7
    assert np.flatnonzero(found.occluded[0]).tolist() == [7]
    np.testing.assert_allclose(found.keypoints[1:], np.stack([x, y], 2)[1:] - 1, atol=1e-4)
    assert found.image_size == (64, 48)


def test_small_unsigned_integers_do_not_wrap(penn_tree):
    x = np.full((6, 13), 20, np.uint8)
    x[:, 0], x[:, 1] = 0, 200
    penn_tree.add(
        '0001',
        x=x,
        y=np.full((6, 13), 30, np.uint8),
        bbox=np.tile(np.uint8([0, 0, 60, 40]), (6, 1)),
    )
    found = sequence(load(penn_tree), '0001')
    assert found.keypoints[0, 0].tolist() == [-1, 29] and found.keypoints[0, 1, 0] == 199
    assert found.boxes[0].tolist() == [-1, -1, 59, 39]
    assert not found.labelled[0, :2].any() and found.labelled[0, 2:].all()


def test_missing_and_flat_boxes_come_from_the_joints_or_the_nearest_frame(penn_tree):
    x = np.random.default_rng(0).uniform(12, 50, (6, 13))
    y = np.random.default_rng(1).uniform(12, 40, (6, 13))
    bbox = np.tile([10.0, 10, 55, 45], (5, 1))
    bbox[0] += 1
    bbox[1] = [20, 20, 20, 20]
    x[1], y[1] = 1, 1
    bbox[3] = [9, 9, 9, 30]
    visibility = np.ones((6, 13), np.uint8)
    visibility[1] = 0
    penn_tree.add('0001', bbox=bbox, x=x, y=y, visibility=visibility)
    found = sequence(load(penn_tree, bad_data='raise'), '0001')
    np.testing.assert_allclose(found.boxes[1], found.boxes[0])
    for frame in (3, 5):
        points = found.keypoints[frame]
        np.testing.assert_allclose(found.boxes[frame], [*points.min(0), *points.max(0)], atol=1e-4)


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (
            lambda t: t.label('0002').write_bytes(t.label('0002').read_bytes()[:700]),
            r'0002\.mat: cannot be read',
        ),
        (lambda t: t.label('0002').write_bytes(b''), r'0002\.mat: cannot be read'),
        (
            lambda t: t.frame('0002', 4).unlink(),
            r'0002/000004\.jpg: the frame does not exist; 1 of 6',
        ),
        (
            lambda t: os.rename(t.root / 'frames/0002', t.root / 'elsewhere'),
            r'frames/0002: the folder of frames does not exist',
        ),
    ],
)
def test_damaged_files_are_skipped_or_refused_in_one_line(penn_tree, damage, message):
    penn_tree.add('0001')
    penn_tree.add('0002')
    damage(penn_tree)
    data = load(penn_tree)
    assert len(data) == 1 and len(data.bad_sequences) == 1
    with pytest.raises(BadSequenceError, match=message) as caught:
        load(penn_tree, bad_data='raise')
    assert '\n' not in str(caught.value) and str(caught.value) == data.bad_sequences[0]


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        (dict(x=np.full((6, 13), np.nan)), r'0002\.mat: x and y must be finite, got \[nan'),
        (dict(x=np.ones((6, 12))), r'0002\.mat: .*x must be .*\(6, 13\), got \(6, 12\)'),
        (dict(train=np.array([[3]])), r'0002\.mat: .*train must be 1 or -1, got 3'),
        (
            dict(bbox=np.zeros((6, 4)), x=np.ones((6, 13)), y=np.ones((6, 13))),
            r'0002 .*boxes must be finite with x1 < x2',
        ),
    ],
)
def test_impossible_content_names_the_file_and_the_field(penn_tree, fields, message):
    penn_tree.add('0001')
    penn_tree.add('0002', **fields)
    with pytest.raises(BadSequenceError, match=message):
        load(penn_tree, bad_data='raise')
    assert len(load(penn_tree)) == 1


def test_split_actions_and_short_sequences(penn_tree):
    penn_tree.add('0001', train=1)
    penn_tree.add('0002', train=-1)
    penn_tree.add('0003', train=1, action='bowl')
    penn_tree.add('0004', train=1, frames=2)
    assert len(load(penn_tree, subset='trainval')) == 2
    assert len(load(penn_tree, subset='test')) == 1
    assert [s.action for s in [load(penn_tree, actions=['bowl']).sequences[0]]] == ['bowl']
    with pytest.raises(ValueError, match=r"actions must be among \['bowl', 'squat'\].*'dance'"):
        load(penn_tree, actions=['dance'])
    with pytest.raises(BadSequenceError, match='0004 .* a clip needs 3 frames'):
        load(penn_tree, bad_data='raise')


def test_labels_alone_say_where_frames_were_looked_for(penn_tree, no_other_data):
    penn_tree.add('0001', write_frames=False)
    with pytest.raises(FileNotFoundError, match=r'penn_action/frames\. .*data/render_penn\.py'):
        load(penn_tree)
    assert len(load(penn_tree, check_frames=False)) == 1
    penn_tree.add('0002')
    (penn_tree.root / 'frames').rename(penn_tree.root / 'rendered')
    assert len(load(penn_tree, frames_dir='rendered')) == 1
    assert len(load(penn_tree, frames_dir=str(penn_tree.root / 'rendered'))) == 1


def test_rendered_frames_stand_in_with_one_warning(penn_tree, no_other_data, warnings_logged):
    penn_tree.add('0001')
    penn_tree.add('0002', write_frames=False)
    frames, rendered = penn_tree.root / 'frames', penn_tree.root.parent / 'penn_action_rendered'
    assert len(load(penn_tree)) == 1 and not any('NOT' in w for w in warnings_logged())
    rendered.mkdir()
    frames.rename(rendered / 'frames')
    data = PennActionDataset('penn_action', subset='all', clip_len=3)
    assert data.frames_dir == rendered / 'frames' and data.data_root == str(penn_tree.root)
    assert len(data) == 1 and '0002' in data.bad_sequences[0]
    lines = [w for w in warnings_logged() if 'NOT the photographs' in w]
    assert len(lines) == 1 and str(rendered / 'frames') in lines[0]
    assert 'not results on Penn Action' in lines[0]
    # Labels without frames need none, and say nothing.
    load(penn_tree, check_frames=False)
    assert len([w for w in warnings_logged() if 'NOT the photographs' in w]) == 1


def test_marked_frames_are_told_and_real_ones_come_first(penn_tree, no_other_data, warnings_logged):
    penn_tree.add('0001')
    (penn_tree.root.parent / 'penn_action_rendered/frames/0001').mkdir(parents=True)
    assert load(penn_tree).frames_dir == penn_tree.root / 'frames'
    assert not any('NOT the photographs' in w for w in warnings_logged())
    (penn_tree.root / 'frames/RENDERED.txt').touch()
    assert load(penn_tree).frames_dir == penn_tree.root / 'frames'
    assert len([w for w in warnings_logged() if 'NOT the photographs' in w]) == 1


def test_a_frame_that_goes_bad_later_is_named_from_the_worker(penn_tree, read_all):
    penn_tree.add('0001')
    data = load(penn_tree, pipeline=PIPELINE, test_mode=True, start='fixed')
    penn_tree.frame('0001', 5).write_bytes(b'not a jpeg')
    with pytest.raises(UnreadableFrameError, match=r'0001/000005\.jpg: frame 4'):
        read_all(DataLoader(data, num_workers=2, collate_fn=pseudo_collate))
