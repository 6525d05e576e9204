"""The lifter that comes with the package."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from rpstn.checkpoints import SHIPPED, ModelError
from rpstn.lift import SOURCES, Track, build_source, lift
from rpstn.lift.evaluation import knee_flexion, mirrored, pa_mpjpe
from rpstn.lift.evaluation.random_views import random_view
from rpstn.lift.models.shipped_lifter import load_lifter
from rpstn.registration import register
from rpstn.simulation.athletes.motion import squat
from rpstn.simulation.athletes.skeleton import Proportions
from rpstn.skeletons import SKELETONS

SKELETON = SKELETONS['lifter15']
PACK = Path(__file__).parents[2] / 'tools/research/lifter/pack_lifter.py'


@pytest.fixture(scope='module')
def squats():
    """Simulated squats that nobody trained on, through cameras of all azimuths."""
    rng = np.random.default_rng(5)
    views = []
    for _ in range(8):
        posed = squat(rng, Proportions.random(rng), np.arange(90) / 30)
        both = (posed['left_shoulder'] + posed['right_shoulder']) / 2
        joints = [both if name == 'neck' else posed[name] for name in SKELETON.joints]
        views.append(random_view(np.stack(joints, axis=1), rng))
    return views


def track_of(view):
    image = 1000 * view.image() + 500
    count = len(image)
    return Track(image, np.ones((count, 15)), np.arange(count) / 30, np.arange(count), SKELETON)


@pytest.mark.parametrize('name', ['lifter', 'lifter_simulated'])
def test_it_lifts_squats_better_than_no_depth_and_mostly_not_mirrored(name, squats):
    source = build_source(name)
    errors, flat, mirrors = [], [], []
    for view in squats:
        found = source(track_of(view)).joints * [1, -1, -1]
        errors.append(pa_mpjpe(found, view.joints).mean())
        mirrors.append(mirrored(found, view.joints).mean())
        flat.append(pa_mpjpe(view.joints * [1, 1, 0], view.joints).mean())
    assert np.mean(errors) < 0.8 * np.mean(flat)
    assert np.mean(mirrors) < 0.3


def test_it_is_the_source_of_joints_in_the_image(squats):
    assert 'lifter' in SOURCES.module_dict
    joints = lift(track_of(squats[0]), height=1.8, tilt=0)
    assert joints.source == 'lifter_simulated' and joints.scale == 'height'
    assert np.isfinite(knee_flexion(joints.joints, SKELETON)).all()


def test_it_is_small_and_has_no_density_of_poses():
    assert sum(file.stat().st_size for file in SHIPPED.glob('lifter*.pt')) < 5e6
    assert load_lifter().prior is None


def test_a_packed_checkpoint_is_the_trained_one_in_half_precision(tmp_path):
    register()
    spec = importlib.util.spec_from_file_location('pack_lifter', PACK)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    model = load_lifter()
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'trained.pth')
    config = PACK.parents[3] / 'configs/lift/lifter.py'
    weights = tool.pack(config, tmp_path / 'trained.pth', tmp_path / 'packed')
    again = load_lifter(weights.with_suffix('.json'))
    for name, value in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)
    weights.write_bytes(b'version https')
    with pytest.raises(ModelError, match='bytes'):
        load_lifter(weights.with_suffix('.json'))
