"""JHMDB: the real clips, and frames, videos and masks in small trees."""

from pathlib import Path

import mmpose
import numpy as np
import pytest
import scipy.io
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from rpstn.pose.datasets import (
    JHMDB15,
    BadSequenceError,
    ImageReader,
    JHMDBClipDataset,
    VideoReader,
    find_data,
)
from rpstn.pose.datasets.holdout import hold_out
from rpstn.pose.datasets.jhmdb_splits import source_video

try:
    REAL = find_data('jhmdb')
except FileNotFoundError:
    REAL = None
needs_data = pytest.mark.skipif(REAL is None, reason='the clips of JHMDB are not here')


def load(tree, **kwargs):
    return JHMDBClipDataset(str(tree.root), **{'subset': 'trainval', 'clip_len': 3, **kwargs})


@needs_data
def test_real_clips():
    sets = {
        subset: JHMDBClipDataset(str(REAL), subset=subset, bad_data='raise')
        for subset in ('trainval', 'test', 'train', 'val')
    }
    assert (len(sets['trainval']), len(sets['test'])) == (186, 26)
    assert sum(sets[s].sequences.lengths().sum() for s in ('trainval', 'test')) == 7595
    names = {s: {data.sequences[i].name for i in range(len(data))} for s, data in sets.items()}
    assert names['train'] | names['val'] == names['trainval']
    assert not names['train'] & names['val'] and 22 <= len(names['val']) <= 28
    assert not ({source_video(n) for n in names['train']} & {source_video(n) for n in names['val']})
    outside = 0
    for data in (sets['trainval'], sets['test']):
        for i in range(len(data)):
            s = data.sequences[i]
            assert s.image_size == (320, 240) and not s.occluded.any()
            assert (s.boxes >= 0).all() and (s.boxes <= [319, 239, 319, 239]).all()
            outside += (~s.labelled).sum()
    assert outside == 3443, 'counted apart from this code'
    # The headers of these videos claim a fifth more frames than there are.
    last = sets['test'].sequences[0]
    assert sets['test'].read_frame(last.name, len(last) - 1).shape == (240, 320, 3)


def test_metainfo_is_that_of_mmpose():
    file = Path(mmpose.__file__).parent / '.mim/configs/_base_/datasets/jhmdb.py'
    if not file.exists():
        pytest.skip('this MMPose came without its configs')
    ours, theirs = (parse_pose_metainfo(m) for m in (JHMDB15, dict(from_file=str(file))))
    for key in ('keypoint_id2name', 'flip_indices', 'skeleton_links', 'upper_body_ids'):
        assert ours[key] == theirs[key], key
    np.testing.assert_array_equal(ours['sigmas'], theirs['sigmas'])
    assert (ours['dataset_keypoint_weights'] == 1).all()


def test_joints_frames_and_boxes(jhmdb_tree):
    joints = np.random.default_rng(0).uniform(12, 40, (2, 15, 8))
    joints[:, 2, 3] = [70, 20]
    joints[:, 4, 5] = [-30, 20]
    jhmdb_tree.add('run/a', images=8, joints=joints)
    mask = np.zeros((48, 64, 8), np.uint8)
    mask[10:21, 5:31, :6] = 3
    jhmdb_tree.add('run/b', video=8, mask=mask)
    data = load(jhmdb_tree)
    a, b = data.sequences[0], data.sequences[1]
    assert isinstance(a.reader, ImageReader) and isinstance(b.reader, VideoReader)
    np.testing.assert_allclose(a.keypoints, joints.transpose(2, 1, 0) - 1, atol=1e-4)
    assert np.argwhere(~a.labelled).tolist() == [[3, 2], [5, 4]]
    low, high = a.keypoints.min(1), a.keypoints.max(1)
    np.testing.assert_allclose(a.boxes, np.clip(np.hstack([low, high]), 0, [63, 47, 63, 47]))
    assert a.boxes[3, 2] == 63 and a.boxes[5, 0] == 0
    np.testing.assert_array_equal(b.boxes[:6], np.tile([5, 10, 30, 20], (6, 1)))
    joints_of_b = b.keypoints[7]
    np.testing.assert_allclose(b.boxes[7], [*joints_of_b.min(0), *joints_of_b.max(0)])
    frames = [data.read_frame('run/b', t) for t in range(8)]
    assert np.abs([np.median(f) - 10 * t for t, f in enumerate(frames)]).max() <= 3


def test_surplus_of_frames_or_joints(jhmdb_tree):
    jhmdb_tree.add('run/more_joints', frames=8, video=7)
    jhmdb_tree.add('run/more_frames', frames=8, video=10)
    jhmdb_tree.add('run/far_off', frames=20, video=12)
    data = load(jhmdb_tree)
    assert data.sequences.lengths().tolist() == [8, 7]
    assert 'far_off.avi: must have as many frames' in data.bad_sequences[0]
    assert data.bad_sequences[0].endswith('joints, 20, got 12')


def damage_joints(tree):
    path = tree.root / 'joint_positions/run/b/joint_positions.mat'
    path.write_bytes(path.read_bytes()[:300])


