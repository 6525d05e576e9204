"""Faults: from both sides of every limit, confirmed by two, never beyond what is seen."""

from dataclasses import replace

import numpy as np
import pytest

from rpstn.form.angle_table import ANGLES, error_of, margin_of, sides_of
from rpstn.form.angles import measure_angles
from rpstn.form.exercises import count, load_exercise
from rpstn.form.findings import CONFIRMED, ONCE, UNSEEN, find_faults
from rpstn.form.ranges import PERCENT, at_moment, course, learn_ranges, load_ranges
from rpstn.form.repetitions import Repetition

SQUAT = load_exercise('squat')
RULES = {rule.fault: rule for rule in SQUAT.rules}
GOOD = load_ranges('squat').moments['good']
FRAMES = 90


def repetitions(number=3, partial=()):
    return [
        Repetition(30 * n + 2, 30 * n + 15, 30 * n + 28, n + 1 in partial, 0.4, 0.1, 0.4)
        for n in range(number)
    ]


def angles(**values):
    """All in the middle of good form but these: name -> a value, or one of each repetition."""
    found = {}
    for rule in SQUAT.rules:
        for key in (rule.angle, *sides_of(rule.angle)):
            found[key] = np.full(FRAMES, GOOD[rule.angle]['bottom'][1])
    for key, value in values.items():
        value = np.repeat(np.broadcast_to(value, 3).astype(float), 30)
        for name in (key, *(sides_of(key) if key in ANGLES else ())):
            found[name] = value
    return found


def faults(found, view='front', upright=True, reps=None, exercise=SQUAT):
    reps = repetitions() if reps is None else reps
    return {f.fault: f for f in find_faults(found, reps, exercise, view, upright)}


def limits():
    for rule in SQUAT.rules:
        low, _, high = GOOD[rule.angle][rule.moment]
        sign = 1 if rule.side == 'above' else -1
        yield rule, (high if sign > 0 else low), sign


@pytest.mark.parametrize('rule, limit, sign', list(limits()), ids=lambda x: getattr(x, 'fault', ''))
def test_every_fault_from_both_sides_of_its_limit_and_error(rule, limit, sign):
    error = margin_of(rule.angle, 'oblique')  # what is good is learned
    within, beyond = (angles(**{rule.angle: limit + sign * k * error}) for k in (0.95, 1.05))
    assert rule.fault not in faults(within, 'oblique')
    finding = faults(beyond, 'oblique')[rule.fault]
    assert finding.status == CONFIRMED and finding.cue == rule.cue
    assert [one.repetition for one in finding.evidence] == [1, 2, 3]
    # On the other side of what is good lies no fault of this name.
    low, _, high = GOOD[rule.angle][rule.moment]
    other = (low if sign > 0 else high) - sign * 10 * error
    assert rule.fault not in faults(angles(**{rule.angle: other}), 'oblique')


def test_good_form_has_no_faults():
    assert faults(angles(), 'oblique') == {}


def test_the_reason_is_in_numbers():
    finding = faults(angles(knee_offset=[0, 20, 18]))['knees_inward']
    error, good = error_of('knee_offset', 'front'), GOOD['knee_offset']['bottom']
    assert finding.reason == (
        f'repetition 2: knees 20 cm (± {error:.0f}) inside the feet at the bottom '
        f'(good: {good[0]:.0f} to {good[2]:.0f} cm); also in 3'
    )
    assert finding.evidence[0].frame == 45 and finding.evidence[0].side == 'both'
    assert finding.good == (good[0], good[2]) and finding.source


def test_once_is_not_confirmed_and_two_are():
    assert faults(angles(knee_offset=[0, 14, 0]))['knees_inward'].status == ONCE
    assert faults(angles(knee_offset=[0, 14, 14]))['knees_inward'].status == CONFIRMED


def test_partial_repetitions_are_not_judged_but_keep_their_number():
    found = faults(angles(knee_offset=14), reps=repetitions(partial=(1, 2)))['knees_inward']
    assert found.status == ONCE and found.evidence[0].repetition == 3


def test_the_worse_side_is_named():
    found = angles(left_knee_offset=14)
    finding = faults(found)['knees_inward']
    assert finding.evidence[0].side == 'left' and ', left only (good' in finding.reason


def test_what_the_camera_cannot_see_is_named_and_never_judged():
    seen = faults(angles(knee_offset=50), view='side')['knees_inward']
    assert seen.status == UNSEEN and not seen.cue and not seen.evidence
    assert seen.reason == 'not visible from here (side): film from the front, feet in the picture'
    hidden = faults(angles(heel_lift=np.nan), 'oblique')['heels_lift']
    assert hidden.status == UNSEEN and 'heel, toes were not all seen' in hidden.reason


