"""What lifters are measured by: joint centres, random views, errors."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rpstn.data.plug_in_gait import chord, joint_centres
from rpstn.lift.datasets.captured_views import split_of
from rpstn.lift.evaluation import knee_flexion, mirrored, n_mpjpe, pa_mpjpe
from rpstn.lift.evaluation.lifting_metric import lifting_errors
from rpstn.lift.evaluation.random_views import VIEWS, View, random_view
from rpstn.skeletons import SKELETONS

SKELETON = SKELETONS['lifter15']
MIRROR = np.array([1.0, 1.0, -1.0])


def squatter(flexion=60.0, frames=3):
    """(T, 15, 3) metres, z up, facing x: a person whose knees are bent."""
    bend = np.radians(flexion)
    joints = dict(pelvis=(0, 0, 1), neck=(0.1, 0, 1.5), head=(0.2, 0, 1.68))
    for side, sign in (('left', 1), ('right', -1)):
        hip = np.array([0, 0.1 * sign, 1.0])
        knee = hip + 0.4 * np.array([np.sin(bend / 2), 0, -np.cos(bend / 2)])
        ankle = knee + 0.42 * np.array([-np.sin(bend / 2), 0, -np.cos(bend / 2)])
        shoulder = np.array([0.1, 0.18 * sign, 1.5])
        elbow = shoulder + [0.05, 0.05 * sign, -0.27]
        parts = (hip, knee, ankle, shoulder, elbow, elbow + [0.2, 0, -0.12])
        names = ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist')
        joints |= {f'{side}_{name}': part for name, part in zip(names, parts)}
    one = np.array([joints[name] for name in SKELETON.joints], float)
    return np.repeat(one[None], frames, axis=0)


def turned(joints, seed=0):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return joints @ (q * np.sign(np.linalg.det(q)))


def test_procrustes_forgives_shift_turn_and_scale_but_no_reflection():
    true = squatter()
    moved = 3.0 * turned(true) + [5, -2, 1]
    assert pa_mpjpe(moved, true) == pytest.approx(np.zeros(3), abs=1e-9)
    assert pa_mpjpe(moved * MIRROR, true).min() > 0.02
    assert mirrored(moved @ np.diag(MIRROR), true).all()
    assert not mirrored(true, true).any()


def test_n_mpjpe_forgives_scale_and_place_alone():
    true = squatter()
    assert n_mpjpe(0.1 * true + 7, true) == pytest.approx(np.zeros(3), abs=1e-9)
    assert n_mpjpe(turned(true), true).min() > 0.1


def test_pa_mpjpe_is_the_least_over_turns_tried_by_hand():
    rng = np.random.default_rng(1)
    true = squatter(frames=1)
    predicted = true + rng.normal(0, 0.05, true.shape)
    a, b = (x[0] - x[0].mean(0) for x in (predicted, true))
    best = pa_mpjpe(predicted, true)[0]
    u, s, vt = np.linalg.svd(a.T @ b)
    aligned = (s.sum() / (a**2).sum()) * a @ (u @ vt)
    assert best == pytest.approx(np.linalg.norm(aligned - b, axis=1).mean())
    for small in Rotation.from_rotvec(rng.normal(0, 0.05, (20, 3))).as_matrix():
        assert ((aligned - b) ** 2).sum() <= ((aligned @ small - b) ** 2).sum()


@pytest.mark.parametrize('flexion', [0.0, 30.0, 120.0])
def test_knee_flexion_is_known(flexion):
    found = knee_flexion(squatter(flexion), SKELETON)
    assert found == pytest.approx(np.full((3, 2), flexion), abs=1e-4)


def test_errors_of_a_perfect_lifter_are_none():
    found = lifting_errors(2 * squatter(), squatter())
    assert found == pytest.approx({'PA-MPJPE': 0, 'N-MPJPE': 0, 'mirrored': 0, 'knee': 0}, abs=1e-6)
    assert np.isnan(lifting_errors(squatter(0), squatter(0))['knee'])


def test_views_show_a_person_as_a_camera_does():
    kinds = set()
    for seed in range(40):
        view = random_view(squatter(), np.random.default_rng(seed))
        kinds.add(view.kind)
        left, right = (view.image()[0, SKELETON.index(f'{s}_hip'), 0] for s in ('left', 'right'))
        # Who faces the camera has their left on the image's right.
        assert (left > right) == (np.cos(np.radians(view.azimuth)) > 0)
        assert view.image()[0, SKELETON.index('head'), 1] < 0 < view.image()[0, -1, 1]  # y is down
        assert 3 <= view.joints[0, 0, 2] <= 5
        assert pa_mpjpe(view.joints, squatter()).max() < 1e-9  # turned, not mirrored
    assert kinds == set(VIEWS)


@pytest.mark.parametrize(
    ('azimuth', 'kind'),
    [(0, 'front'), (29, 'front'), (170, 'front'), (31, 'oblique'), (239, 'oblique'), (90, 'side'),
     (275, 'side'), (331, 'front')],
)  # fmt: skip
def test_kinds_of_views(azimuth, kind):
    assert View(squatter(), azimuth, 0.0).kind == kind


def test_noise_is_a_share_of_the_trunk():
    joints = squatter(frames=4000)
    view = random_view(joints, np.random.default_rng(0))
    off = view.noisy_image(0.02, np.random.default_rng(1)) - view.image()
    trunk = np.linalg.norm(joints[0, 0] - joints[0, 1]) / view.joints[0, 0, 2]
    assert off.std() == pytest.approx(0.02 * trunk, rel=0.05)


def test_chord_makes_a_right_angle_at_the_joint_inside():
    above, marker, wand = (
        np.array([row], float) for row in ([0, 0, 400], [50, 0, 0], [60, 5, 200])
    )
    joint = chord(above, marker, wand, 57.0)
    assert np.linalg.norm(joint - marker) == pytest.approx(57)
    assert ((above - joint) * (marker - joint)).sum() == pytest.approx(0, abs=1e-6)
    assert joint[0, 0] < marker[0, 0]


def test_people_of_the_test_are_not_those_that_choose():
    assert split_of('m02_s06_e01') == split_of('m05_s05_e01') == split_of('m05_s01_e01') == 'test'
    assert split_of('m02_s05_e01_incorrect') == 'val' and split_of('m09_s01_e10') == 'rest'


def test_joint_centres_of_the_capture(captured):
    markers, names = captured
    joints = joint_centres(markers, names)
    at = {name: joints[:, SKELETON.index(name)] for name in SKELETON.joints}

    def length(a, b):
        return np.nanmean(np.linalg.norm(at[a] - at[b], axis=1))

    for side in ('left', 'right'):
        assert 0.33 < length(f'{side}_hip', f'{side}_knee') < 0.48
        assert 0.35 < length(f'{side}_knee', f'{side}_ankle') < 0.50
        assert 0.22 < length(f'{side}_shoulder', f'{side}_elbow') < 0.34
    assert 0.14 < length('left_hip', 'right_hip') < 0.28
    gone = markers.copy()
    gone[2, 5] = 0
    found = np.isfinite(joint_centres(gone, names)).all(-1)  # T10 tells which way the chest looks
    assert names[5] == 'T10' and found[3].all()
    assert not found[2, SKELETON.index('left_shoulder')] and found[2, SKELETON.index('left_knee')]


@pytest.fixture(scope='module')
def captured():
    from rpstn.data.paths import find_data

    try:
        folder = find_data('ui_prmd_vicon')
    except FileNotFoundError:
        pytest.skip('data/ui_prmd_vicon is not there')
    with np.load(folder / 'm05.npz') as content:
        return content['m05_s01_e01'] / 10, [str(name) for name in content['markers']]
