"""A valid SMPL model with random contents: the licence forbids passing on the real one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from rpstn.skeletons import SKELETONS

PARENTS = SKELETONS['smpl24'].parents


def make_model(num_vertices: int = 40, num_betas: int = 10, seed: int = 0) -> dict:
    rng = np.random.default_rng(seed)
    regressor = sparse.random(
        24, num_vertices, density=min(1.0, 8 / num_vertices), rng=rng, format='lil'
    )
    regressor[np.arange(24), rng.permutation(num_vertices)[:24]] = 1.0  # no row without vertices
    regressor = sparse.csc_matrix(regressor.multiply(1 / regressor.sum(1)))
    weights = rng.random((num_vertices, 24)) ** 8
    kintree = np.array([[2**32 - 1, *PARENTS[1:]], range(24)], dtype=np.uint32)  # as released
    return dict(
        v_template=rng.normal(size=(num_vertices, 3)),
        shapedirs=0.1 * rng.normal(size=(num_vertices, 3, num_betas)),
        posedirs=0.02 * rng.normal(size=(num_vertices, 3, 207)),
        J_regressor=regressor,
        weights=weights / weights.sum(1, keepdims=True),
        kintree_table=kintree,
        bs_type='lrotmin',
        bs_style='lbs',
        f=rng.integers(0, num_vertices, (5, 3)).astype(np.uint32),
    )


def save_npz(path: Path, model: dict) -> Path:
    np.savez(path, **{k: v.toarray() if sparse.issparse(v) else v for k, v in model.items()})
    return path


@pytest.fixture(scope='session')
def save_model() -> Callable[[Path, dict], Path]:
    """``save_model('m.npz', model)`` writes a model with a dense regressor."""
    return save_npz


@pytest.fixture(scope='session')
def model() -> dict:
    """40 vertices."""
    return make_model()


@pytest.fixture(scope='session')
def model_file(model, tmp_path_factory):
    return save_npz(tmp_path_factory.mktemp('smpl') / 'model.npz', model)


@pytest.fixture(scope='session')
def full_model() -> dict:
    """6890 vertices, as SMPL's."""
    return make_model(6890, seed=1)


@pytest.fixture(scope='session')
def full_model_file(full_model, tmp_path_factory):
    return save_npz(tmp_path_factory.mktemp('smpl') / 'full.npz', full_model)
