"""Simulated squats: the form asked for is the form that comes out, in bodies that stay whole."""

import dataclasses
import json

import numpy as np
import pytest
from scipy.signal import find_peaks

from rpstn.data.paths import find_data
from rpstn.simulation.athletes.skeleton import Proportions
from rpstn.simulation.squats.squat import SIMULATED, simulate_squat, squat_joints
from rpstn.simulation.squats.squat_form import (
    SQUAT_CLASSES,
    SquatForm,
    SquatStyle,
    SquatTempo,
    form_ranges,
    random_body,
)
from rpstn.skeletons import get_skeleton, map_joints

BODY = random_body(np.random.default_rng(4))
USUAL = SquatForm()
TIMES, COURSE = SquatTempo().course(30)
BOTTOM = int(COURSE.argmax())
SHORT = dataclasses.replace(BODY, shank=0.36)
STRICT = SquatStyle(half_stance=0.2, toe_out=20)
SKULL = np.degrees(np.arctan2(0.010, 0.124))  # of the line from neck to crown, gazing ahead
RIGID = [
    ('hip', 'knee'),
    ('knee', 'ankle'),
    ('shoulder', 'elbow'),
    ('elbow', 'wrist'),
    ('wrist', 'hand'),
    ('ankle', 'heel'),
    ('ankle', 'foot_index'),
    ('heel', 'foot'),
]


class Joints:
    """Joints of SIMULATED by name, a pair as its middle."""

    def __init__(self, joints: np.ndarray) -> None:
        self.joints = joints

    def __getitem__(self, name: str) -> np.ndarray:
        if name in SIMULATED.joints:
            return self.joints[:, SIMULATED.index(name)]
        return (self[f'left_{name}'] + self[f'right_{name}']) / 2


def perform(
    form: SquatForm = USUAL, style: SquatStyle = STRICT, body: Proportions = BODY, seed: int = 0
) -> Joints:
    return Joints(simulate_squat(body, form, TIMES, COURSE, style, seed))


def draw(seed: int, label: str) -> tuple[Proportions, SquatForm, SquatStyle]:
    rng = np.random.default_rng(seed)
    body = random_body(rng)
    return body, SquatForm.random(rng, label), SquatStyle.random(rng, body)


def pitch(vectors: np.ndarray) -> np.ndarray:
    """Degrees by which vectors lean forward from the upright, in the sagittal plane."""
    return np.degrees(np.arctan2(vectors[:, 0], vectors[:, 2]))


def measure(j: Joints) -> dict[str, float]:
    """The six parameters of the form, read off the joints at the bottom."""
    inward, ahead = [], []
    for side, mirror in (('left', 1), ('right', -1)):
        foot = (j[f'{side}_foot_index'] - j[f'{side}_heel'])[0] * [1, mirror, 0]
        outside = np.array([-foot[1], foot[0], 0]) / np.linalg.norm(foot)
        shank = (j[f'{side}_knee'] - j[f'{side}_ankle'])[BOTTOM] * [1, mirror, 1]
        tips = (j[f'{side}_knee'] - j[f'{side}_foot_index'])[BOTTOM] * [1, mirror, 1]
        ahead.append(tips @ foot / np.linalg.norm(foot))
        inward.append(-shank @ outside)  # metres that the knee is inside the plane over the toes
    bend = (pitch(j['shoulder'] - j['waist']) - pitch(j['waist'] - j['pelvis']))[BOTTOM]
    # The gaze goes along with 0.45 of the chest's lean.
    face = pitch(j['head_top'] - j['neck']) - 0.45 * pitch(j['shoulder'] - j['waist'])
    return dict(
        knee_valgus=float(np.mean(inward)),
        spine_flexion=max(bend, 0.0),
        spine_extension=max(-bend, 0.0),
        head_pitch=SKULL - face[BOTTOM],
        depth=(j['knee'] - j['hip'])[BOTTOM, 2],
        knee_travel=float(np.mean(ahead)),
    )


