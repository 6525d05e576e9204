"""BlazePose as a teacher: what it sees, what of it is trusted, and the labels that come of it."""

from dataclasses import replace

import numpy as np
import pytest

from rpstn.pose.bodies import Body
from rpstn.pose.datasets import JHMDBClipDataset, TeacherClipDataset, VideoReader, find_data
from rpstn.skeletons import map_joints

from label_by_teacher import main
from teacher import SKELETON, Seen, Teacher, smoothed
from teacher_trust import JHMDB, complete, jumps, limb_indices, torso_errors, trust, trust_bodies

FRAMES, RADIUS = 5, 100.0


@pytest.fixture
def seen() -> Seen:
    """Somebody who stands still, of whom the teacher is sure."""
    joints = np.random.default_rng(0).uniform(50, 150, (1, 33, 2)).repeat(FRAMES, 0)
    return Seen(
        joints,
        apart=np.zeros((FRAMES, 33)),
        visible=np.full((FRAMES, 33), 0.9),
        inside=np.full((FRAMES, 33), 0.9),
        presence=np.ones(FRAMES),
        radii=np.full(FRAMES, RADIUS),
    )


@pytest.fixture
def poses(seen):
    """Labels that are where the teacher's joints are."""
    return map_joints(seen.joints, SKELETON, JHMDB)


def index(*names: str) -> list[int]:
    return list(map(SKELETON.index, names))


def test_what_is_certain_is_trusted(seen):
    np.testing.assert_array_equal(trust_bodies(seen), np.full((FRAMES, 33), 0.9))


@pytest.mark.parametrize('field, value', [('apart', 0.11), ('inside', 0.4), ('visible', 0.2)])
def test_one_landmark_that_is_not(seen, field, value):
    getattr(seen, field)[2, 20] = value
    scores = trust(seen)
    assert scores[2, 20] == (value if field == 'visible' else 0)
    scores[2, 20] = 0.9
    assert (scores == 0.9).all()


def test_the_face_must_agree_more_closely(seen):
    seen.apart[:] = 0.07
    assert (trust(seen)[0] > 0).tolist() == [False] * 11 + [True] * 22


def test_jumps_against_a_loop(seen):
    moving = seen.joints + np.random.default_rng(1).normal(size=seen.joints.shape)
    for t in range(FRAMES):
        before, after = moving[max(t - 1, 0)], moving[min(t + 1, FRAMES - 1)]
        expected = np.hypot(*(moving[t] - (before + after) / 2).T)
        np.testing.assert_allclose(jumps(moving)[t], expected)


def test_a_landmark_that_jumps_and_one_that_moves(seen):
    seen.joints[2, 20] += [0, 40]
    seen.joints[:, 21, 0] += 15 * np.arange(FRAMES)
    untrusted = np.argwhere(trust(seen) == 0).tolist()
    assert untrusted == [[1, 20], [2, 20], [3, 20]]


def test_a_frame_without_hips_has_no_scores(seen):
    seen.visible[1, index('left_hip', 'right_hip')] = 0.1
    seen.visible[2, index('left_hip')] = 0.1
    assert not trust_bodies(seen)[1].any() and trust_bodies(seen)[2].any()
    assert trust(seen)[1].any()


def test_labels_are_kept_and_completed(seen, poses):
    labelled = np.ones((FRAMES, 15), bool)
    labelled[0, JHMDB.index('left_knee')] = False
    shifted = poses + 3.0
    keypoints, scores = complete(replace(seen, visible=seen.visible / 2), shifted, labelled)
    ours, theirs = limb_indices()
    np.testing.assert_array_equal(keypoints[:, ours], shifted[:, theirs])
    np.testing.assert_array_equal(scores[:, ours], labelled[:, theirs])
    rest = np.setdiff1d(np.arange(33), ours)
    np.testing.assert_array_equal(keypoints[:, rest], seen.joints[:, rest])
    assert (scores[:, rest] == 0.45).all() and len(rest) == 21


