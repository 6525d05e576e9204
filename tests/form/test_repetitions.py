"""Counting: known motions, every threshold from both sides, simulated and real sets, no ghosts."""

import re
from dataclasses import replace

import numpy as np
import pytest

from rpstn.data.paths import find_data
from rpstn.errors import RPSTNError
from rpstn.form.angles import measure_angles
from rpstn.form.exercises import count, load_exercise
from rpstn.form.repetitions import Counting, find_repetitions
from rpstn.skeletons import get_skeleton

COUNTING = Counting(rest=40, least=45, whole=60, swing=25)
FPS = 30


def motion(*ways, fps=FPS):
    """(angle, times): from one level to the next in so many seconds, with least jerk."""
    (level, _), *rest = ways
    parts = [np.array([float(level)])]
    for goal, seconds in rest:
        share = np.arange(1, round(seconds * fps) + 1) / round(seconds * fps)
        parts.append(level + (goal - level) * share**3 * (10 + share * (6 * share - 15)))
        level = goal
    angle = np.concatenate(parts)
    return angle, np.arange(len(angle)) / fps


def times_of(top, bottom, number, stand=0.6):
    return [(top, 0), (top, stand)] + number * [(bottom, 1), (bottom, 0.4), (top, 1), (top, stand)]


def found(*ways, counting=COUNTING, **kwargs):
    return find_repetitions(*motion(*ways, **kwargs), counting)


def test_phases_and_tempo_of_a_known_set():
    """A squat goes down for a second, stays for 0.4, comes up in one; 0.6 s standing between."""
    repetitions = found(*times_of(5, 110, 3))
    assert len(repetitions) == 3 and not any(r.partial for r in repetitions)
    for number, r in enumerate(repetitions):
        begin = FPS * (0.6 + 3.0 * number)
        assert begin <= r.start <= begin + 5 and r.start < r.bottom < r.end
        assert begin + 30 - 4 <= r.bottom <= begin + 42 + 4
        assert begin + 72 - 5 <= r.end <= begin + 72
        assert r.down == pytest.approx(1, abs=0.25) and r.up == pytest.approx(1, abs=0.25)
        assert r.pause == pytest.approx(0.4, abs=0.35)
        frames = np.array([r.start, r.end]) / FPS
        assert r.down + r.pause + r.up == pytest.approx(np.ptp(frames))


@pytest.mark.parametrize('fps', [5, 10, 30, 60, 120])
def test_the_end_of_one_is_not_the_start_of_the_next(fps):
    """Also without any rest in between."""
    repetitions = found(*times_of(5, 110, 4, stand=0.2), fps=fps)
    assert len(repetitions) == 4
    for before, after in zip(repetitions, repetitions[1:]):
        assert before.start < before.bottom < before.end < after.start


@pytest.mark.parametrize(
    'bottom, number, partial', [(42, 0, 0), (48, 1, 1), (58, 1, 1), (62, 1, 0), (150, 1, 0)]
)
def test_depth_from_both_sides_of_least_and_whole(bottom, number, partial):
    repetitions = found((5, 0), (5, 1), (bottom, 1), (bottom, 1), (5, 1), (5, 1))
    assert (len(repetitions), sum(r.partial for r in repetitions)) == (number, partial)
    if partial:
        assert repetitions[0].reason == f'turned at {bottom} degrees (whole: 60 or more)'


@pytest.mark.parametrize('end, partial', [(38, False), (42, True)])
def test_rest_from_both_sides(end, partial):
    """Not straight at the end is a partial one; not straight at first is not in position."""
    ways = [(5, 0), (5, 1), (110, 1), (110, 0.5), (end, 1), (end, 1)]
    (repetition,) = found(*ways)
    assert repetition.partial == partial
    assert repetition.reason == (f'ended at {end} degrees (at rest: 40 or less)' if partial else '')
    backwards = [(end, 0), (end, 1), (110, 1), (110, 0.5), (5, 1), (5, 1)]
    assert len(found(*backwards)) == (0 if partial else 1)


