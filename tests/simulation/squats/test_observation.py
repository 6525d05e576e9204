"""What a simulated sensor does to joints: views that keep distances, errors of the size asked."""

import numpy as np
import pytest

from rpstn.simulation.squats.observation import VIEWS, JointSensor

# A person 1.7 m tall who looks along x: head, left and right hand, feet.
PERSON = np.array([[0, 0, 1.7], [0.3, 0.7, 1.2], [0.3, -0.7, 1.2], [0.1, 0, 0]])
STILL = np.tile(PERSON, (400, 1, 1))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def distances(joints: np.ndarray) -> np.ndarray:
    return np.linalg.norm(joints[..., :, None, :] - joints[..., None, :, :], axis=-1)


@pytest.mark.parametrize('view', VIEWS)
def test_a_view_keeps_distances_and_handedness(view):
    for seed in range(20):
        seen = JointSensor(view).observe(STILL, rng(seed))
        np.testing.assert_allclose(distances(seen), distances(STILL), atol=1e-9)
        edges = [np.linalg.det(j[1:] - j[0]) for j in (seen[0], PERSON)]
        assert edges[0] == pytest.approx(edges[1])  # turned, not mirrored
        assert np.ptp(seen, axis=0).max() < 1e-9 and 1 < seen[..., 2].mean() < 5.5


def test_from_the_front_the_left_hand_is_to_the_right_and_down_is_y():
    head, left, right, feet = JointSensor('front').observe(STILL, rng())[0]
    assert left[0] - right[0] == pytest.approx(1.4) and feet[1] - head[1] == pytest.approx(1.7)
    assert left[2] - head[2] == pytest.approx(-0.3)  # hands before the body are nearer


def test_from_around_gravity_stays_and_from_anywhere_it_does_not():
    def tilt(view, seed):  # degrees of the person's up from the camera's
        head, _, _, feet = JointSensor(view).observe(STILL, rng(seed))[0]
        return np.degrees(np.arccos((feet - head)[1] / np.linalg.norm(feet - head)))

    assert max(tilt('around', seed) for seed in range(60)) < 35
    anywhere = [tilt('any', seed) for seed in range(60)]
    assert min(anywhere) < 40 and max(anywhere) > 140
    across = [
        (j[1] - j[2])[0]
        for j in (JointSensor('around').observe(STILL, rng(seed))[0] for seed in range(60))
    ]
    assert min(across) < -1 and max(across) > 1  # from behind and from the front


def test_noise_has_the_size_and_the_direction_asked_for():
    long = np.tile(PERSON, (20000, 1, 1))
    seen = JointSensor('around', noise=0.02).observe(long, rng())
    np.testing.assert_allclose(seen.std(0).mean(0), [0.02, 0.02, 0.04], rtol=0.05)
    white = np.diff(seen[:, 0, 0]).std() / np.sqrt(2)
    assert 0.65 * 0.02 < white < 0.8 * 0.02  # half the variance changes from frame to frame


def test_bias_lasts_through_a_recording_and_scale_is_of_the_whole():
    offsets = []
    for seed in range(300):
        seen = JointSensor('front', bias=0.03).observe(STILL[:3], rng(seed))
        assert np.ptp(seen, axis=0).max() < 1e-9
        offsets.append((seen[0, 1] - seen[0, 2])[:2] - [1.4, 0])
    assert np.std(offsets) == pytest.approx(0.03 * np.sqrt(2), rel=0.1)
    ratio = [
        distances(JointSensor(scale=0.05).observe(STILL[:2], rng(s)))[0]
        / np.maximum(distances(PERSON), 1e-9)
        for s in range(300)
    ]
    assert np.ptp(ratio[0][~np.eye(4, dtype=bool)]) < 1e-6
    assert np.std([r[0, 1] for r in ratio]) == pytest.approx(0.05, rel=0.15)


def test_joints_are_lost_in_runs():
    seen = JointSensor(missing=0.2).observe(STILL, rng())
    lost = np.isnan(seen)
    assert (lost.all(-1) == lost.any(-1)).all()
    lost = lost[..., 0]
    assert lost.mean() == pytest.approx(0.2, abs=0.01)
    ends = (np.diff(lost.astype(int), axis=0) != 0).sum() / 2
    assert lost.sum() / ends > 3  # frames in a run


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(view='back'), "front.*around.*any.*'back'"),
        (dict(noise=-1), r'noise.*\[0, 1\].*-1'),
        (dict(missing=1.0), 'missing.*0.9.*1.0'),
        (dict(bias=float('nan')), 'bias.*nan'),
    ],
)
def test_wrong_fields_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        JointSensor(**wrong)