def test_what_hangs_on_a_joint_far_from_its_label_is_not_trusted(seen, poses):
    labelled = np.ones((FRAMES, 15), bool)
    poses[1, JHMDB.index('left_wrist')] += 30
    poses[2, JHMDB.index('head')] += 30
    labelled[3, JHMDB.index('right_ankle')] = False
    scores = complete(seen, poses, labelled)[1]
    lost = [set(np.flatnonzero(row == 0)) for row in scores]
    assert lost[0] == lost[4] == set()
    assert lost[1] == set(index('left_pinky', 'left_index', 'left_thumb'))
    assert lost[2] == set(range(11))
    assert lost[3] == set(index('right_ankle', 'right_heel', 'right_foot_index'))


def test_swapped_sides_are_not_learned(seen, poses):
    """Arms and legs 40 pixels apart, and the teacher takes the left for the right."""
    sides = np.array(
        [{'left': -20, 'right': 20}.get(j.partition('_')[0], 0) for j in SKELETON.joints]
    )
    joints = np.stack([100 + np.tile(sides, (FRAMES, 1)), np.full((FRAMES, 33), 100.0)], -1)
    truth = map_joints(joints, SKELETON, JHMDB)
    swapped = replace(seen, joints=joints[:, SKELETON.flip_indices])
    labelled = np.ones((FRAMES, 15), bool)
    rest = np.setdiff1d(np.arange(33), limb_indices()[0])
    assert complete(replace(seen, joints=joints), truth, labelled)[1][:, rest].all()
    assert not complete(swapped, truth, labelled)[1][:, rest].any()


def test_errors_are_shares_of_the_torso(seen, poses):
    poses[:, JHMDB.index('left_shoulder')] = poses[:, JHMDB.index('right_hip')] + [30, 40]
    labelled = np.ones((FRAMES, 15), bool)
    labelled[:, JHMDB.index('left_wrist')] = False
    poses[:, JHMDB.index('right_knee')] += [6, 8]
    found = torso_errors(seen, poses, labelled)[0]
    ours = limb_indices()[0]
    assert np.isnan(found[ours.index(SKELETON.index('left_wrist'))])
    np.testing.assert_allclose(found[ours.index(SKELETON.index('right_knee'))], 0.2)
    np.testing.assert_allclose(found[ours.index(SKELETON.index('left_knee'))], 0, atol=1e-9)


def test_smoothing_fills_and_keeps(seen):
    joints = seen.joints + np.arange(FRAMES)[:, None, None]
    joints[:2] = np.nan
    filled = smoothed(joints)
    assert np.isfinite(filled).all()
    still = seen.joints.copy()
    still[3] = np.nan
    np.testing.assert_allclose(smoothed(still), seen.joints)


@pytest.fixture(scope='module')
def teacher():
    pytest.importorskip('mediapipe', reason='mediapipe is not installed')
    return Teacher()


@pytest.fixture(scope='module')
def jhmdb():
    try:
        return JHMDBClipDataset(subset='val')
    except FileNotFoundError:
        pytest.skip('JHMDB is not here')


def test_the_teacher_sees_a_labelled_body(teacher, jhmdb):
    clip = jhmdb.sequences[0]
    frames = range(4)
    images = clip.reader.read(frames)
    poses = clip.keypoints[:4].astype(float)
    middles = (poses[:, 5] + poses[:, 6]) / 2
    radii = np.linalg.norm(poses - middles[:, None], axis=-1).max(1)
    bodies = [Body(middle, radius) for middle, radius in zip(middles, radii)]
    straight = teacher.look(images, bodies)
    assert (straight.presence > 0.5).all() and (straight.radii == radii).all()
    assert np.nanmedian(torso_errors(straight, poses, clip.labelled[:4])) < 0.2
    # An image and its mirror image are seen together: it makes no difference which is which.
    width = images[0].shape[1]
    mirrored = teacher.look(
        [image[:, ::-1] for image in images],
        [Body(np.array([width - 1 - b.center[0], b.center[1]]), b.radius) for b in bodies],
    )
    back = mirrored.joints[:, SKELETON.flip_indices]
    back[..., 0] = width - 1 - back[..., 0]
    np.testing.assert_allclose(back, straight.joints, atol=0.02 * radii.min())


