"""All that ``rpstn infer`` writes is read back as it was: people, gaps, stride, numbers, names."""

import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from rpstn.engine.loading import joint_names
from rpstn.form.datasets.converters import convert_joints_folder, read_joints
from rpstn.form.datasets.sequence import BadSkeletonError
from rpstn.inference.answered_joints import ANSWERS
from rpstn.inference.pose_files import CocoJson, CsvFile, MMPoseJson, NpzFile, PoseJson
from rpstn.results import FrameResult, PersonResult
from rpstn.skeletons import get_skeleton

# Every second frame was looked at, from 10 on; person 3 comes late and is lost for a while.
SEEN = {10: (0,), 12: (0, 3), 14: (3, 0), 16: (), 18: (0,), 20: (0, 3)}
FPS, SIZE = 25.0, (1280, 720)
FILES = ('json', 'csv', 'npz', 'mmpose.json', 'coco.json')


def points_of(frame: int, person: int, joints: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([frame, person])
    points = rng.uniform(0, 300, (joints, 2)) + 400 * person
    scores = rng.uniform(0.1, 1, joints)
    scores[frame % joints] = 0  # nothing was found there
    return points, scores


def write(folder, skeleton: str, time=lambda frame: frame / FPS) -> None:
    meta = parse_pose_metainfo(ANSWERS[skeleton])
    names = joint_names(meta)
    folder.mkdir(parents=True)
    with (
        PoseJson(folder / 'a.json', names, dict(fps=FPS, size=SIZE, kpt_thr=0.399)) as plain,
        CsvFile(folder / 'a.csv', names) as table,
        NpzFile(folder / 'a.npz', names, FPS, SIZE, 0.399) as arrays,
        MMPoseJson(folder / 'a.mmpose.json', meta) as mmpose,
        CocoJson(folder / 'a.coco.json') as coco,
    ):
        for frame, people in SEEN.items():
            found = tuple(
                PersonResult(who, np.zeros(4), *points_of(frame, who, len(names))) for who in people
            )
            for file in (plain, table, arrays, mmpose, coco):
                file.write(FrameResult(frame, time(frame), found))


@pytest.mark.parametrize('person', [0, '3'])
@pytest.mark.parametrize('file', FILES)
@pytest.mark.parametrize('skeleton', ANSWERS)
def test_what_infer_writes_is_read_as_it_was(tmp_path, skeleton, file, person):
    write(tmp_path / 'in', skeleton)
    joints = get_skeleton(skeleton).joints
    expected = np.full((11, len(joints), 2), np.nan)
    for frame, people in SEEN.items():
        if int(person) in people:
            points, scores = points_of(frame, int(person), len(joints))
            expected[frame - 10] = np.where(scores[:, None] > 0, points, np.nan)
    found = read_joints(tmp_path / f'in/a.{file}', person)
    np.testing.assert_allclose(found.keypoints, expected, atol=0.0051)
    assert found.kpt_thr == (0.399 if file in ('json', 'npz') else None)
    assert found.joints == (None if file == 'coco.json' else joints)
    assert (found.unread, found.remarks) == ((), ())
    if file in ('json', 'csv', 'npz'):
        assert found.fps == pytest.approx(FPS)
    assert found.image_size == (SIZE if file in ('json', 'npz') else None)
    with pytest.raises(BadSkeletonError, match='person must be chosen .* got 0, 3'):
        read_joints(tmp_path / f'in/a.{file}')
    with pytest.raises(BadSkeletonError, match='person must be one of 0, 3, got 1'):
        read_joints(tmp_path / f'in/a.{file}', 1)


@pytest.mark.parametrize('file', ('json', 'csv', 'npz'))
def test_frames_without_a_clock(tmp_path, file):
    write(tmp_path / 'in', 'coco17', time=lambda frame: np.nan)
    found = read_joints(tmp_path / f'in/a.{file}', 0)
    assert len(found.keypoints) == 11
    assert found.fps == (None if file == 'csv' else FPS)


def test_all_files_of_a_run_are_one_sequence(tmp_path):
    write(tmp_path / 'in/deep', 'halpe26')
    conversion = convert_joints_folder(tmp_path / 'in', tmp_path / 'out', person='most')
    assert (conversion.sequences, conversion.skeleton, conversion.frames) == (1, 'halpe26', 11)
    assert '4 files beside one of the same name in another format not read' in conversion.notes
    with np.load(tmp_path / 'out/keypoints2d.npz') as archive:
        assert archive.files == ['deep/a']


@pytest.mark.parametrize(
    'change,message',
    [
        (dict(frame=None), "arrays must be with 'frame', as person and time need it"),
        (dict(frame=np.arange(8) + 0.5), 'frame must be whole numbers'),
        (dict(frame=np.arange(7)), r'frame must be of shape \(8,\), as keypoints, got \(7,\)'),
        (dict(person=np.zeros(8)), 'joint .* of frame 12 must be given once'),
        (dict(joints=np.array(['a'] * 17)), 'joints must be 17 different names'),
        (dict(scores=np.ones((8, 3))), r'scores must be of shape \(8, 17\), as keypoints'),
    ],
)
def test_rows_that_are_none(tmp_path, change, message):
    write(tmp_path / 'in', 'coco17')
    with np.load(tmp_path / 'in/a.npz') as archive:
        content = {**archive, **change}
    np.savez(tmp_path / 'b.npz', **{k: v for k, v in content.items() if v is not None})
    with pytest.raises(BadSkeletonError, match=message) as error:
        read_joints(tmp_path / 'b.npz', 0)
    assert str(tmp_path / 'b.npz') in str(error.value)
