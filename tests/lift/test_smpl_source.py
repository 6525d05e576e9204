"""SMPL parameters as a source: the joints of the model, in our axes."""

import numpy as np
import pytest

from rpstn.errors import SettingError
from rpstn.lift import SMPLJoints, SMPLSource, lift, read_smpl_parameters
from rpstn.lift.scale import implied_height

pytest.importorskip('smplx')


@pytest.fixture
def parameters(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / 'parameters.npz'
    np.savez(
        path,
        betas=np.zeros(10),
        poses=0.1 * rng.normal(size=(6, 72)),
        trans=rng.normal(size=(6, 3)),
    )
    return path


def test_joints_are_the_models_from_the_hips_in_our_axes(model_file, parameters, monkeypatch):
    # The model's contents are random: no body that could be checked.
    monkeypatch.setattr('rpstn.lift.smpl_source.check_body', lambda joints, where, stated: joints)
    joints = lift(parameters, dict(type='smpl', model=model_file, fps=30), cutoff=None)
    own = SMPLJoints(model_file)(**read_smpl_parameters(parameters)).astype(float)
    own -= own[:, 1:3].mean(axis=1, keepdims=True)  # the hips
    np.testing.assert_allclose(joints.joints, own * (1, -1, -1), atol=1e-6)
    assert (joints.source, joints.scale, joints.skeleton.name) == ('smpl', 'nominal', 'smpl24')
    np.testing.assert_allclose(joints.times, np.arange(6) / 30)
    upright = lift(parameters, dict(type='smpl', model=model_file, fps=30), height=1.7)
    assert implied_height(upright) == pytest.approx(1.7) and upright.scale == 'height'


def test_a_frame_rate_is_needed(model_file):
    with pytest.raises(SettingError, match='fps must be above 0'):
        SMPLSource(model_file, fps=0)
