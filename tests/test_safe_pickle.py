"""Pickles of arrays are read as Python's own unpickler reads them; hostile ones do nothing."""

from __future__ import annotations

import copyreg
import os
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rpstn.errors import RPSTNError
from rpstn.safe_pickle import BadPickleError, UnsafePickleError, load_arrays

ARRAY = np.arange(12.0).reshape(3, 4)


def object_array() -> np.ndarray:
    array = np.empty((2, 2), object)
    array[0, 0], array[0, 1], array[1, 0], array[1, 1] = ARRAY, 'b', None, {'in': ARRAY}
    return array


VALUES = {
    'array': ARRAY,
    'fortran': np.asfortranarray(ARRAY),
    'strided': ARRAY[:, ::2],
    'transposed': np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1),
    'empty': np.zeros((0, 3)),
    'zero-dimensional': np.array(3.0),
    'big-endian': ARRAY.astype('>i2'),
    'text': np.array(['ab', 'c']),
    'bytes': np.array([b'ab']),
    'bool': np.array([True, False]),
    'half': np.float16([1, 2]),
    'complex': np.complex64([1 + 2j]),
    'objects': object_array(),
    'objects, fortran': np.asfortranarray(object_array()),
    'object, zero-dimensional': np.array({1: 2}, object),
    'scalars': [np.float32(3), np.int64(-5), np.bool_(True), np.str_('abc'), np.complex128(1j)],
    'dtypes': [np.dtype('>f8'), np.dtype('S3')],
    'containers': {
        'l': [1, [2.5, None]],
        't': (1, (ARRAY,)),
        's': {1, 'a'},
        'f': frozenset([2]),
        ('k', 1): True,
    },
    'numbers': [2**100, -1, 1 + 2j, float('inf')],
    'empty ones': [[], {}, (), set(), b'', ''],
    'binary': [b'\xff\x00a', bytearray(b'12'), bytearray(), 'ä€\n'],
}


def same(a: object, b: object) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return (
            a.dtype == b.dtype
            and a.shape == b.shape
            and (
                all(map(same, a.ravel(), b.ravel())) if a.dtype == object else np.array_equal(a, b)
            )
        )
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.fixture
def write(tmp_path):
    def write(data: bytes):
        path = tmp_path / 'file.pkl'
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize('protocol', range(6))
@pytest.mark.parametrize('name', VALUES)
def test_reads_what_pickle_reads(write, name, protocol):
    loaded = load_arrays(write(pickle.dumps(VALUES[name], protocol)))
    assert same(loaded, VALUES[name])
    if isinstance(loaded, np.ndarray):
        assert loaded.flags.writeable


@settings(max_examples=60, deadline=None)
@given(
    array=hnp.arrays(
        st.one_of(
            hnp.floating_dtypes(), hnp.integer_dtypes(), hnp.unicode_string_dtypes(max_len=3)
        ),
        hnp.array_shapes(max_dims=4, max_side=3),
    ),
    protocol=st.integers(0, 5),
)
def test_any_array_survives(tmp_path_factory, array, protocol):
    path = tmp_path_factory.getbasetemp() / 'any.pkl'
    path.write_bytes(pickle.dumps(array, protocol))
    loaded = load_arrays(path)
    assert loaded.dtype == array.dtype and loaded.shape == array.shape
    assert loaded.tobytes() == array.tobytes()


@pytest.mark.parametrize('protocol', [0, 2, 3, 4, 5])
def test_what_is_shared_stays_shared(write, protocol):
    inner = [ARRAY]
    inner.append(inner)  # a list that contains itself
    loaded = load_arrays(write(pickle.dumps({'a': ARRAY, 'b': inner, 'c': (ARRAY,)}, protocol)))
    assert loaded['a'] is loaded['b'][0] is loaded['c'][0]
    assert loaded['b'][1] is loaded['b']


