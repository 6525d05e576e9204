"""Penn Action's label files as skeletons: the real ones, and their traps in a small tree."""

import logging
import time

import numpy as np
import pytest
import scipy.io

from rpstn.form.datasets import BadSkeletonError, PennSkeletonDataset
from rpstn.pose.datasets import find_data

try:
    REAL = find_data('penn_action/labels').parent
except FileNotFoundError:
    REAL = None


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


def write(root, name, frames=6, train=1, action='squat', **fields):
    """One label file as the original has it; its content."""
    rng = np.random.default_rng(int(name))
    content = dict(
        x=rng.uniform(12, 50, (frames, 13)),
        y=rng.uniform(12, 40, (frames, 13)),
        visibility=np.ones((frames, 13), np.uint8),
        bbox=np.tile([10.0, 10, 55, 45], (frames, 1)),
        train=np.array([[train]]),
        nframes=np.array([[frames]], np.uint8),
        action=action,
        pose='front',
        dimensions=np.array([[48, 64, frames]], np.uint16),
    )
    content.update(fields)
    (root / 'labels').mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(root / 'labels' / f'{name}.mat', content)
    return content


def test_joints_scores_and_groups(tmp_path):
    visibility = np.ones((6, 13), np.uint8)
    visibility[0, [1, 2, 3]] = 0
    x, y = (np.random.default_rng(0).uniform(12, 40, (6, 13)) for _ in range(2))
    x[0, 1] = y[0, 1] = 1  # not annotated
    x[0, 2] = y[0, 2] = 1.4  # not annotated, in a rescaled file
    x[0, 4] = y[0, 4] = 1  # really in the corner
    x[0, 5] = 70  # outside the frame
    write(tmp_path, '0013', x=x, y=y, visibility=visibility)
    other = write(tmp_path, '0004', train=-1, action='bowl')
    data = PennSkeletonDataset(str(tmp_path), bad_data='raise')
    bowl, squat = data[0], data[1]
    assert data.metainfo['classes'] == ('bowl', 'squat')
    assert bowl['frame_dir'] == '0004' and bowl['label'] == 0 and bowl['img_shape'] == (48, 64)
    assert (bowl['split'], bowl['source']) == ('test', '000')
    assert (squat['split'], squat['source']) == ('train', '001')
    points = np.stack([other['x'], other['y']], 2)
    np.testing.assert_allclose(bowl['keypoint'], points[None] - 1, atol=1e-4)
    assert bowl['keypoint_score'].shape == (1, 6, 13) and bowl['keypoint_score'].all()
    joints, score = squat['keypoint'][0, 0], squat['keypoint_score'][0, 0]
    assert np.flatnonzero(np.isnan(joints).any(axis=1)).tolist() == [1, 2]
    assert np.flatnonzero(score == 0).tolist() == [1, 2, 3, 5]
    np.testing.assert_allclose(joints[[3, 4, 5]], np.stack([x, y], 2)[0, [3, 4, 5]] - 1, atol=1e-4)
    kept = PennSkeletonDataset(str(tmp_path), missing_as_nan=False)[1]['keypoint']
    assert np.isfinite(kept).all() and not kept[0, 0, [1, 2]].any()


def test_splits_of_the_files_and_by_source(tmp_path):
    for i in range(40):
        write(
            tmp_path,
            f'{i:04d}',
            frames=3,
            train=1 if i < 30 else -1,
            action=('bowl', 'squat')[i % 2],
        )
    given = dict(type='given', part='train')
    assert len(PennSkeletonDataset(str(tmp_path), split=given)) == 30
    for part, count in (('train', 20), ('test', 10)):
        by_source = dict(type='leave_group_out', group='source', num_folds=3, fold=0, part=part)
        data = PennSkeletonDataset(str(tmp_path), split=[given, by_source])
        assert len(data) == count and len({d['source'] for d in data}) == count // 10


def test_bad_files_are_named_and_counted_once(tmp_path):
    for i in range(3):
        write(tmp_path, f'000{i}', train=1 - 2 * (i % 2))
    write(tmp_path, '0003', x=np.zeros((6, 12)))
    write(tmp_path, '0004', x=np.full((6, 13), np.nan), train=-1)
    write(
        tmp_path,
        '0005',
        x=np.ones((6, 13)),
        y=np.ones((6, 13)),
        visibility=np.zeros((6, 13), np.uint8),
    )
    write(tmp_path, '0006', frames=1)
    (tmp_path / 'labels' / '0007.mat').write_bytes(b'no MATLAB file')
    data = PennSkeletonDataset(str(tmp_path))
    assert [d['frame_dir'] for d in data] == ['0000', '0001', '0002']
    assert sorted(data.skipped) == ['0003', '0004', '0005', '0006', '0007']
    for name, text in (
        ('0003', 'x must be (nframes, 13) = (6, 13), got (6, 12)'),
        ('0004', 'x and y must be finite'),
        ('0005', 'observed in at least 2 frames, got 0'),
        ('0006', 'at least 2 frames, got 1'),
        ('0007', 'cannot be read'),
    ):
        assert text in data.skipped[name] and f'{name}.mat' in data.skipped[name]
    with pytest.raises(BadSkeletonError, match='.mat'):
        PennSkeletonDataset(str(tmp_path), bad_data='raise')


def test_no_labels(tmp_path):
    with pytest.raises(FileNotFoundError, match='no label files'):
        PennSkeletonDataset(str(tmp_path))


@pytest.mark.skipif(REAL is None, reason='the labels of Penn Action are not here')
def test_all_real_labels(caplog):
    PennSkeletonDataset(str(REAL), split=dict(type='given', part='test'))  # fills the cache
    start = time.perf_counter()
    data = PennSkeletonDataset(str(REAL), bad_data='raise')
    assert time.perf_counter() - start < 10, 'the cache was not used'
    assert len(data) == 2326 and len(data.metainfo['classes']) == 15
    assert [d['split'] for d in data].count('train') == 1258
    assert sum(d['total_frames'] for d in data) == 163841
    # Counted apart from this code, in test_penn_action.py.
    assert sum(d['keypoint_score'].sum(dtype=int) for d in data) == 1659425
    assert not caplog.records or max(r.levelno for r in caplog.records) < logging.WARNING
    # One file, read as plainly as can be.
    number = 1234
    raw = scipy.io.loadmat(REAL / 'labels' / f'{data[number]["frame_dir"]}.mat')
    points = np.stack([raw['x'], raw['y']], 2).astype(float)
    absent = (raw['visibility'] == 0) & (points < 2).all(axis=2)
    joints = data[number]['keypoint'][0]
    assert (np.isnan(joints).all(axis=2) == absent).all()
    np.testing.assert_allclose(joints[~absent], points[~absent] - 1, atol=1e-3)