def test_somebody_is_followed_both_ways(teacher, jhmdb):
    clip = jhmdb.sequences[0]
    images = clip.reader.read(range(6))
    black = np.zeros_like(images[0])
    seen = teacher.look_twice([black, *images])
    error = torso_errors(
        replace(seen, joints=seen.joints[1:]), clip.keypoints[:6].astype(float), clip.labelled[:6]
    )
    assert np.nanmedian(error) < 0.2 and not trust_bodies(seen)[0].any()
    assert teacher.look_twice([black] * 2) is None


def test_labels_from_the_command_line(tmp_path, monkeypatch, capsys):
    pytest.importorskip('mediapipe', reason='mediapipe is not installed')
    try:
        find_data('jhmdb_unlabelled')
        find_data('jhmdb')
    except FileNotFoundError:
        pytest.skip('JHMDB is not here')
    run = ['label_by_teacher', 'val', 'unlabelled', '--out', str(tmp_path), '--most', '1']
    monkeypatch.setattr('sys.argv', run)
    assert main() == 0
    assert "the teacher's own PCK@0.2 by torso on the 12 limb joints" in capsys.readouterr().out
    files = sorted(tmp_path.rglob('*.npz'))
    assert [file.relative_to(tmp_path).parts[0] for file in files] == ['unlabelled', 'val']
    times = [file.stat().st_mtime_ns for file in files]
    assert main() == 0
    assert times == [file.stat().st_mtime_ns for file in files]
    assert capsys.readouterr().out.count('0 clips labelled, 1 were done already') == 2

    found = TeacherClipDataset(labels=str(tmp_path / 'unlabelled'), bad_data='raise').sequences[0]
    assert VideoReader(found.reader.path).count() == len(found)

    completed = TeacherClipDataset('jhmdb/ReCompress_Videos', str(tmp_path / 'val')).sequences[0]
    known = JHMDBClipDataset(subset='val', source='videos').sequences
    original = known[known.index(completed.name)]
    ours, theirs = limb_indices()
    labelled = original.labelled[:, theirs]
    np.testing.assert_array_equal(completed.labelled[:, ours], labelled)
    np.testing.assert_array_equal(
        completed.keypoints[:, ours][labelled], original.keypoints[:, theirs][labelled]
    )
    np.testing.assert_array_equal(completed.boxes, original.boxes)
    assert completed.labelled.sum() > labelled.sum()


def test_wrong_options_end_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', ['label_by_teacher', 'test', '--out', str(tmp_path)])
    assert main() == 1
    assert 'parts must be among train, val, unlabelled, got test' in capsys.readouterr().err
    options = ['label_by_teacher', 'unlabelled', '--videos', str(tmp_path)]
    monkeypatch.setattr('sys.argv', options)
    assert main() == 1
    assert 'no videos (.avi, .mp4, .mov, .mkv) there' in capsys.readouterr().err
    (tmp_path / 'a.avi').write_bytes(b'')
    monkeypatch.setattr('sys.argv', [*options, '--out', str(tmp_path / 'labels')])
    assert main() == 1
    assert "lies in the videos' folder" in capsys.readouterr().err


def test_videos_that_cannot_be_read(teacher, tmp_path, monkeypatch, capsys):
    (tmp_path / 'videos').mkdir()
    (tmp_path / 'videos/a.avi').write_bytes(b'nothing')
    options = ['unlabelled', '--videos', str(tmp_path / 'videos'), '--out', str(tmp_path / 'out')]
    monkeypatch.setattr('sys.argv', ['label_by_teacher', *options])
    assert main() == 1
    assert 'a.avi: not a video that can be opened' in capsys.readouterr().err
