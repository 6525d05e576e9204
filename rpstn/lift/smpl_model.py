"""SMPL model files, read without chumpy and without executing what a pickle names.

Loper, Mahmood, Romero, Pons-Moll, Black, "SMPL: A Skinned Multi-Person Linear Model", TOG 2015.
The official files are pickles of Python 2 that name chumpy's and SciPy's classes. Their licence
forbids passing them on: https://smpl.is.tue.mpg.de

Shapes: N vertices (6890), F faces, S shape coefficients (10 or 300).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from rpstn import data_files
from rpstn.errors import SettingError
from rpstn.safe_pickle import load_arrays
from rpstn.skeletons import SKELETONS

NUM_JOINTS = 24
# Pose blend shapes are linear in the rotation matrices of all joints but the root.
NUM_POSE_BASIS = 9 * (NUM_JOINTS - 1)
# HMR's model files also hold the regressor of its 19 joints: (19, N), from vertices.
COCOPLUS_REGRESSOR = 'cocoplus_regressor'


def _chumpy_array(state: Mapping[str, Any]) -> np.ndarray:
    """The value of a ``chumpy.ch.Ch``, an array that is no function of others."""
    return np.asarray(state['x'], dtype=np.float64)


def _chumpy_select(state: Mapping[str, Any]) -> np.ndarray:
    """The value of a ``chumpy.reordering.Select``: what indexing a chumpy array gives."""
    selected = np.asarray(state['a'], dtype=np.float64).ravel()[np.asarray(state['idxs'])]
    return selected.reshape(state.get('preferred_shape', selected.shape))


def _compressed(kind: type) -> Any:
    """Makes a sparse matrix of that kind from the state of a pickled one."""

    def build(state: Mapping[str, Any]) -> sparse.spmatrix:
        matrix = kind(
            (state['data'], state['indices'], state['indptr']), shape=tuple(state['_shape'])
        )
        matrix.check_format(full_check=True)  # SciPy's own code trusts the indices
        return matrix

    return build


# Nothing under these names is imported; SciPy moved its modules in 1.8.
_CLASSES = {
    'chumpy.ch.Ch': _chumpy_array,
    'chumpy.reordering.Select': _chumpy_select,
    **{
        f'scipy.sparse.{module}.{kind.__name__}': _compressed(kind)
        for kind in (sparse.csc_matrix, sparse.csr_matrix)
        for module in (kind.__name__[:3], f'_{kind.__name__[:3]}')
    },
}


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file; pickled ones are refused by name.

    Raises:
        SettingError: it is no .npz file, or a field is a pickled object.
    """
    unread: dict[str, str] = {}
    try:
        arrays = data_files.read_npz(path, unread)
    except ValueError as error:
        raise SettingError(f'{path}: cannot be read as a plain array ({error})') from error
    for field, reason in unread.items():
        raise SettingError(f"{path}: field '{field}' cannot be read as a plain array ({reason})")
    return arrays


def read_fields(path: str | os.PathLike, allow: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The named fields of an .npz or .pkl file, executing nothing.

    Raises:
        SettingError: another extension, a file that cannot be read, no dictionary in a pickle;
            :class:`~rpstn.safe_pickle.UnsafePickleError` if it names what is not allowed.
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    if path.suffix not in ('.npz', '.pkl', '.pickle'):
        raise SettingError(f"{path}: an .npz, .pkl or .pickle file is needed, not '{path.suffix}'")
    fields = read_npz(path) if path.suffix == '.npz' else load_arrays(path, allow=allow)
    if not isinstance(fields, dict):
        raise SettingError(f'{path}: a dictionary of fields is needed, not {type(fields).__name__}')
    return fields


def _matches(shape: tuple[int, ...], wanted: tuple[int | str, ...], sizes: dict[str, int]) -> bool:
    """Whether a shape fits, letters standing for sizes that the first field of that size sets."""
    return len(shape) == len(wanted) and all(
        size == (sizes.setdefault(n, size) if isinstance(n, str) else n)
        for size, n in zip(shape, wanted)
    )


_SHAPES: dict[str, tuple[int | str, ...]] = {
    'v_template': ('N', 3),
    'shapedirs': ('N', 3, 'S'),
    'posedirs': ('N', 3, NUM_POSE_BASIS),
    'J_regressor': (NUM_JOINTS, 'N'),
    'weights': ('N', NUM_JOINTS),
    'f': ('F', 3),
    'kintree_table': (2, NUM_JOINTS),
}


def load_smpl_model(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read and check an SMPL model file.

    Args:
        path: the .pkl of the official releases (or HMR's), or an .npz of dense arrays. In a pickle
            nothing but NumPy's arrays, SciPy's compressed matrices, ``chumpy.ch.Ch`` and
            ``chumpy.reordering.Select`` is allowed; no code of chumpy's is needed or run.

    Returns:
        ``v_template`` (N, 3), ``shapedirs`` (N, 3, S), ``posedirs`` (N, 3, 207), ``J_regressor``
        (24, N), ``weights`` (N, 24), all float32, metres; ``f`` (F, 3) and ``kintree_table``
        (2, 24), int64; and ``cocoplus_regressor`` (19, N) where the file has one.

    Raises:
        SettingError: it is unsafe or broken, or a field is missing or of another shape; an SMPL+H
            or SMPL-X model, which has more joints, is one of these.
        FileNotFoundError: there is no such file.
    """
    fields = read_fields(path, _CLASSES)
    missing = [name for name in _SHAPES if name not in fields]
    if missing:
        raise SettingError(
            f'{path}: no field {missing}; an SMPL model has {list(_SHAPES)}, '
            f'this file has {sorted(map(str, fields))}'
        )
    shapes = dict(_SHAPES)
    if COCOPLUS_REGRESSOR in fields:
        shapes[COCOPLUS_REGRESSOR] = (SKELETONS['cocoplus19'].num_joints, 'N')
    model: dict[str, np.ndarray] = {}
    sizes: dict[str, int] = {}
    for name, wanted in shapes.items():
        value = fields[name].toarray() if sparse.issparse(fields[name]) else fields[name]
        kind = np.int64 if name in ('f', 'kintree_table') else np.float32
        try:
            model[name] = np.asarray(value).astype(kind)
        except (TypeError, ValueError) as error:
            raise SettingError(f"{path}: field '{name}' does not hold numbers ({error})") from error
        if not _matches(model[name].shape, wanted, sizes):
            raise SettingError(
                f"{path}: field '{name}' must be {wanted} with {sizes}, it is {model[name].shape}"
            )
        if not np.isfinite(model[name]).all():
            raise SettingError(f"{path}: field '{name}' holds NaN or infinity")
    _check_indices(path, model)
    return model


def _check_indices(path: str | os.PathLike, model: Mapping[str, np.ndarray]) -> None:
    parents = SKELETONS['smpl24'].parents
    if tuple(model['kintree_table'][0, 1:]) != parents[1:]:
        raise SettingError(
            f"{path}: field 'kintree_table' must hold SMPL's parents {parents[1:]}, "
            f'it holds {tuple(model["kintree_table"][0, 1:].tolist())}'
        )
    faces, count = model['f'], len(model['v_template'])
    if faces.size and not (0 <= faces.min() and faces.max() < count):
        raise SettingError(
            f"{path}: field 'f' names vertices from {faces.min()} to {faces.max()}, "
            f'there are {count}'
        )
