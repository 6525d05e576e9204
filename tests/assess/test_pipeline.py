"""From real videos to assessments, and to exit statuses."""

import json
from dataclasses import replace

import numpy as np
import pytest

import rpstn
from rpstn.assess import Assessment, Assessor, remarks
from rpstn.assess.exports import write_trc
from rpstn.assess.run import NOTHING, in_one_line
from rpstn.cli.main import main
from rpstn.errors import RPSTNError, SettingError
from rpstn.form.exercises import load_exercise
from rpstn.video.frames import VideoWriter, open_frames

from .conftest import CLIP, LOOPS


def test_a_looped_squat_is_a_set_of_as_many(assessment):
    assert assessment.assessable
    assert len(assessment.repetitions) == LOOPS
    bottoms = [int(assessment.track.frames[one.bottom]) for one in assessment.repetitions]
    assert np.abs(np.diff(bottoms) - 46).max() <= 3  # the clip's frames
    assert abs(bottoms[0] - 26) <= 4  # where the hips are lowest
    assert assessment.view == 'front'
    assert not {note.kind for note in assessment.notes} & {'several_people', 'lost', 'too_short'}


def test_what_every_loop_shows_is_confirmed(assessment):
    (depth,) = [one for one in assessment.findings if one.fault == 'no_depth']
    assert depth.status == 'confirmed'  # the clip stays above parallel
    assert {evidence.repetition for evidence in depth.evidence} == set(range(1, LOOPS + 1))


def test_calm_frames_are_left_to_those_around_them(assessor, monkeypatch):
    """The same knee, at a third of the way between frames that it has."""
    source = open_frames(CLIP, fps=30)
    streaming, looked = assessor._inferencer.streaming, []
    step = streaming.step

    def counted(*args):
        looked.append(1)
        return step(*args)

    monkeypatch.setattr(streaming, 'step', counted)
    spared = assessor(source)
    assert len(looked) <= 36 and len(spared.track.frames) == 46
    looked.clear()
    monkeypatch.setattr(assessor._inferencer, 'spare', False)
    every = assessor(source)
    assert len(looked) == 46
    apart = np.linalg.norm(spared.track.keypoints - every.track.keypoints, axis=-1)
    assert np.median(apart) < 1.5 and np.quantile(apart, 0.95) < 8  # of some 280 pixels


def test_phases_follow_each_other(assessment):
    one = assessment.repetitions[1]
    rows = range(one.start, one.end + 1)
    phases = [assessment.phase(row) for row in rows]
    assert {number for number, _ in phases} == {2}
    assert list(dict.fromkeys(name for _, name in phases)) == ['down', 'turn', 'up']
    assert assessment.phase(one.bottom)[1] == 'turn'
    assert assessment.phase(0) == (0, 'rest')
    assert assessment.phase(one.end + 1) == (2, 'rest')


def test_the_room_is_a_function_too(monkeypatch):
    monkeypatch.setattr('rpstn.assess.assess', lambda video, exercise: (video, exercise))
    assert rpstn.assess('squat.mp4', exercise='squat') == ('squat.mp4', 'squat')


@pytest.mark.parametrize(
    ('options', 'says'),
    [
        (dict(height=175), 'height must be 1 to 2.5 metres, got 175'),
        (dict(tilt=90), 'tilt must be -80 to 80 degrees, got 90'),
        (dict(exercise='juggling'), "unknown exercise 'juggling'"),
        (dict(box='middle'), 'box'),
    ],
)
def test_options_are_checked_before_anything_takes_time(options, says):
    with pytest.raises(RPSTNError, match=says):
        Assessor(**options)


def test_nobody_is_nothing_to_assess_and_the_report_says_so(blank, tmp_path, capsys):
    assert (
        main(['assess', str(blank), '--out', str(tmp_path / 'out'), '--height', '175']) == NOTHING
    )
    assert 'nothing to assess: Nobody was found in any of the 2 frames' in capsys.readouterr().out
    folder = tmp_path / 'out/blank'
    assert {file.name for file in folder.iterdir()} == {'report.html', 'report.json'}
    assert 'Nothing to assess' in (folder / 'report.html').read_text()
    assert json.loads((folder / 'report.json').read_text())['notes'][0]['kind'] == 'no_person'


