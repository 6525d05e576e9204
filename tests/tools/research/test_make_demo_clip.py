"""Faces are coarsened, and nothing else."""

import numpy as np

from make_demo_clip import coarsen


def test_the_face_is_coarse_and_all_else_as_it_was():
    image = np.random.default_rng(0).integers(0, 256, (120, 100, 3), np.uint8)
    before = image.copy()
    coarsen(image, np.array([50.0, 60.0]), 24.0)
    y, x = np.indices(image.shape[:2])
    far = np.hypot((x - 50) / 0.8, y - 60) / 24
    assert (image[far > 1.2] == before[far > 1.2]).all()
    # Neighbours, which had nothing to do with each other, are nearly alike: cells are 6 wide.
    steps = np.abs(np.diff(image.astype(int), axis=1))[far[:, 1:] < 0.95]
    assert steps.mean() < 12 < 60 < np.abs(np.diff(before.astype(int), axis=1)).mean()


def test_a_face_at_the_border_is_coarsened_as_far_as_it_is_seen():
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    before = image.copy()
    coarsen(image, np.array([2.0, 38.0]), 16.0)
    assert (image[34:, :8] != before[34:, :8]).mean() > 0.9
    assert (image[:18] == before[:18]).all()