@pytest.mark.parametrize('swing, number', [(23, 1), (27, 2)])
def test_the_hysteresis_from_both_sides(swing, number):
    """Rising from 63 by less than the swing, and falling again, divides no repetition."""
    ways = [(5, 0), (5, 1), (63, 1), (63 - swing, 0.7), (63, 0.7), (5, 1), (5, 1)]
    assert len(found(*ways)) == number


@pytest.mark.parametrize('low, number', [(58, 1), (50, 2)])
def test_a_stop_on_the_way_up_is_no_return(low, number):
    """Half of the way back is; both are above rest."""
    ways = [(5, 0), (5, 1), (110, 1), (low, 0.8), (110, 0.8), (5, 1), (5, 1)]
    assert len(found(*ways)) == number


@pytest.mark.parametrize('seconds, number', [(0.4, 0), (0.7, 1)])
def test_the_shortest_repetition_from_both_sides(seconds, number):
    counting = replace(COUNTING, min_seconds=0.8)
    ways = [(5, 0), (5, 1), (110, seconds / 2), (110, 0.1), (5, seconds / 2), (5, 1)]
    assert len(found(*ways, counting=counting)) == number


@pytest.mark.parametrize('pause, number', [(2.5, 1), (3.6, 0)])
def test_the_longest_repetition_from_both_sides(pause, number):
    counting = replace(COUNTING, max_seconds=5)
    ways = [(5, 0), (5, 1), (110, 1), (110, pause), (5, 1), (5, 1)]
    assert len(found(*ways, counting=counting)) == number


@pytest.mark.parametrize(
    'ways',
    [
        [(5, 0), (5, 3)],
        [(110, 0), (110, 1), (5, 1), (5, 1)],
        [(5, 0), (5, 1), (110, 1), (110, 1)],
        [(110, 0), (5, 1), (5, 1), (110, 1)],
        [(60, 0), (110, 1), (60, 1), (110, 1), (60, 1)],
    ],
    ids=['still', 'stands up', 'sits down', 'stands for a while', 'never at rest'],
)
def test_what_is_no_repetition(ways):
    assert found(*ways) == []


@pytest.mark.parametrize('missing, number', [(0, 2), (1, 2), (2, 1)])
def test_slow_ones_are_counted_at_one_frame_a_second(missing, number):
    """As a busy machine sees a camera; one frame may be missing, two end what goes on."""
    angle, times = motion((5, 0), (5, 3), *2 * [(110, 5), (110, 2), (5, 5), (5, 3)], fps=1)
    kept = np.r_[:9, 9 + missing : len(times)]
    repetitions = find_repetitions(angle[kept], times[kept], COUNTING)
    assert len(repetitions) == number and not any(one.partial for one in repetitions)


@pytest.mark.parametrize('gap, number', [(0.4, 3), (0.7, 2)])
def test_short_gaps_are_bridged_and_long_ones_end_what_goes_on(gap, number):
    angle, times = motion(*times_of(5, 110, 3))
    middle = 0.6 + 3 + 0.5
    angle[(times > middle) & (times < middle + gap)] = np.nan
    repetitions = find_repetitions(angle, times, COUNTING)
    assert len(repetitions) == number
    assert all(angle[r.bottom] > 100 for r in repetitions)


