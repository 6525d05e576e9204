"""SMPL model files as they are released, read without chumpy."""

from __future__ import annotations

import os
import pickle
import sys
import types
from importlib.util import find_spec

import numpy as np
import pytest
from scipy import sparse

from rpstn.lift import load_smpl_model
from rpstn.safe_pickle import UnsafePickleError

DENSE = ('v_template', 'shapedirs', 'posedirs', 'weights')


def dump(path, model: dict, protocol: int, old_scipy: bool = True):
    """As Python 2 with an old SciPy wrote it, in protocols 0 to 2."""
    data = pickle.dumps(model, protocol)
    if protocol <= 2 and old_scipy:
        assert b'scipy.sparse._csc\n' in data
        data = data.replace(b'scipy.sparse._csc\n', b'scipy.sparse.csc\n')
    path.write_bytes(data)
    return path


@pytest.fixture
def chumpy(monkeypatch) -> types.SimpleNamespace:
    """Classes with chumpy's names and attributes, which fail when they are used."""
    if find_spec('chumpy'):
        pytest.skip('chumpy is installed')

    def fails(self, *args):
        pytest.fail('a class that the pickle names was used')

    def make(module: str, name: str) -> type:
        cls = type(name, (), dict(__module__=module, __setstate__=fails, __array__=fails))
        setattr(sys.modules[module], name, cls)
        return cls

    for module in ('chumpy', 'chumpy.ch', 'chumpy.reordering'):
        monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
    return types.SimpleNamespace(
        Ch=make('chumpy.ch', 'Ch'),
        Select=make('chumpy.reordering', 'Select'),
        Other=make('chumpy.ch', 'MatVecMult'),
    )


def instance(cls: type, **state):
    made = cls.__new__(cls)
    made.__dict__.update(state)
    return made


def check(loaded: dict, model: dict) -> None:
    for name in DENSE:
        assert loaded[name].dtype == np.float32
        np.testing.assert_allclose(loaded[name], model[name], rtol=1e-6)
    np.testing.assert_allclose(loaded['J_regressor'], model['J_regressor'].toarray(), rtol=1e-6)
    assert np.array_equal(loaded['f'], model['f'])
    assert np.array_equal(loaded['kintree_table'][0, 1:], model['kintree_table'][0, 1:])


@pytest.mark.parametrize('protocol', range(6))
def test_a_pickle_with_a_sparse_regressor(tmp_path, model, protocol):
    check(load_smpl_model(dump(tmp_path / 'm.pkl', model, protocol)), model)
    check(load_smpl_model(dump(tmp_path / 'm.pkl', model, protocol, old_scipy=False)), model)


def test_an_npz_of_dense_arrays(model_file, model):
    check(load_smpl_model(model_file), model)


@pytest.mark.parametrize('protocol', [0, 1, 2, 4])
def test_chumpy_arrays_without_chumpy(tmp_path, model, chumpy, protocol, monkeypatch):
    """As in the released files: an array, and a selection of the first 10 of 300 shapes."""
    all_shapes = np.random.default_rng(2).normal(size=(40, 3, 12))
    all_shapes[:, :, :10] = model['shapedirs']
    indices = np.arange(all_shapes.size).reshape(all_shapes.shape)[:, :, :10].ravel()
    shapes = instance(
        chumpy.Select,
        a=instance(chumpy.Ch, x=all_shapes, _dirty_vars={'x'}),
        idxs=indices,
        preferred_shape=(40, 3, 10),
        _itr=None,
    )
    with_chumpy = model | dict(
        v_template=instance(chumpy.Ch, x=model['v_template']),
        shapedirs=shapes,
        posedirs=instance(chumpy.Ch, x=instance(chumpy.Ch, x=model['posedirs'])),
    )
    path = dump(tmp_path / 'm.pkl', with_chumpy, protocol)
    for name in ('chumpy', 'chumpy.ch', 'chumpy.reordering'):
        monkeypatch.setitem(sys.modules, name, None)  # an import of it would raise
    check(load_smpl_model(path), model)


def test_other_classes_of_chumpy_are_refused(tmp_path, model, chumpy):
    path = dump(tmp_path / 'm.pkl', model | dict(weights=instance(chumpy.Other, x=1)), 2)
    with pytest.raises(
        UnsafePickleError,
        match=r"m\.pkl: it names 'chumpy.ch.MatVecMult'.*"
        'allowed are .*chumpy.ch.Ch',
    ):
        load_smpl_model(path)