@pytest.mark.parametrize('protocol', range(4))
def test_reads_pickles_of_numpy_2(write, protocol):
    data = pickle.dumps([ARRAY, ARRAY[0, 1]], protocol)
    assert b'numpy.core' in data
    assert same(
        load_arrays(write(data.replace(b'numpy.core.', b'numpy._core.'))), [ARRAY, ARRAY[0, 1]]
    )


def test_reads_the_transposed_arrays_of_numpy_2_3(write):
    """Protocol 5 of NumPy 2.3: bytes in memory order 'K', then the axes."""
    dtype = pickle.dumps(np.dtype('u1'), 2)[2:-1]
    data = (
        b'\x80\x05cnumpy._core.numeric\n_frombuffer\n(C\x06\x00\x01\x02\x03\x04\x05'
        + dtype
        + b'K\x02K\x03\x86\x8c\x01KK\x01K\x00\x86tR.'
    )
    assert np.array_equal(load_arrays(write(data)), np.arange(6).reshape(2, 3).T)


def python_2_array(dtype: bytes, data: bytes, count: int) -> bytes:
    """What Python 2 wrote: bytes are its `str`, for dtype, byte order and contents alike."""
    minus_one = b'J\xff\xff\xff\xff'
    return (
        b'cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR(K\x01(K'
        + bytes([count])
        + b'tcnumpy\ndtype\n(U'
        + bytes([len(dtype)])
        + dtype
        + b'K\x00K\x01tR(K\x03U\x01<NNN'
        + 2 * minus_one
        + b'K\x00tb\x89U'
        + bytes([len(data)])
        + data
        + b'tb'
    )


def test_reads_arrays_of_python_2(write):
    values = np.array([1.5, -2.0, 1e300])
    data = b'\x80\x02}U\x03key' + python_2_array(b'f8', values.tobytes(), 3) + b's.'
    loaded = load_arrays(write(data))
    assert list(loaded) == ['key'] and same(loaded['key'], values)


# --------------------------------------------------------------------------------------------------
# Hostile files. Each really works with Python's unpickler, or a version of NumPy: it runs a command
# that creates a marker.


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *args):
        self.reduced = function, args

    def __reduce__(self):
        return self.reduced


def short(text: str) -> bytes:
    return b'\x8c' + bytes([len(text)]) + text.encode()


def hostile(marker: str) -> dict[str, bytes]:
    touch = f'touch {marker}'
    python = f'__import__("os").system({touch!r})'
    payloads = {
        f'os.system, protocol {p}': pickle.dumps(Call(os.system, touch), p) for p in range(6)
    }
    return payloads | {
        'eval': pickle.dumps(Call(eval, python)),
        'exec': pickle.dumps(Call(exec, python)),
        'deep inside': pickle.dumps({'a': [ARRAY, (np.array([Call(eval, python)], object),)]}),
        'after arrays': pickle.dumps([ARRAY, Call(eval, python)], 2),
        'INST': f'(S{touch!r}\nios\nsystem\n.'.encode(),
        'OBJ': b'(cos\nsystem\n' + f'S{touch!r}\n'.encode() + b'o.',
        'in a set': pickle.dumps({1: {Call(eval, python)}}),
        'as a dictionary key': b'}cos\nsystem\n(S' + repr(touch).encode() + b'\ntRNs.',
        'popped before the end': b'cos\nsystem\n(S' + repr(touch).encode() + b'\ntR0N.',
        'names with dots': b'\x80\x04'
        + short('rpstn.safe_pickle')
        + short('os.system')
        + b'\x93'
        + short(touch)
        + b'\x85R.',
        'names with dots, from numpy': b'\x80\x04'
        + short('numpy')
        + short('testing.os.system' if hasattr(np.testing, 'os') else 'lib.npyio.os.system')
        + b'\x93'
        + short(touch)
        + b'\x85R.',
        'popen': pickle.dumps(Call(os.popen, touch), 2),
    }


HOSTILE = list(hostile('x'))