def test_too_short_and_without_a_repetition(assess_again, assessor, tmp_path):
    path = part_of_the_clip(tmp_path / 'short.mp4', 9)
    status, _ = assess_again(assessor, path, video=False)
    read = json.loads((tmp_path / 'out/short/report.json').read_text())
    kinds = [note['kind'] for note in read['notes']]
    assert status == NOTHING
    assert not read['assessable']
    assert kinds[:2] == ['too_short', 'no_repetition']  # what stops comes first
    assert 'data:image/jpeg' in (tmp_path / 'out/short/report.html').read_text()  # who was seen


def part_of_the_clip(path, frames, beside=lambda image: image):
    source = open_frames(CLIP)
    images = [beside(frame.image) for frame in source if frame.index < frames]
    with VideoWriter(path, source.fps, images[0].shape[1::-1]) as writer:
        for image in images:
            writer.write(image)
    return path


def test_two_people_are_told_of(assessor, tmp_path):
    path = part_of_the_clip(
        tmp_path / 'two.mp4', 4, lambda image: np.hstack([image, image[:, ::-1]])
    )
    notes = {note.kind: note.text for note in assessor(open_frames(path)).notes}
    assert 'Up to 2 people were seen' in notes['several_people']


def nobody(source):
    """An assessor, without looking."""
    about = source.path.name, load_exercise('squat'), source.fps, source.size, 1.0
    return Assessment(*about, notes=(remarks.nobody(2),))


def test_a_bad_video_does_not_keep_others_from_their_reports(assess_again, blank, tmp_path):
    with pytest.raises(RPSTNError) as error:
        assess_again(nobody, tmp_path / 'missing.mp4', blank, tmp_path / 'missing2.mp4')
    assert [line.split(':')[0] for line in str(error.value).splitlines()] == [
        str(tmp_path / 'missing.mp4'),
        str(tmp_path / 'missing2.mp4'),
    ]
    assert (tmp_path / 'out/blank/report.html').exists()


def test_two_videos_of_one_name_do_not_replace_each_other(assess_again, blank, tmp_path):
    other = tmp_path / 'other/blank.mp4'
    other.parent.mkdir()
    other.write_bytes(blank.read_bytes())
    with pytest.raises(RPSTNError, match='would be named as that of'):
        assess_again(nobody, blank, other)


def test_out_that_is_a_file_and_live_sources(assess_again, blank):
    with pytest.raises(SettingError, match='--out must be a folder'):
        assess_again(nobody, blank, out=blank)
    with pytest.raises(RPSTNError, match='--show counts in a window, and rpstn serve on a page'):
        assess_again(nobody, 'rtsp://127.0.0.1/squat')