@pytest.mark.parametrize(
    ('field', 'value'),
    [
        ('spine_flexion', 40),
        ('spine_extension', 30),
        ('head_pitch', 35),
        ('head_pitch', -15),
        ('depth', -0.2),
        ('depth', 0.1),
        ('knee_travel', 0.06),
        ('knee_travel', -0.08),
    ],
)
def test_a_parameter_sets_what_it_names_and_nothing_else(field, value):
    found = measure(perform(dataclasses.replace(USUAL, **{field: value})))
    for name, got in found.items():
        wanted = value if name == field else 0 if name == 'knee_valgus' else getattr(USUAL, name)
        exact = 1e-6 if name in ('depth', 'knee_travel', 'knee_valgus') else 0.1
        assert got == pytest.approx(wanted, abs=exact), name


def test_knee_valgus_brings_the_knees_together_and_nothing_else():
    before, after = perform(), perform(SquatForm(knee_valgus=20))

    def spread(j):  # of the knees, in distances of the ankles
        return (j['left_knee'] - j['right_knee'])[:, 1] / (j['left_ankle'] - j['right_ankle'])[:, 1]

    assert spread(before)[BOTTOM] > 1.05 > 0.75 > spread(after)[BOTTOM] > 0.1
    assert abs(spread(before) - spread(after))[0] < 0.1  # hardly while standing
    found = measure(after)
    # Turning the knee's distance from the line hip to ankle, 0.25 to 0.4 m, by 20 degrees.
    assert 0.25 * np.sin(np.radians(20)) < found['knee_valgus'] < 0.4 * np.sin(np.radians(20))
    for name, wanted in measure(before).items():
        if name != 'knee_valgus':
            assert found[name] == pytest.approx(wanted, abs=0.03), name
    moved = np.abs(after.joints - before.joints).max((0, 2))
    still = [j for i, j in enumerate(SIMULATED.joints) if moved[i] < 0.012]
    assert set(SIMULATED.joints) - set(still) == {'left_knee', 'right_knee'}


def test_frontal_knees_are_beyond_the_toes_and_good_ones_hardly():
    for seed in range(12):
        for label, beyond in (('frontal knee', True), ('good', False)):
            body, form, style = draw(seed, label)
            j = perform(form, dataclasses.replace(style, sway=0), body)
            ahead = (j['knee'] - j['foot_index'])[:, 0].max()
            assert ahead > 0.025 if beyond else ahead < 0.02


def test_shallow_squats_keep_the_hips_above_the_knees():
    for seed in range(12):
        body, form, style = draw(seed, 'shallowness')
        j = perform(form, dataclasses.replace(style, sway=0), body)
        above = (j['hip'] - j['knee'])[:, 2].min()
        assert above == pytest.approx(-form.depth, abs=0.01) and above > 0.1


@pytest.mark.parametrize('label', SQUAT_CLASSES)
def test_the_body_stays_whole_and_the_feet_stay_where_they_are(label):
    for seed in range(4):
        body, form, style = draw(seed, label)
        j = perform(form, style, body, seed)
        for start, end in RIGID:
            for side in ('left_', 'right_'):
                length = np.linalg.norm(j[side + start] - j[side + end], axis=-1)
                # The foot turns about the ankle's joint, whose place in the foot is fixed.
                np.testing.assert_allclose(length, length[0], atol=1e-5)
        for start, end, wanted in (('hip', 'knee', body.thigh), ('knee', 'ankle', body.shank)):
            length = np.linalg.norm(j[f'left_{start}'] - j[f'left_{end}'], axis=-1)
            np.testing.assert_allclose(length, wanted, atol=1e-5)
        head = [SIMULATED.index(n) for n in ('neck', 'head_top', 'nose', 'left_eye', 'right_ear')]
        apart = np.linalg.norm(j.joints[:, head, None] - j.joints[:, None, head], axis=-1)
        np.testing.assert_allclose(apart, np.broadcast_to(apart[:1], apart.shape), atol=1e-5)
        for name in ('ankle', 'heel', 'foot', 'foot_index'):
            for side in ('left_', 'right_'):
                assert np.ptp(j[side + name], axis=0).max() < 1e-5, name
        assert 0.02 < j['foot_index'][0, 2] < 0.04 and j.joints[..., 2].min() > 0
        speed = np.linalg.norm(np.diff(j.joints, axis=0), axis=-1).max() * 30
        assert speed < 4  # m/s; no joint jumps