@pytest.mark.skipif(os.name != 'posix', reason="the commands are a POSIX shell's")
@pytest.mark.parametrize('name', HOSTILE)
def test_runs_nothing(write, tmp_path, name):
    marker = tmp_path / 'marker'
    path = write(hostile(str(marker))[name])
    with pytest.raises(
        UnsafePickleError,
        match=r"file\.pkl: it names '[\w.]+', which is refused; "
        'allowed are .*dict.*arrays',
    ):
        load_arrays(path)
    with pytest.raises(UnsafePickleError):  # nor does allowing a class open anything else
        load_arrays(path, allow={'chumpy.ch.Ch': dict})
    assert not marker.exists()


@pytest.mark.skipif(os.name != 'posix', reason="the commands are a POSIX shell's")
@pytest.mark.parametrize('name', HOSTILE)
def test_the_hostile_files_are_real(tmp_path, name):
    marker = tmp_path / 'marker'
    result = pickle.loads(hostile(str(marker))[name])
    if hasattr(result, 'read'):
        result.read()
    assert marker.exists(), 'this file tests nothing'


def test_extension_codes_are_refused(write, tmp_path):
    marker = tmp_path / 'marker'
    copyreg.add_extension(os.system.__module__, 'system', 200)
    try:
        data = pickle.dumps(Call(os.system, f'touch {marker}'), 2)
        assert b'\x82\xc8' in data  # EXT1
        with pytest.raises(UnsafePickleError, match='system'):
            load_arrays(write(data))
    finally:
        copyreg.remove_extension(os.system.__module__, 'system', 200)
    assert not marker.exists()


@pytest.mark.parametrize(
    'name',
    [
        'numpy.load',
        'numpy.save',
        'numpy.fromfile',
        'numpy.memmap',
        'numpy.frompyfunc',
        'numpy.matrix',
        'numpy.core.multiarray.fromfile',
        'numpy.testing._private.utils.runstring',
        'numpy.core.multiarray.array',
        'numpy.float64',
        'numpy.ma.core._mareconstruct',
        'builtins.getattr',
        'builtins.type',
        'builtins.__import__',
        'builtins.open',
        '__builtin__.eval',
        'builtins.dict',
        'functools.partial',
        'operator.attrgetter',
        'operator.methodcaller',
        'importlib.import_module',
        'pickle.loads',
        'collections.OrderedDict',
        'torch._utils._rebuild_tensor_v2',
        'scipy.sparse.csc.csc_matrix',
        'chumpy.ch.Ch',
        'joblib.numpy_pickle.NumpyArrayWrapper',
        'pathlib.PosixPath',
        'datetime.date',
        '_codecs.decode',
        'numpy.ndarray.tofile',
    ],
)
def test_other_names_are_refused_by_name(write, name):
    module, function = name.rsplit('.', 1)
    data = f'c{module}\n{function}\n.'.encode()
    with pytest.raises(UnsafePickleError, match=f"names '{name}', which is refused"):
        load_arrays(write(data))


@pytest.mark.parametrize(
    'module, name',
    [
        ('numpy', 'core.multiarray.scalar'),
        ('numpy.core.multiarray', 'scalar.__self__'),
        ('numpy', 'ndarray.__class__'),
        ('builtins', 'set.__class__.__base__'),
        ('', 'numpy.dtype'),
    ],
)
def test_names_with_dots_are_refused_whatever_they_begin_with(write, module, name):
    with pytest.raises(UnsafePickleError, match='it names .* which is refused'):
        load_arrays(write(b'\x80\x04' + short(module) + short(name) + b'\x93.'))


# A data type that says that its objects are no objects: NumPy takes bytes for addresses then, which
# is how a pickle that names nothing but NumPy's own could run code.
OBJECT = b'cnumpy\ndtype\n(S"O8"\nI0\nI1\ntR(I3\nS"|"\nNNNI-1\nI-1\nI63\ntb'
ADDRESSES = (
    b'cnumpy\ndtype\n(S"V8"\nI0\nI1\ntR(I3\nS"|"\nN(S"a"\nt(dS"a"\n('
    + OBJECT
    + b'I0\ntsI8\nI1\nI0\ntb'
)
UNSIGNED = b'cnumpy\ndtype\n(S"u1"\nI0\nI1\ntR(I3\nS"|"\nNNNI-1\nI-1\nI0\ntb'
RECONSTRUCT = b'cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS"b"\ntR'


