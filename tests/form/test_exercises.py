"""Exercises as data: what ships is whole, mistakes are named in one line, movements are told."""

import copy
import json

import numpy as np
import pytest

from rpstn.data.paths import find_data
from rpstn.data.ui_prmd import FRAMES_PER_SECOND, read_ui_prmd
from rpstn.errors import RPSTNError
from rpstn.form.angle_table import angle_of
from rpstn.form.angles import measure_angles
from rpstn.form.exercises import (
    FOLDER,
    ExerciseError,
    count,
    counting_angle,
    known_exercises,
    load_exercise,
    looks_different,
)
from rpstn.form.ranges import load_ranges

SQUAT = json.loads((FOLDER / 'squat.json').read_text())


def test_a_file_is_read_within_the_limits(tmp_path, monkeypatch):
    path = tmp_path / 'squat.json'
    path.write_text(json.dumps(SQUAT))
    monkeypatch.setenv('RPSTN_MAX_JSON_BYTES', '100')
    with pytest.raises(ExerciseError, match='RPSTN_MAX_JSON_BYTES'):
        load_exercise(path)


def test_four_exercises_ship():
    assert known_exercises() == ('lunge', 'overhead_press', 'push_up', 'squat')


@pytest.mark.parametrize('name', known_exercises())
def test_what_ships_is_whole(name):
    exercise = load_exercise(name)
    assert exercise.name == name and exercise.rules
    assert load_exercise(FOLDER / f'{name}.json') == exercise
    faults = [rule.fault for rule in exercise.rules]
    assert len(set(faults)) == len(faults)
    ranges = load_ranges(exercise.ranges)
    for rule in exercise.rules:
        assert rule.angle in exercise.angles
        if rule.good is None:
            low, middle, high = ranges.moments['good'][rule.angle][rule.moment]
            assert low < middle < high
    for cited in exercise.cited:
        assert angle_of(cited.angle).range[0] <= cited.range[0] and cited.source


@pytest.mark.parametrize(
    'place, value, message',
    [
        (('name',), 3, 'name must be text, got 3'),
        (('title',), None, 'title must be text, got null'),
        (('counting',), [], 'counting must be an object'),
        (('counting', 'rest'), 'low', 'counting.rest must be a number, got "low"'),
        (('counting', 'rest'), True, 'counting.rest must be a number, got true'),
        (('counting', 'whole'), 30, 'counting: counting needs 0 < swing <= least <= whole'),
        (('counting', 'combine'), 'sum', 'counting.combine must be one of mean, min, max'),
        (('counting', 'combine'), [], 'counting.combine must be one of mean, min, max'),
        (('counting', 'angles'), [], 'counting.angles must be a list of names'),
        (('counting', 'angles', 0), 'knee', "counting.angles.*unknown angle 'knee'"),
        (('counting', 'speed'), 1, 'counting.speed is no field'),
        (('position', 'knee'), [0, 1], "position.knee: unknown angle 'knee'"),
        (('position', 'trunk_lean'), [9, 1], r'position.trunk_lean must be a list \[lowest'),
        (('bottom', 'hip_drop'), [0, 1, 2], r'bottom.hip_drop must be a list'),
        (('angles',), 'knee_flexion', 'angles must be a list of names'),
        (('rules',), {}, 'rules must be a list of objects'),
        (('rules', 1, 'moment'), 'middle', r'rules\[1\].moment must be one of start, bottom'),
        (('rules', 1, 'says'), 'heels', r'rules\[1\].says must be text with \{value\}'),
        (('rules', 1, 'says'), '{value.x} {value}', r'rules\[1\].says must be text with \{value\}'),
        (('rules', 1, 'good'), 'wide', r'rules\[1\].good must be a list'),
        (('rules', 1, 'cause'), '', r'rules\[1\].cause is no field'),
        (('cited', 0, 'source'), '', r'cited\[0\].source must be text'),
        (('ranges',), 'nothing', "unknown ranges 'nothing'"),
        (('ranges',), '', r'rules\[0\].good must be a list .* names no ranges'),
        (('notes',), 'x', 'notes is no field; fields are'),
    ],
    ids=lambda value: '.'.join(map(str, value)) if isinstance(value, tuple) else '',
)
def test_a_wrong_field_is_named(tmp_path, place, value, message):
    content = copy.deepcopy(SQUAT)
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    path = tmp_path / 'mine.json'
    path.write_text(json.dumps(content))
    with pytest.raises(ExerciseError, match=message) as caught:
        load_exercise(path)
    assert str(path) in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize('text', ['', '[]', '{"name": 1', '\x00', '[' * 5000, 'NaN'])
def test_what_is_no_exercise_at_all(tmp_path, text):
    path = tmp_path / 'mine.json'
    path.write_text(text)
    with pytest.raises(RPSTNError, match='mine.json'):
        load_exercise(path)


