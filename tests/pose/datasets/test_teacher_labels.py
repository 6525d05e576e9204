"""Teacher labels: the layout, the threshold, and what is refused."""

import numpy as np
import pytest

from rpstn.errors import SettingError
from rpstn.pose.datasets import BadSequenceError, TeacherClipDataset
from rpstn.skeletons import get_skeleton

JOINTS = np.array(get_skeleton('blazepose33').joints)
pytestmark = pytest.mark.usefixtures('no_other_data')


@pytest.fixture
def teacher(tmp_path, jhmdb_tree):
    """Writes a labelled video of 8 frames: ``teacher('kick/a', scores=...)``."""

    def write(name: str, **fields):
        jhmdb_tree.add(name, video=8)
        rng = np.random.default_rng(0)
        content = dict(
            video=np.array(f'{name}.avi'),
            joints=JOINTS,
            keypoints=rng.uniform(12, 40, (8, 33, 2)).astype(np.float32),
            scores=np.full((8, 33), 0.9, np.float32),
            boxes=np.tile(np.float32([10, 10, 45, 42]), (8, 1)),
            image_size=np.array([64, 48]),
        )
        content.update(fields)
        path = tmp_path / 'labels' / f'{name}.npz'
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **{key: value for key, value in content.items() if value is not None})
        return content

    return write


def load(tmp_path, **kwargs):
    return TeacherClipDataset(
        str(tmp_path / 'jhmdb/ReCompress_Videos'),
        str(tmp_path / 'labels'),
        **{'clip_len': 3, 'start': 'fixed', **kwargs},
    )


def test_labels_and_frames_come_together(teacher, tmp_path):
    scores = np.full((8, 33), 0.9, np.float32)
    scores[2, :3], scores[:, 5] = 0.4, np.nan
    written = teacher('kick/a', scores=scores)
    data = load(tmp_path)
    sequence = data.sequences[0]
    assert sequence.name == 'kick/a' and sequence.action == 'kick'
    np.testing.assert_array_equal(sequence.keypoints, written['keypoints'])
    np.testing.assert_array_equal(sequence.labelled, scores >= 0.5)
    assert not sequence.occluded.any()
    # A flat grey of 10 t in frame t.
    assert abs(int(data.read_frame('kick/a', 5).mean()) - 50) <= 2
    assert load(tmp_path, min_score=0.3).sequences[0].labelled[2, :3].all()


def test_what_lies_outside_or_nowhere_is_unlabelled(teacher, tmp_path):
    keypoints = np.full((8, 33, 2), 20, np.float32)
    keypoints[0, 0], keypoints[1, 1], keypoints[2, 2] = [64, 10], [-1, 10], np.nan
    teacher('kick/a', keypoints=keypoints)
    labelled = load(tmp_path).sequences[0].labelled
    assert not labelled[[0, 1, 2], [0, 1, 2]].any() and labelled.sum() == 8 * 33 - 3


def test_frames_with_few_joints_are_not_labelled_at_all(teacher, tmp_path):
    scores = np.full((8, 33), 0.9, np.float32)
    scores[0, 7:] = 0
    boxes = np.tile(np.float32([10, 10, 45, 42]), (8, 1))
    boxes[0] = np.nan
    teacher('kick/a', scores=scores, boxes=boxes)
    sequence = load(tmp_path).sequences[0]
    assert not sequence.labelled[0].any() and sequence.labelled[1:].all()
    np.testing.assert_array_equal(sequence.boxes[0], sequence.boxes[1])
    assert load(tmp_path, min_joints=7).sequences[0].labelled[0].sum() == 7


@pytest.mark.parametrize(
    'fields, message',
    [
        (dict(scores=np.zeros((8, 33))), '0 of 8 frames'),
        (dict(scores=None), 'no field'),
        (dict(joints=JOINTS[::-1].copy()), 'joints must be'),
        (dict(video=np.array('kick/none.avi')), 'does not exist'),
        (
            dict(keypoints=np.zeros((7, 33, 2), np.float32), scores=np.ones((7, 33))),
            'boxes must be',
        ),
    ],
)
def test_bad_labels_name_their_file(teacher, tmp_path, fields, message):
    teacher('kick/a')
    teacher('kick/b', **fields)
    data = load(tmp_path)
    assert [data.sequences[i].name for i in range(len(data.sequences))] == ['kick/a']
    assert message in data.bad_sequences[0] and 'kick/b' in data.bad_sequences[0]
    with pytest.raises(BadSequenceError):
        load(tmp_path, bad_data='raise')


def test_labels_of_another_skeleton(teacher, tmp_path):
    names = np.array(get_skeleton('jhmdb15').joints)
    teacher('kick/a', joints=names, keypoints=np.full((8, 15, 2), 20.0), scores=np.ones((8, 15)))
    data = load(tmp_path, joints='jhmdb15')
    assert data.sequences[0].labelled.all() and data.metainfo['num_keypoints'] == 15
    teacher('kick/a')
    assert load(tmp_path).metainfo['num_keypoints'] == 33
    with pytest.raises(SettingError, match="joints must be one of .*, got 'coco99'"):
        load(tmp_path, joints='coco99')


def test_a_damaged_file_and_no_file(teacher, tmp_path):
    teacher('kick/a')
    (tmp_path / 'labels/kick/c.npz').write_bytes(b'nothing')
    assert 'c.npz' in load(tmp_path).bad_sequences[0]
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='label_by_teacher'):
        TeacherClipDataset(str(tmp_path), str(tmp_path / 'empty'))