def array_state(shape: bytes, dtype: bytes, data: bytes) -> bytes:
    return RECONSTRUCT + b'(I1\n(' + shape + b't' + dtype + b'I00\n' + data + b'tb.'


BAD_ARGUMENTS = {
    'objects as bytes': array_state(b'I1\n', OBJECT, b'S"AAAAAAAA"\n'),
    'objects as bytes, in a field': array_state(b'I1\n', ADDRESSES, b'S"AAAAAAAA"\n'),
    'fewer bytes than items': array_state(b'I9\n', UNSIGNED, b'S"AAAAAAAA"\n'),
    'more bytes than items': array_state(b'I7\n', UNSIGNED, b'S"AAAAAAAA"\n'),
    'a size that overflows': array_state(b'L4294967296L\nL4294967296L\n', UNSIGNED, b'S""\n'),
    'a negative size': array_state(b'I-8\n', UNSIGNED, b'S"AAAAAAAA"\n'),
    'fewer objects than items': array_state(b'I9\n', OBJECT, b'(lN'[:2] + b'Na'),
    'a dtype that is none': array_state(b'I8\n', b'S"u1"\n', b'S"AAAAAAAA"\n'),
    'a field outside its type': array_state(
        b'I1\n', ADDRESSES.replace(b'I0\ntsI8', b'I4\ntsI8'), b'S"AAAAAAAA"\n'
    ),
    'an array without contents': RECONSTRUCT + b'.',
    'a dtype from a string expression': b'cnumpy\ndtype\n(S"f8,(2,2)i4"\ntR.',
    'a dtype from a dictionary': b'cnumpy\ndtype\n((dtR.',
    'a scalar of too few bytes': b'cnumpy.core.multiarray\nscalar\n('
    + UNSIGNED.replace(b'u1', b'u8')
    + b'S"AA"\ntR.',
    'a scalar object': b'cnumpy.core.multiarray\nscalar\n(' + OBJECT + b'(ltR.',
    'an array of another class': b'cnumpy.core.multiarray\n_reconstruct\n(c__builtin__\nset\n(I0\nt'
    b'S"b"\ntR.',
    'a call of the array class': b'cnumpy\nndarray\n((I9\nttR.',
    'bytes of a size': b'c__builtin__\nbytes\n(I99999999999\ntR.',
    'bytearray of a size': b'c__builtin__\nbytearray\n(I99999999999\ntR.',
    'encoding by a codec that computes': b'c_codecs\nencode\n(S"abc"\nS"zip"\ntR.',
    'a function among the values': b'(cnumpy.core.multiarray\nscalar\nl.',
    'a dtype with fields': b'cnumpy\ndtype\n(S"V4"\ntR(I3\nS"|"\nN(S"a"\nt(dNI-1\nI-1\nI0\ntb.',
    'an array that holds itself': RECONSTRUCT + b'p0\n(I1\n(I1\nt' + OBJECT + b'I00\n(lg0\natb.',
}


@pytest.mark.parametrize('name', BAD_ARGUMENTS)
def test_allowed_names_with_hostile_arguments(write, name):
    with pytest.raises(UnsafePickleError, match=r'file\.pkl: '):
        load_arrays(write(BAD_ARGUMENTS[name]))


def test_nothing_outlives_a_file(write):
    """A file that sets attributes of what it names does not change how the next one is read."""
    for name in (b'cnumpy\ndtype\n', b'cmodel\nPoint\n', b'cnumpy.core.multiarray\n_reconstruct\n'):
        for state in (b'(dS"build"\nI1\nsb.', b'(N(dS"__setstate__"\nc__builtin__\nset\nstb.'):
            with pytest.raises(BadPickleError):
                load_arrays(write(name + state), allow={'model.Point': dict})
    assert same(load_arrays(write(pickle.dumps(ARRAY))), ARRAY)