def test_limbs_of_the_waseda_skeleton_have_constant_length():
    joints = squat_joints(BODY, SquatForm(knee_valgus=15, head_pitch=30), TIMES, COURSE, STRICT)
    assert joints.shape == (len(TIMES), 19, 3) and np.isfinite(joints).all()
    for parent, child in get_skeleton('cocoplus19').limb_indices:
        length = np.linalg.norm(joints[:, parent] - joints[:, child], axis=-1)
        np.testing.assert_allclose(length, length[0], atol=1e-5)
    assert np.array_equal(
        joints,
        map_joints(
            perform(SquatForm(knee_valgus=15, head_pitch=30)).joints, SIMULATED, 'cocoplus19'
        ),
    )


@pytest.mark.parametrize('label', SQUAT_CLASSES)
def test_the_centre_of_mass_stays_over_the_feet(label):
    for seed in range(8):
        j = perform(*draw(seed, label)[1:], draw(seed, label)[0], seed)
        # Winter (1990), not the tables that the simulation uses.
        centre = (
            0.497 * (0.5 * j['hip'] + 0.5 * j['shoulder'])
            + 0.081 * j['ear']
            + 0.056 * (0.564 * j['shoulder'] + 0.436 * j['elbow'])
            + 0.044 * (0.318 * j['elbow'] + 0.682 * j['wrist'])
            + 0.200 * (0.567 * j['hip'] + 0.433 * j['knee'])
            + 0.093 * (0.567 * j['knee'] + 0.433 * j['ankle'])
            + 0.029 * (0.5 * j['heel'] + 0.5 * j['foot_index'])
        )
        assert (centre[:, 0] > j['heel'][:, 0]).all()
        assert (centre[:, 0] < j['foot_index'][:, 0] - 0.05).all()


def test_it_begins_and_ends_standing():
    for seed in range(21):
        body, form, style = draw(seed, SQUAT_CLASSES[seed % 7])
        j = perform(form, style, body, seed)
        thigh = j['right_knee'] - j['right_hip']
        trunk = j['right_shoulder'] - j['right_hip']
        cos = (
            (thigh * trunk).sum(-1)
            / np.linalg.norm(thigh, axis=-1)
            / np.linalg.norm(trunk, axis=-1)
        )
        angle = np.degrees(np.arccos(cos))
        assert angle[0] > 153 and angle[-1] > 153 and angle.min() < 110


def classify(found: dict[str, float]) -> str:
    """The class by one threshold for each measured quantity."""
    hits = [
        label
        for label, hit in {
            'inward knee': found['knee_valgus'] > 0.05,
            'round back': found['spine_flexion'] > 18,
            'warped back': found['spine_extension'] > 11,
            'upwards head': found['head_pitch'] > 18,
            'shallowness': found['depth'] < -0.065,
            'frontal knee': found['knee_travel'] > 0.025,
        }.items()
        if hit
    ]
    return hits[0] if len(hits) == 1 else 'good' if not hits else '+'.join(hits)


def test_classes_can_be_told_by_measuring():
    wrong = []
    for seed in range(15):
        for label in SQUAT_CLASSES:
            body, form, style = draw(seed, label)
            found = classify(measure(perform(form, style, body, seed)))
            if found != label:
                wrong.append((seed, label, found))
    assert len(wrong) <= 2, wrong


def test_reflection_exchanges_the_sides():
    form, flip = SquatForm(knee_valgus=20), list(SIMULATED.flip_indices)
    mirrored = perform(form, SquatStyle(asymmetry=0.4)).joints[:, flip] * [1, -1, 1]
    np.testing.assert_allclose(
        perform(form, SquatStyle(asymmetry=-0.4)).joints, mirrored, atol=1e-9
    )
    assert np.abs(perform(form, SquatStyle(asymmetry=0.4)).joints - mirrored).max() > 0.03


def test_seeds_repeat_and_differ():
    style = SquatStyle(sway=1)
    np.testing.assert_array_equal(
        perform(style=style, seed=1).joints, perform(style=style, seed=1).joints
    )
    assert (
        np.abs(perform(style=style, seed=1).joints - perform(style=style, seed=2).joints).max()
        > 0.005
    )


