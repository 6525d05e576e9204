"""What recordings do not show is told from known joints."""

from dataclasses import replace

import numpy as np
import pytest

from rpstn.assess import remarks
from rpstn.form.exercises import load_exercise
from rpstn.form.repetitions import Repetition
from rpstn.lift.structures import Joints3D, Track
from rpstn.skeletons import get_skeleton

SKELETON = get_skeleton('mediapipe33')
SQUAT = load_exercise('squat')


def track(frames=50, fps=25.0, at=(320.0, 240.0)):
    keypoints = np.full((frames, 33, 2), at)
    return Track(
        keypoints,
        np.ones((frames, 33)),
        np.arange(frames) / fps,
        np.arange(frames),
        SKELETON,
        (640, 480),
    )


def kinds(notes):
    return {note.kind: note for note in notes}


def test_a_good_recording_needs_no_word():
    assert remarks.on_picture(track(), 25) == []
    assert remarks.on_people([1, 1, 1], track(), [track()]) == []


@pytest.mark.parametrize(('frames', 'short'), [(25, True), (26, False)])
def test_too_short_is_under_a_second(frames, short):
    notes = kinds(remarks.on_picture(track(frames), 25))
    assert ('too_short' in notes) is short
    assert not short or notes['too_short'].stops


def test_feet_out_of_the_picture():
    cut = track()
    feet = [SKELETON.index(f'{s}_{p}') for s in ('left', 'right') for p in ('ankle', 'heel')]
    cut.keypoints[:20, feet, 1] = 500
    note = kinds(remarks.on_picture(cut, 25))['cut_off']
    assert 'the feet in 40% of the frames' in note.text
    assert not note.stops
    cut.keypoints[10:20, feet, 1] = 400
    assert 'cut_off' not in kinds(remarks.on_picture(cut, 25))  # in a fifth: seldom


def test_hidden_is_not_cut_off():
    dark = track()
    dark.scores[:, [SKELETON.index('left_knee'), SKELETON.index('right_knee')]] = 0.1
    notes = kinds(remarks.on_picture(dark, 25))
    assert 'the knees in 100% of the frames' in notes['hidden'].text
    assert 'cut_off' not in notes


def test_what_is_hidden_is_judged_by_the_models_own_threshold():
    seen = track()
    seen.scores[:, SKELETON.index('nose')] = 0.3
    assert 'hidden' not in kinds(remarks.on_picture(seen, 25))
    assert 'hidden' in kinds(remarks.on_picture(replace(seen, kpt_thr=0.399), 25))


def test_few_frames_a_second():
    assert 'few_frames' in kinds(remarks.on_picture(track(fps=8), 8))
    assert 'few_frames' not in kinds(remarks.on_picture(track(fps=12.5), 12.5))


@pytest.mark.parametrize(
    ('x', 'where'), [(100, 'on the left'), (320, 'central'), (600, 'on the right')]
)
def test_which_of_several_people_was_followed(x, where):
    note = kinds(remarks.on_people([1, 3, 2], track(at=(x, 240.0)), [track()]))['several_people']
    assert 'Up to 3 people were seen (in 2 of 3 frames' in note.text
    assert where in note.text


@pytest.mark.parametrize(('frames', 'away'), [(11, False), (12, True)])
def test_who_leaves_for_a_moment(frames, away):
    gone = track()
    gone.scores[10 : 10 + frames] = 0  # at 25 frames a second
    notes = kinds(remarks.on_people([1], gone, [gone]))
    assert ('away' in notes) is away
    assert not away or 'not seen for 0.5 s' in notes['away'].text


def test_lost_and_found_again():
    note = kinds(remarks.on_people([1], track(50), [track(50), track(20)]))['lost']
    assert '50 of 70 frames' in note.text


def joints(upright=True):
    return Joints3D(
        np.zeros((50, 33, 3)),
        np.ones((50, 33)),
        np.arange(50) / 25,
        np.arange(50),
        SKELETON,
        'fused',
        'nominal',
        upright,
    )


def angles(knee, hip):
    """Of somebody who bends both by so many degrees, there and back."""
    wave = np.sin(np.linspace(0, np.pi, 50))
    return dict(
        knee_flexion=knee * wave,
        hip_flexion=hip * wave,
        left_knee_flexion=knee * wave,
        right_knee_flexion=knee * wave,
        hip_drop=hip / 2 * wave,
        trunk_lean=hip / 4 * wave,
    )


def test_no_repetition_and_another_exercise():
    still = kinds(remarks.on_movement(angles(5, 5), [], SQUAT, 'oblique', joints()))
    assert still['no_repetition'].stops
    assert 'does not look like a squat' in still['no_repetition'].text
    unseen = kinds(remarks.on_movement(angles(5, 5), [], SQUAT, 'oblique', joints(), True))
    assert 'expected 45 or more; parts of the body cannot' in unseen['no_repetition'].text
    for lean, exercise, told in ((61, 'squat', True), (59, 'squat', False), (39, 'push_up', True)):
        body = dict(angles(5, 5), trunk_lean=np.full(50, float(lean)), elbow_flexion=np.zeros(50))
        found = remarks.on_movement(body, [], load_exercise(exercise), 'oblique', joints())
        text = kinds(found)['no_repetition'].text
        assert (f'trunk lean is about {lean}° for most of the time' in text) is told
    one = [Repetition(0, 25, 49, False, 1, 0, 1)]
    other = kinds(remarks.on_movement(angles(120, 5), one, SQUAT, 'oblique', joints()))
    assert not other['another_exercise'].stops
    assert remarks.on_movement(angles(110, 90), one, SQUAT, 'oblique', joints()) == []
    # As shallow as the demo's.
    shallow = {**angles(60, 35), 'hip_drop': angles(60, 40)['hip_drop']}
    assert remarks.on_movement(shallow, one, SQUAT, 'oblique', joints()) == []


@pytest.mark.parametrize('view', ['front', 'side'])
def test_the_view_says_what_it_does_not_show(view):
    one = [Repetition(0, 25, 49, False, 1, 0, 1)]
    notes = kinds(remarks.on_movement(angles(110, 90), one, SQUAT, view, joints(False)))
    assert set(notes) == {
        'vertical_unknown',
        'from_the_side' if view == 'side' else 'from_the_front',
    }


@pytest.mark.parametrize('source', ['blazepose', 'lifter', 'lifter_simulated'])
def test_joints_of_another_source_than_the_default_are_told_of(source):
    one = [Repetition(0, 25, 49, False, 1, 0, 1)]
    seen = replace(joints(), source=source)
    (note,) = remarks.on_movement(angles(110, 90), one, SQUAT, 'oblique', seen)
    assert note.kind == 'lifted' and ('no feet' in note.text) == source.startswith('lifter')