def test_a_command_in_a_model_is_not_run(tmp_path, model):
    class Command:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / 'marker'),)

    path = dump(tmp_path / 'm.pkl', model | dict(extra=Command()), 2)
    with pytest.raises(UnsafePickleError, match="mkdir', which is refused"):
        load_smpl_model(path)
    assert not (tmp_path / 'marker').exists()


@pytest.mark.parametrize('change', ['indices', 'indptr', 'shape', 'state'])
def test_a_sparse_matrix_that_reads_outside_itself(tmp_path, model, change):
    """SciPy's compiled code believes these; a crash or foreign memory would be the result."""
    matrix = model['J_regressor'].copy()
    if change == 'indices':
        matrix.indices[0] = 10**6
    elif change == 'indptr':
        matrix.indptr[5] = -7
    elif change == 'shape':
        matrix._shape = (3, 40)
    else:
        del matrix.data
    with pytest.raises(UnsafePickleError, match="'scipy.sparse.csc.csc_matrix' is not as expected"):
        load_smpl_model(dump(tmp_path / 'm.pkl', model | dict(J_regressor=matrix), 2))


def test_the_regressor_of_hmr_is_kept(tmp_path, model):
    regressor = sparse.csc_matrix(np.random.default_rng(0).random((19, 40)))
    loaded = load_smpl_model(
        dump(tmp_path / 'm.pkl', model | dict(cocoplus_regressor=regressor), 2)
    )
    np.testing.assert_allclose(loaded['cocoplus_regressor'], regressor.toarray(), rtol=1e-6)


def wrong_tree(model: dict) -> np.ndarray:
    table = model['kintree_table'].copy()
    table[0, 5] = 1
    return table


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda m: dict(weights=None), r"no field \['weights'\]; an SMPL model has"),
        (
            lambda m: dict(weights=m['weights'][:, :22]),
            r"'weights' must be \('N', 24\).*\(40, 22\)",
        ),
        (lambda m: dict(posedirs=m['posedirs'][1:]), r"'posedirs' must be .*\(39, 3, 207\)"),
        (lambda m: dict(J_regressor=np.ones((55, 40))), r"'J_regressor' must be \(24, 'N'\)"),
        (lambda m: dict(v_template=m['v_template'] * np.nan), "'v_template' holds NaN"),
        (lambda m: dict(kintree_table=wrong_tree(m)), "'kintree_table' must hold SMPL's parents"),
        (lambda m: dict(f=m['f'] + 40), "'f' names vertices from 4"),
        (lambda m: dict(f=np.array(['a'])), "'f' does not hold numbers"),
    ],
    ids=['missing', 'joints', 'vertices', 'SMPL-X', 'NaN', 'tree', 'faces', 'text'],
)
def test_a_wrong_field_is_named(tmp_path, model, save_model, change, message):
    changed = {k: v for k, v in (model | change(model)).items() if v is not None}
    with pytest.raises(ValueError, match=rf'm\.npz: .*{message}'):
        load_smpl_model(save_model(tmp_path / 'm.npz', changed))


def test_files_that_are_no_models(tmp_path, model):
    np.savez(tmp_path / 'objects.npz', v_template=np.array([None, 1], object))
    with pytest.raises(ValueError, match=r"objects\.npz: field 'v_template' cannot be read"):
        load_smpl_model(tmp_path / 'objects.npz')
    (tmp_path / 'text.npz').write_text('no archive')
    with pytest.raises(ValueError, match=r'text\.npz: cannot be read'):
        load_smpl_model(tmp_path / 'text.npz')
    (tmp_path / 'list.pkl').write_bytes(pickle.dumps([1]))
    with pytest.raises(ValueError, match=r'list\.pkl: a dictionary of fields is needed, not list'):
        load_smpl_model(tmp_path / 'list.pkl')
    with pytest.raises(ValueError, match=r"an \.npz, \.pkl or \.pickle file is needed, not '.pt'"):
        load_smpl_model(tmp_path / 'model.pt')
    with pytest.raises(FileNotFoundError):
        load_smpl_model(tmp_path / 'none.pkl')
    path = dump(tmp_path / 'cut.pkl', model, 2)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r'cut\.pkl: truncated'):
        load_smpl_model(path)