def test_times_may_be_uneven_and_start_anywhere():
    angle, times = motion(*times_of(5, 110, 3), fps=60)
    kept = np.sort(np.random.default_rng(0).choice(len(times), len(times) // 2, replace=False))
    repetitions = find_repetitions(angle[kept], times[kept] + 100, COUNTING)
    assert [r.partial for r in repetitions] == [False] * 3
    assert [kept[r.bottom] for r in repetitions] == pytest.approx([108, 288, 468], abs=20)


@pytest.mark.parametrize(
    'angle, times, message',
    [
        (np.zeros(3), np.arange(4), r'shape (T,), got (3,) and (4,)'),
        (np.zeros(3), [0, 1, 1], 'times must be finite and rise'),
        (np.zeros(3), [0, 1, np.nan], 'times must be finite and rise'),
    ],
)
def test_what_cannot_be_counted_is_refused(angle, times, message):
    with pytest.raises(RPSTNError, match=re.escape(message)):
        find_repetitions(angle, np.array(times), COUNTING)
    assert find_repetitions(np.zeros(0), np.zeros(0), COUNTING) == []
    assert find_repetitions(np.full(9, np.nan), np.arange(9), COUNTING) == []


@pytest.mark.parametrize(
    'change', [dict(swing=0), dict(swing=50), dict(least=61), dict(min_seconds=20)]
)
def test_thresholds_that_cannot_be_are_refused(change):
    with pytest.raises(RPSTNError, match='counting needs'):
        replace(COUNTING, **change)


@pytest.mark.parametrize('noise', [0, 0.01, 0.02, 0.03])
def test_simulated_sets_are_counted_exactly_up_to_three_centimetres_of_noise(squatting, noise):
    """Of every coordinate and frame, twice that in depth, with gaps, from any side."""
    squat = load_exercise('squat')
    for seed in range(8):
        joints, times, number = squatting(seed, noise)
        angles = measure_angles(joints, 'blazepose33')
        assert len(count(angles, times, squat)) == number, seed


@pytest.mark.parametrize('name', ['walking', 'jumping_jack', 'push_up'])
@pytest.mark.parametrize('noise', [0, 0.02])
def test_other_movements_are_no_squats(moving, name, noise):
    squat = load_exercise('squat')
    assert [len(count(*moving(name, seed, noise), squat)) for seed in range(4)] == [0] * 4


@pytest.mark.parametrize('exercise', ['squat', 'push_up', 'lunge', 'overhead_press'])
def test_standing_and_swinging_arms_are_nothing(squatting, exercise):
    joints, times, _ = squatting(0, 0.0, repetitions=1)
    still = np.repeat(joints[:1], len(times), axis=0)
    skeleton = get_skeleton('blazepose33')
    swing = np.radians(70) * np.sin(2 * np.pi * times / 1.5)
    for side in ('left', 'right'):
        shoulder = still[:, skeleton.index(f'{side}_shoulder')]
        for part, length in (('elbow', 0.3), ('wrist', 0.55)):
            hang = np.stack([0 * swing, -np.cos(swing), np.sin(swing)], -1)
            still[:, skeleton.index(f'{side}_{part}')] = shoulder + length * hang
    noise = np.random.default_rng(0).normal(0, 0.01, still.shape)
    angles = measure_angles(still + noise, skeleton)
    assert count(angles, times, load_exercise(exercise)) == []


def test_ten_squats_in_every_recording_of_a_depth_camera():
    try:
        path = find_data('repetitions_nuitrack/repetitions.npz')
    except FileNotFoundError as error:
        pytest.skip(str(error))
    skeleton, squat = get_skeleton('blazepose33'), load_exercise('squat')
    with np.load(path) as file:
        names = [name for name in file if name.startswith('squat') and not name.endswith('_time')]
        assert len(names) >= 11
        for name in names:
            # Millimetres, x right, y up, z away from the camera.
            seen = file[name] * [1e-3, 1e-3, -1e-3]
            joints = np.full((len(seen), 33, 3), np.nan)
            for number, joint in enumerate(file['joints']):
                if side := re.match('(Left|Right)(.+)', str(joint)):
                    joints[:, skeleton.index('_'.join(side.groups()).lower())] = seen[:, number]
            repetitions = count(
                measure_angles(joints, skeleton), file[f'{name}_time'] / 1000, squat
            )
            assert [r.partial for r in repetitions] == [False] * 10, name