@pytest.mark.parametrize('name', ['jump', '', '../squat', '.'])
def test_an_unknown_name_lists_those_known(name):
    with pytest.raises(ExerciseError, match='known are lunge, overhead_press, push_up, squat'):
        load_exercise(name)


def test_another_exercise_is_a_file(tmp_path, squatting):
    """A squat counted by the hips."""
    content = {**SQUAT, 'name': 'hip_squat', 'rules': []}
    content['counting'] = {**SQUAT['counting'], 'angles': ['hip_flexion'], 'combine': 'mean'}
    path = tmp_path / 'hip_squat.json'
    path.write_text(json.dumps(content))
    joints, times, number = squatting(1, repetitions=3)
    assert len(count(measure_angles(joints, 'blazepose33'), times, load_exercise(path))) == number


def test_outside_of_the_position_nothing_is_counted(squatting):
    joints, times, number = squatting(2, repetitions=2)
    squat = load_exercise('squat')
    lying = joints @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    angles = measure_angles(lying, 'blazepose33')
    assert np.isnan(counting_angle(angles, squat)).mean() > 0.5
    assert count(angles, times, squat) == []
    assert len(count(measure_angles(joints, 'blazepose33'), times, squat)) == number


def test_the_drop_of_the_hips_from_both_sides(squatting):
    joints, times, _ = squatting(2, repetitions=1)
    angles = measure_angles(joints, 'blazepose33')
    largest = np.max(angles['hip_drop'])
    for drop, number in ((11, 0), (13, 1)):
        scaled = {**angles, 'hip_drop': angles['hip_drop'] * drop / largest}
        assert len(count(scaled, times, load_exercise('squat'))) == number


@pytest.mark.parametrize(
    'motion, exercise, same',
    [
        ('squat', 'squat', True),
        ('push_up', 'push_up', True),
        ('walking', 'squat', False),
        ('jumping_jack', 'overhead_press', False),
        ('squat', 'push_up', False),
        ('push_up', 'squat', False),
    ],
)
def test_whether_a_movement_looks_like_the_exercise(moving, motion, exercise, same):
    for seed in range(3):
        angles, times = moving(motion, seed)
        exercise_ = load_exercise(exercise)
        word = looks_different(angles, count(angles, times, exercise_), exercise_)
        assert (word == '') == same, word
        article = 'an' if exercise[0] in 'aeiou' else 'a'
        title = exercise_.title.lower()
        assert same or word.startswith(f'does not look like {article} {title}: ')


def test_simulated_push_ups_are_counted(moving):
    for seed in range(4):
        angles, times = moving('push_up', seed)
        found = count(angles, times, load_exercise('push_up'))
        assert 2 <= len(found) <= 9 and all(r.end < n.start for r, n in zip(found, found[1:]))


@pytest.mark.parametrize('movement, word', [('m03', ''), ('m05', 'stride at the bottom is ')])
def test_lunges_by_optical_capture_are_counted_and_told_from_sit_to_stand(movement, word):
    """Ten in a row; of two people, who were not looked at when thresholds were."""
    try:
        folder = find_data(f'ui_prmd_vicon/{movement}.npz').parent
    except FileNotFoundError as error:
        pytest.skip(str(error))
    lunge, rows = load_exercise('lunge'), {}
    for one in read_ui_prmd(folder, (movement,)):
        if one.subject in ('s06', 's07'):
            rows.setdefault((one.subject, one.correct), []).append(one.joints('blazepose33'))
    for (subject, correct), parts in rows.items():
        joints = np.concatenate(parts)
        angles = measure_angles(joints, 'blazepose33')
        found = count(angles, np.arange(len(joints)) / FRAMES_PER_SECOND, lunge)
        assert not any(repetition.partial for repetition in found)
        # One recording begins in the middle of a lunge, which therefore is none.
        assert len(found) == 10 - ((movement, subject, correct) == ('m03', 's06', True))
        said = looks_different(angles, found, lunge)
        assert bool(said) == bool(word) and word in said
    assert len(rows) == 4


def test_presses_of_a_depth_camera_are_about_ten():
    """Nobody counted them; all but one performance have ten."""
    try:
        path = find_data('repetitions_nuitrack/repetitions.npz')
    except FileNotFoundError as error:
        pytest.skip(str(error))
    from rpstn.skeletons import get_skeleton

    skeleton, press = get_skeleton('blazepose33'), load_exercise('overhead_press')
    with np.load(path) as file:
        for name in [n for n in file if n.startswith('overhead') and not n.endswith('_time')]:
            joints = np.full((len(file[name]), 33, 3), np.nan)
            for number, joint in enumerate(map(str, file['joints'])):
                for side in ('Left', 'Right'):
                    if joint.startswith(side):
                        target = f'{side}_{joint.removeprefix(side)}'.lower()
                        joints[:, skeleton.index(target)] = file[name][:, number] * [
                            1e-3,
                            1e-3,
                            -1e-3,
                        ]
            found = count(measure_angles(joints, skeleton), file[f'{name}_time'] / 1000, press)
            assert 10 <= len(found) <= 11, name