# --------------------------------------------------------------------------------------------------
# Allowed classes.


class Point:
    """Stands for a class of a library that need not be installed."""


@pytest.mark.parametrize('protocol', range(6))
def test_allowed_classes_become_what_is_made_of_their_state(write, protocol, monkeypatch):
    point = Point()
    point.x, point.parts = ARRAY, [ARRAY]
    data = pickle.dumps({'a': point, 'b': (point, [point])}, protocol)
    monkeypatch.setattr(Point, '__setstate__', lambda *_: pytest.fail('it was executed'), False)
    loaded = load_arrays(write(data), allow={f'{__name__}.Point': lambda state: state['x'] + 1})
    assert np.array_equal(loaded['a'], ARRAY + 1)
    assert loaded['a'] is loaded['b'][0] is loaded['b'][1][0]
    with pytest.raises(UnsafePickleError, match=r"names '.*(Point|_reconstructor)'"):
        load_arrays(write(data))


@pytest.mark.parametrize(
    'data, message',
    [
        (
            b'ccopy_reg\n_reconstructor\n(cos\nsystem\nc__builtin__\nobject\nNtR.',
            "names 'os.system'",
        ),
        (b'c__builtin__\nobject\n)R.', "'__builtin__.object' is not as expected: .* it is called"),
        (b'cmodel\nPoint\n)R.', "'model.Point' is not as expected: TypeError"),
        (b'cmodel\nPoint\n(I1\ntR.', "'model.Point' is not as expected: TypeError"),
        (b'cmodel\nPoint\n.', "'model.Point' itself is among the values"),
        (b'cmodel\nPoint\n)R(dS"y"\nI1\nsb.', "'model.Point' is not as expected: KeyError: 'x'"),
        (b'cmodel\nPoint\n)Rp0\n(dS"x"\ng0\nsb.', 'contains itself'),
    ],
    ids=[
        'another class',
        'object()',
        'no state',
        'arguments',
        'the class',
        'unexpected state',
        'itself',
    ],
)
def test_allowed_classes_with_hostile_use(write, data, message):
    with pytest.raises(UnsafePickleError, match=message):
        load_arrays(write(data), allow={'model.Point': lambda state: state['x']})


# --------------------------------------------------------------------------------------------------
# Broken files.


@pytest.mark.parametrize('protocol', [0, 2, 4, 5])
def test_a_truncated_file_is_named(write, protocol):
    data = pickle.dumps({'keypoint': ARRAY, 'label': [1, 'a']}, protocol)
    for length in range(len(data)):
        with pytest.raises(BadPickleError, match=r'file\.pkl: truncated'):
            load_arrays(write(data[:length]))


@pytest.mark.parametrize(
    'data, message',
    [
        (b'\x93NUMPY\x01\x00', 'not a pickle'),
        (b'{"a": 1}', 'not a pickle'),
        (pickle.dumps(1) + pickle.dumps(2), 'there is more after the end'),
        (b'Pmodule\n.', 'persistent'),
        (b'\x80\x63N.', 'unsupported pickle protocol'),
        (b'\x80\x04\x8d' + struct.pack('<Q', 1 << 62) + b'.', 'truncated'),
        (b'(' * 5000 + b'l' * 5000 + b'.', 'not a pickle|Recursion'),
    ],
    ids=['npy', 'json', 'two', 'persistent id', 'protocol', 'length', 'nesting'],
)
def test_other_files_are_refused(write, data, message):
    with pytest.raises(BadPickleError, match=message) as caught:
        load_arrays(write(data))
    assert isinstance(caught.value, RPSTNError) and isinstance(caught.value, ValueError)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_arrays(tmp_path / 'none.pkl')