@pytest.mark.parametrize('repetitions', [1, 2, 5])
def test_repetitions_are_as_many_as_asked(repetitions):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        tempo = SquatTempo.random(rng, repetitions)
        times, course = tempo.course(25, rng)
        body, form, style = draw(seed, SQUAT_CLASSES[seed])
        height = Joints(simulate_squat(body, form, times, course, style, seed))['hip'][:, 2]
        assert len(find_peaks(-height, prominence=0.2)[0]) == repetitions
        assert np.ptp(height) > 0.12 * body.stature


def test_tempo_takes_the_time_it_says():
    tempo = SquatTempo(2, standing=0.5, descent=1.5, pause=0.4, ascent=1.0)
    times, course = tempo.course(20)
    assert times[-1] == pytest.approx(3 * 0.5 + 2 * 2.9) and np.diff(times) == pytest.approx(0.05)
    assert (course[times <= 0.5] == 0).all() and course.max() == 1 and course[-1] == 0
    assert (course[(times >= 2.0) & (times <= 2.4)] == 1).all()
    assert course[np.searchsorted(times, 1.25 - 1e-9)] == pytest.approx(0.5)  # half way down
    np.testing.assert_allclose(tempo.course(40)[1][::2], course, atol=1e-12)
    # Neither velocity nor acceleration jumps: their steps shrink with those of time.
    for order in (2, 3):
        steps = [
            np.abs(np.diff(tempo.course(fps)[1], order)).max() * fps ** (order - 1)
            for fps in (50, 200)
        ]
        assert steps[1] < 0.35 * steps[0]
    uneven = dataclasses.replace(tempo, variation=0.1).course(20, np.random.default_rng(0))[1]
    assert 0.9 <= uneven.max() <= 1 and len(uneven) != len(course)


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: SquatForm(knee_valgus=-1), r'knee_valgus.*\[0, 60\].*-1'),
        (lambda: SquatForm(depth=float('nan')), 'depth.*nan'),
        (lambda: SquatForm(head_pitch='up'), "head_pitch.*'up'"),
        (lambda: SquatForm(spine_flexion=5, spine_extension=5), 'exclude each other.*5 and 5'),
        (lambda: SquatTempo(repetitions=1.5), 'repetitions must be whole.*1.5'),
        (lambda: SquatTempo(descent=0), r'descent.*\[0.2, 60\].*0'),
        (lambda: SquatStyle(toe_out=80), 'toe_out.*80'),
        (lambda: form_ranges('bad_elbow'), 'bad_elbow.*inward knee, round back'),
        (lambda: perform(SquatForm(depth=-0.34), SquatStyle(half_stance=0.4)), 'depth.*-0.34'),
        (lambda: perform(SquatForm(knee_travel=0.2), body=SHORT), 'knee_travel.*70 degrees.*0.2'),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_form_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SquatForm().depth = 0


def test_every_form_of_a_class_is_in_the_range_of_a_form():
    for label in SQUAT_CLASSES:
        for name, (low, high) in form_ranges(label).items():
            assert SquatForm.RANGES[name][0] <= low <= high <= SquatForm.RANGES[name][1]


def test_heads_are_shaped_as_in_the_waseda_set():
    try:
        root = find_data('waseda_sample/Pose_Dataset')
    except FileNotFoundError as error:
        pytest.skip(str(error))
    joints, skeleton = squat_joints(BODY, SquatForm(), TIMES, COURSE), get_skeleton('cocoplus19')
    head = [
        skeleton.index(name)
        for name in ('neck', 'head_top', 'nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear')
    ]
    files = sorted(root.glob('*/*/*.json'))
    assert files
    for file in files:
        for frame in json.loads(file.read_text(encoding='utf-8')).values():
            real = np.zeros((19, 19))
            real[np.triu_indices(19, 1)] = frame['3d_joint']
            real = (real + real.T)[np.ix_(head, head)]
            ours = np.linalg.norm(joints[0][head][:, None] - joints[0][head], axis=-1)
            off = ours / ours.mean() - real / real.mean()
            assert np.abs(off).max() < 0.15


def test_it_runs_without_mmaction(run_python):
    done = run_python(
        'import rpstn.simulation.squats.squat, sys; print("mmaction" in sys.modules)',
        hidden=('mmaction', 'mmaction2'),
    )
    assert done.returncode == 0 and done.stdout.split()[-1] == 'False', done.stderr