def write_joints(tree, joints):
    scipy.io.savemat(tree.root / 'joint_positions/run/b/joint_positions.mat', dict(pos_img=joints))


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (damage_joints, r'run/b/joint_positions\.mat: cannot be read as a \.mat file'),
        (
            lambda t: (t.root / 'joint_positions/run/b/joint_positions.mat').unlink(),
            r'run/b/joint_positions\.mat: the file does not exist',
        ),
        (
            lambda t: (t.root / 'ReCompress_Videos/run/b.avi').unlink(),
            r'run/b\.avi: the video file does not exist',
        ),
        (
            lambda t: (t.root / 'ReCompress_Videos/run/b.avi').write_bytes(b'x' * 999),
            r'run/b\.avi: not a video that can be opened',
        ),
        (
            lambda t: (t.root / 'Rename_Images/run/c/00003.png').unlink(),
            r'run/c/00003\.png: the frame does not exist',
        ),
        (
            lambda t: t.add('run/d', video=8, joints=np.full((2, 15, 8), np.nan)),
            r'run/d .*keypoints must be finite where labelled',
        ),
        (
            lambda t: t.add('run/d', video=8, joints=np.full((2, 15, 8), 20.0)),
            r'run/d .*boxes must be finite with x1 < x2',
        ),
        (lambda t: t.add('run/d', frames=2, video=2), r'run/d .*a clip needs 3 frames .*got 2'),
        (
            lambda t: t.add('run/d', video=8, joints=np.ones((2, 13, 8))),
            r'pos_img must be \(2, 15, frames\), got \(2, 13, 8\)',
        ),
        (
            lambda t: t.add('run/d', video=8, mask=np.ones((9, 9, 8))),
            r'puppet_mask\.mat: part_mask must be .*\(48, 64, 8\), got \(9, 9, 8\)',
        ),
        (
            lambda t: t.add('run/d', video=8, joints=np.full((2, 15, 8), 1e30)),
            r'run/d/joint_positions\.mat: pos_img must lie within 10,000,000 of the origin',
        ),
        (
            lambda t: write_joints(t, 'twenty'),
            r'run/b/joint_positions\.mat: pos_img must be numbers, got <U6',
        ),
        (
            lambda t: write_joints(t, np.array([[{}]], object)),
            r'run/b/joint_positions\.mat: cannot be read as a \.mat file \(pos_img as cell',
        ),
        (
            lambda t: t.add('run/d', video=8, mask=np.full((48, 64, 8), 'x')),
            r'run/d/puppet_mask\.mat: part_mask must be numbers, got <U',
        ),
    ],
)
def test_bad_clips_are_skipped_or_refused_in_one_line(jhmdb_tree, damage, message):
    jhmdb_tree.add('run/a', video=8)
    jhmdb_tree.add('run/b', video=8)
    jhmdb_tree.add('run/c', images=8)
    good = len(load(jhmdb_tree)) - 1
    damage(jhmdb_tree)
    with pytest.raises(BadSequenceError, match=message) as caught:
        load(jhmdb_tree, bad_data='raise')
    data = load(jhmdb_tree)
    assert data.bad_sequences == [str(caught.value)] and '\n' not in str(caught.value)
    assert len(data) >= good


def test_absent_and_malformed_splits(jhmdb_tree):
    jhmdb_tree.add('run/a', video=8)
    with pytest.raises(FileNotFoundError, match=r'no list of split 2; splits found there: 1'):
        load(jhmdb_tree, split=2)
    with pytest.raises(ValueError, match='split must be one of'):
        load(jhmdb_tree, split=4)
    file = jhmdb_tree.root / 'splits/run_test_split1.txt'
    file.write_text('a.avi 1\nb.avi x\n')
    with pytest.raises(ValueError, match=r"run_test_split1\.txt, line 2: must be .* got 'b.avi x'"):
        load(jhmdb_tree)
    with pytest.raises(FileNotFoundError, match="'nowhere' was not found; looked at"):
        JHMDBClipDataset('nowhere')


def test_held_out_clips_keep_source_videos_together():
    names = [
        f'{action}/Film_{i}_{action}_f_cm_np1_fr_med_{j}'
        for i in range(30)
        for action in ('run', 'sit')
        for j in range(2)
    ]
    assert {source_video(name) for name in names} == {f'Film_{i}' for i in range(30)}
    held = hold_out(names, 0.15, source_video)
    assert held == hold_out(names[::-1], 0.15, source_video) and 12 <= len(held) <= 18
    films = {source_video(name) for name in held}
    assert {n for n in names if source_video(n) in films} == held


def test_at_least_one_group_is_held_out_and_one_is_not():
    def film(name):
        return name.split('/')[0]

    few = [f'{f}/{i}' for f, count in (('a', 9), ('b', 5), ('c', 7)) for i in range(count)]
    assert hold_out(few, 0.05, film) == {f'b/{i}' for i in range(5)}
    assert hold_out(few, 0.05, film) == hold_out(few[::-1], 0.05, film)
    assert {film(n) for n in few} - {film(n) for n in hold_out(few, 0.999, film)}
    assert hold_out(['a/0', 'a/1'], 0.5, film) == set(), 'one group cannot be divided'
    assert hold_out([], 0.5, film) == set()