def test_without_a_vertical_lean_is_not_judged():
    found = faults(angles(trunk_lean=89, hip_drop=5), upright=False)
    assert found['bends_forward'].status == UNSEEN and 'vertical' in found['bends_forward'].reason
    assert found['no_depth'].status == CONFIRMED  # compared with the same at rest


def test_the_most_important_confirmed_one_comes_first():
    found = find_faults(
        angles(knee_offset=[18, 0, 0], trunk_lean=89, heel_lift=[0, 9, 9]),
        repetitions(),
        SQUAT,
        'oblique',
    )
    assert [(f.fault, f.status) for f in found] == [
        ('heels_lift', CONFIRMED),
        ('bends_forward', CONFIRMED),
        ('knees_inward', ONCE),
    ]
    assert [f.priority for f in found] == [2, 4, 1]


def test_a_range_of_the_rule_itself_goes_before_what_was_learned():
    rules = (replace(RULES['no_depth'], good=(10.0, 90.0)),)
    assert faults(angles(hip_drop=20), exercise=replace(SQUAT, rules=rules)) == {}


@pytest.mark.parametrize('view', ['front', 'oblique'])
def test_simulated_faults_are_found_and_good_squats_have_none(squatting, view):
    """In true joints; the ranges are MediaPipe's of other people."""
    for seed in (1, 2, 3):
        for form, fault in (
            (dict(knee_valgus=24), 'knees_inward'),
            (dict(depth=-0.25), 'no_depth'),
        ):
            joints, times, _ = squatting(seed, repetitions=3, **form)
            measured = measure_angles(joints, 'blazepose33')
            found = find_faults(measured, count(measured, times, SQUAT), SQUAT, 'front')
            assert fault in [f.fault for f in found if f.status == CONFIRMED]
        joints, times, _ = squatting(seed, repetitions=3, depth=0.02)
        measured = measure_angles(joints, 'blazepose33')
        found = find_faults(measured, count(measured, times, SQUAT), SQUAT, view)
        judged = {f.fault for f in found if f.status != UNSEEN}
        assert judged <= {'bends_forward'}


def test_moments_and_courses():
    values = np.concatenate([np.arange(10.0), np.full(5, 20.0), 9 - np.arange(10.0)])
    repetition = Repetition(2, 12, 22, False, 0, 0, 0)
    assert at_moment(values, repetition, 'bottom') == 20
    assert at_moment(values, repetition, 'start') == 2
    assert at_moment(values, repetition, 'largest') == 20
    assert at_moment(values, repetition, 'smallest') == pytest.approx(2, abs=0.5)
    assert np.isnan(at_moment(values * np.nan, repetition, 'bottom'))
    curve = course(values, repetition)
    assert curve[[0, 10, -1]].tolist() == [2, 20, 2] and len(curve) == len(PERCENT)
    gap = values.copy()
    gap[4:7] = np.nan
    np.testing.assert_allclose(course(gap, repetition), curve)
    assert np.isnan(course(values * np.nan, repetition)).all()


def test_ranges_are_quantiles_by_class():
    keys = ('trunk_lean', 'knee_offset', 'left_knee_offset', 'right_knee_offset')
    examples = [
        (label, {key: np.full(30, float(value)) for key in keys}, repetitions(1)[0])
        for label, values in (('a', range(11)), ('b', [50]), ('c', [100]))
        for value in values
    ]
    content = learn_ranges(examples, keys[:2], ('bottom',), ('a', 'b'), 'a test')
    assert content['classes']['a']['moments']['trunk_lean']['bottom'] == [1, 5, 9]
    assert content['classes']['good']['number'] == 12 and content['classes']['c']['number'] == 1
    bands = np.array(content['classes']['a']['bands']['knee_offset'])
    assert bands.shape == (3, len(PERCENT)) and (bands == [[1], [5], [9]]).all()


def test_what_was_learned_from_real_squats_tells_them_apart():
    ranges = load_ranges('squat')
    assert ranges.good == ('olympic squat', 'powerlifting squat')
    assert ranges.number['good'] == sum(ranges.number[name] for name in ranges.good) > 400
    for label, key, sign in (
        ('no depth', 'hip_drop', -1),
        ('knees caving', 'knee_offset', 1),
        ('bending forward', 'trunk_lean', 1),
    ):
        good, faulty = (ranges.moments[name][key]['bottom'][1] for name in ('good', label))
        assert sign * (faulty - good) > margin_of(key, 'front')
    for label in ranges.number:
        for band in ranges.bands[label].values():
            assert (np.diff(band, axis=0) >= 0).all()
