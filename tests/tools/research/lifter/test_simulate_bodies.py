"""Simulated bodies: bones keep their lengths, knees their side, and depths fit the image."""

import numpy as np
import pytest
import torch

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.lift.models.anatomy import BONES, bends, bone_lengths
from rpstn.lift.models.views import unproject
from rpstn.skeletons import SKELETONS

JOINTS = SKELETONS['lifter15'].joints


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend('tools/research/lifter')
    import simulate_bodies

    return simulate_bodies


def test_bones_are_as_long_in_every_frame_and_on_both_sides(tool):
    lengths = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        clip = tool.lengthened(tool.CLIPS[0](rng), rng)
        found = bone_lengths(torch.from_numpy(clip)).numpy()[:, 2:]  # the spine of three bends
        np.testing.assert_allclose(found, found[:1].repeat(len(found), 0), rtol=1e-3)
        np.testing.assert_allclose(found[:, 0:8:2], found[:, 1:8:2], rtol=1e-3)
        lengths.append(found[0])
    names = [JOINTS[end] for _, end in BONES[2:]]
    thigh, shank = (np.array(lengths)[:, names.index(f'left_{end}')] for end in ('knee', 'ankle'))
    assert (thigh / shank).max() > 1.15 and (thigh / shank).min() < 0.9


def test_knees_bend_one_way_and_limbs_move(tool):
    moved = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        clip = torch.from_numpy(tool.lengthened(tool.CLIPS[0](rng), rng))
        assert (bends(clip)['knees'] > 0).all()
        moved.append((clip[-1] - clip[0]).norm(dim=-1).max())
    assert max(moved) > 0.5


def test_the_same_seed_gives_the_same_clips_and_depths_fit_images(tool):
    images, depths = tool.simulated(12, seed=4)
    again, _ = tool.simulated(12, seed=4)
    np.testing.assert_array_equal(images, again)
    assert images.shape == (12, 12, 15, 2) and not np.allclose(images[0], images[2])
    # What is lifted by its depth has limbs of one length, but for the distance of the camera.
    joints = unproject(torch.from_numpy(images), torch.from_numpy(depths))
    spread, flat = (
        ((limbs.amax(1) - limbs.amin(1)) / limbs.mean(1)).quantile(0.9)
        for limbs in (bone_lengths(j)[..., 2:10] for j in (joints, torch.from_numpy(images)))
    )
    assert spread < flat / 2