@pytest.mark.parametrize(
    ('options', 'says'),
    [
        ([], '--out is needed'),
        (['--show', '--out', 'out'], '--show counts in a window'),
        (['--show', '--overwrite'], '--show counts in a window'),
        (['--out', 'out', '--fps', '0'], '--fps must be above 0'),
    ],
)
def test_options_of_the_command_line_fit_each_other(options, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(['assess', str(CLIP), *options]) == 1
    assert says in capsys.readouterr().err and not (tmp_path / 'out').exists()


def test_a_report_is_replaced_only_on_request(assess_again, blank, tmp_path):
    assess_again(nobody, blank)
    page = tmp_path / 'out/blank/report.html'
    stale = page.with_name('video.mp4')
    page.write_text('before')
    stale.write_text('of another one')
    with pytest.raises(RPSTNError, match=f'{page}: is there already; add --overwrite'):
        assess_again(nobody, blank)
    assert page.read_text() == 'before'
    assess_again(nobody, blank, overwrite=True)
    assert 'Nothing to assess' in page.read_text() and not stale.exists()


def test_joints_of_a_file_are_assessed_as_those_of_the_video(
    assess_again, assessor, assessment, report, tmp_path
):
    """What the report wrote for OpenSim, read back; in other axes and another unit, too."""
    joints = replace(assessment.joints, joints=100 * assessment.joints.joints * [1, -1, -1])
    turned = tmp_path / 'turned.trc'
    write_trc(replace(assessment, joints=joints), turned)
    turned.write_text(turned.read_text().replace('\tm\t', '\tcm\t', 1))
    for path, options in ((report / 'joints.trc', {}), (turned, dict(axes='x,-y,-z', unit='cm'))):
        status, (said,) = assess_again(assessor, path, **options)
        assert status == 0 and f'{LOOPS} repetitions; confirmed: repetition' in said
        folder = tmp_path / 'out' / path.stem
        names = {file.name for file in folder.iterdir()}
        assert names == {'report.html', 'report.json', 'angles.csv', 'joints.trc'}
        read = json.loads((folder / 'report.json').read_text())
        assert read['fps'] == pytest.approx(12.5, rel=0.01) and read['size'] is None
        assert 'from_a_file' in {note['kind'] for note in read['notes']}
        for plain, one in zip(read['repetitions'], assessment.repetitions):
            assert abs(plain['bottom']['frame'] - one.bottom) <= 1
        assert 'data:image/jpeg' not in (folder / 'report.html').read_text()


def test_from_the_side_no_class_is_named(assessor, assessment, tmp_path):
    joints = assessment.joints.joints[..., [2, 1, 0]] * [-1, 1, 1]  # a quarter turn
    path = tmp_path / 'turned.trc'
    write_trc(replace(assessment, joints=replace(assessment.joints, joints=joints)), path)
    found = assessor.joints(path)
    assert found.view == 'side' and len(found.repetitions) == LOOPS and found.forms is None
    assert assessment.forms is not None


def test_joints_in_the_image_are_lifted(assess_again, assessor, assessment, tmp_path):
    path, track = tmp_path / 'set.npz', assessment.track
    np.savez(
        path, joints=track.skeleton.joints, keypoints=track.keypoints, scores=track.scores, fps=12.5
    )
    status, _ = assess_again(assessor, path)
    read = json.loads((tmp_path / 'out/set/report.json').read_text())
    assert read['joints']['source'] == 'lifter_simulated' and status in (0, NOTHING)
    kinds = {note['kind'] for note in read['notes']}
    assert {'lifted', 'from_a_file'} <= kinds
    lifted = np.genfromtxt(tmp_path / 'out/set/angles.csv', delimiter=',', names=True)
    flexion = lifted['left_knee_flexion_deg']
    correlation = np.corrcoef(flexion, assessment.angles['left_knee_flexion'])[0, 1]
    assert correlation > 0.9  # it bends when the other one's does, if by less


@pytest.mark.parametrize('name', ['missing.trc', 'empty.csv', 'damaged.npz'])
def test_files_of_joints_that_are_none(assess_again, assessor, tmp_path, name):
    path = tmp_path / name
    if name != 'missing.trc':
        path.write_text('nothing')
    with pytest.raises(RPSTNError, match=name) as error:
        assess_again(assessor, path)
    assert '\n' not in str(error.value) and not (tmp_path / 'out').exists()


def test_the_command_line_takes_centimetres(blank, tmp_path, capsys):
    assert main(['assess', str(blank), '--out', str(tmp_path), '--height', '1.75']) == 1
    assert capsys.readouterr().err == '--height must be 100 to 250 cm, got 1.75\n'


@pytest.mark.slow
def test_who_leaves_the_picture_does_no_repetition(assessor, tmp_path):
    """Though they are imagined for some frames, with knees that bend."""
    source = open_frames(CLIP)
    images = [frame.image for frame in source]
    path = tmp_path / 'leaves.mp4'
    with VideoWriter(path, source.fps, source.size) as writer:
        for image in [*images[:36], *[np.full_like(images[0], 90)] * 30, *images[36:]]:
            writer.write(image)
    found = assessor(open_frames(path))
    assert [one.partial for one in found.repetitions] == [False]
    (away,) = [note for note in found.notes if note.kind == 'away']
    assert 'not seen for 2.' in away.text


def test_one_line_names_the_most_important(assessment):
    one, *others = assessment.repetitions
    cut = replace(assessment, repetitions=(replace(one, partial=True), *others), findings=())
    assert in_one_line(cut) == f'{LOOPS - 1} repetition and 1 partial, no fault seen'
    assert in_one_line(assessment).startswith(f'{LOOPS} repetitions; confirmed: repetition')
    assert in_one_line(replace(assessment, findings=())) == f'{LOOPS} repetitions, no fault seen'
