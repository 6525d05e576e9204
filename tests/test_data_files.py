"""Files of data that lie about their size, or would fill the memory, are refused."""

import io
import json
import os
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from rpstn import limits
from rpstn.data_files import read_json, read_lines, read_mat, read_npy, read_npz
from rpstn.errors import SettingError
from rpstn.form.datasets.converters import convert_joints_folder, read_joints
from rpstn.form.datasets.sequence import BadSkeletonError
from rpstn.limits import LimitError
from rpstn.safe_pickle import BadPickleError, load_arrays

CHEAP = 20 << 20  # bytes


@pytest.fixture
def cheap():
    """Nothing here may take memory before it is refused."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < CHEAP


def header(shape: tuple[int, ...], dtype: str = '<f8') -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, dict(descr=dtype, fortran_order=False, shape=shape))
    return file.getvalue()


def npz(path: Path, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, 'w', method) as archive:
        archive.writestr('keypoints.npy', content)
    return path


def bomb(path: Path, size: int) -> Path:
    """An array of zeros, which deflate packs a thousandfold."""
    with (
        zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive,
        archive.open('keypoints.npy', 'w') as member,
    ):
        member.write(header((size,), '|u1'))
        for _ in range(size >> 20):
            member.write(bytes(1 << 20))
    return path


def hostile_npz(folder: Path) -> dict[str, Path]:
    damaged = bytearray(npz(folder / 'd.npz', header((4,)) + bytes(32)).read_bytes())
    damaged[60:70] = b'\xff' * 10
    (folder / 'd.npz').write_bytes(damaged)
    plain = folder / 'text.npz'
    plain.write_text('no archive')
    empty = folder / 'empty.npz'
    empty.write_bytes(b'')
    objects = folder / 'objects.npz'
    np.savez(objects, keypoints=np.array([{}], object))
    return {
        'rows that are not there': npz(folder / 'a.npz', header((10**12, 17, 2)) + bytes(99)),
        'fewer rows than there': npz(folder / 'b.npz', header((5,)) + bytes(9)),
        'negative': npz(folder / 'c.npz', header((-5,)) + bytes(9)),
        'rows of nothing': npz(folder / 'e.npz', header((10**15,), '|S0')),
        'no array': npz(folder / 'f.npz', b'no array'),
        'a dtype as large': npz(folder / 'g.npz', header((1,), '|V2000000000') + bytes(9)),
        'another packing': npz(folder / 'h.npz', header((1,)) + bytes(8), zipfile.ZIP_LZMA),
        'unpacks to more': bomb(folder / 'i.npz', 64 << 20),
        'damaged': folder / 'd.npz',
        'text': plain,
        'nothing': empty,
        'objects': objects,
    }


def test_an_npz_is_what_its_headers_say_or_refused(tmp_path, monkeypatch, cheap):
    monkeypatch.setenv('RPSTN_MAX_UNPACKED_BYTES', str(8 << 20))
    hostile = hostile_npz(tmp_path)
    tracemalloc.reset_peak()
    for kind, path in hostile.items():
        with pytest.raises(ValueError, match='.') as refused:
            read_npz(path)
        assert '\n' not in str(refused.value), kind
        with pytest.raises(BadSkeletonError) as refused:
            read_joints(path)
        assert str(refused.value).startswith(f'{path}: the file must be an .npz of plain arrays')


def test_arrays_are_read_as_they_are(tmp_path):
    arrays = dict(
        a=np.arange(6.0).reshape(2, 3),
        b=np.asfortranarray(np.arange(6, dtype='>i2').reshape(2, 3)),
        c=np.array(['x', 'yy']),
        d=np.float64(2),
        e=np.zeros((0, 3)),
    )
    np.savez_compressed(tmp_path / 'a.npz', **arrays)
    read = read_npz(tmp_path / 'a.npz')
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
    np.save(tmp_path / 'a.npy', arrays['b'])
    np.testing.assert_array_equal(read_npy(tmp_path / 'a.npy'), arrays['b'])
    (tmp_path / 'b.npy').write_bytes(header((10**12,)) + bytes(9))
    with pytest.raises(ValueError, match='above the limit'):
        read_npy(tmp_path / 'b.npy')
    unread: dict[str, str] = {}
    assert not read_npz(npz(tmp_path / 'c.npz', header((10**12,))), unread)
    assert 'above the limit of' in unread['keypoints']


def test_arrays_of_a_file_count_together(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / 'a.npz', a=np.zeros(500), b=np.zeros(500))
    monkeypatch.setenv('RPSTN_MAX_UNPACKED_BYTES', '8000')
    assert len(read_npz(tmp_path / 'a.npz')) == 2
    monkeypatch.setenv('RPSTN_MAX_UNPACKED_BYTES', '7999')
    with pytest.raises(LimitError, match=r'^b: 8,000 unpacked bytes, above the limit of 7,999 \('):
        read_npz(tmp_path / 'a.npz')


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('[' * 101 + ']' * 101, '101 levels of lists and objects'),
        ('{"a":' * 100_000, '100,000 levels'),
        ('[[["' + '[' * 500 + r'\"' + '{' * 500, 'Unterminated string'),
        ('[' * 50, 'Expecting value'),
        ('{"a": ' + '[' * 98 + '"]]]]]"' + ']' * 98 + '}', None),
        ('["' + '[' * 5000 + r'\\"]', None),
        ('', 'Expecting value'),
    ],
    ids=range(7),
)
def test_json_nests_so_deep(tmp_path, text, said):
    path = tmp_path / 'a.json'
    path.write_text(text)
    if said is None:
        assert read_json(path) == json.loads(text)
        return
    with pytest.raises(ValueError, match=said):
        read_json(path)
    with pytest.raises(BadSkeletonError, match='a.json: the file must be JSON') as refused:
        read_joints(path)
    assert '\n' not in str(refused.value)


@pytest.mark.parametrize('digits', [19, 400, 5000, 500_000])
def test_long_numbers_in_json(tmp_path, digits):
    path = tmp_path / 'a.json'
    number = '9' * digits
    path.write_text(f'{{"a": [{number}, -{number}, 1234567890123456]}}')
    value, opposite, plain = read_json(path)['a']
    assert type(value) is float and value == -opposite and plain == 1234567890123456
    frame = [[1.0, 2.0]] * 16
    for spoiled in ([*frame, [number, 1]], {'keypoints': frame, 'frame': number}):
        text = json.dumps([{'keypoints': frame}, spoiled]).replace(f'"{number}"', number)
        path.write_text(text)
        with pytest.raises(BadSkeletonError, match=r'a\.json: ') as refused:
            read_joints(path)
        assert '\n' not in str(refused.value)
    for head in ('"fps"', '"size"'):
        path.write_text(f'{{{head}: {number}, "frames": {json.dumps([frame] * 3)}}}')
        with pytest.raises(BadSkeletonError, match=r'a\.json: '):
            read_joints(path)


def test_rows_are_counted_before_they_are_kept(tmp_path, monkeypatch):
    long = tmp_path / 'long.csv'
    long.write_text('frame,joint,x,y\n' + ''.join(f'{t},nose,1,2\n' for t in range(10_001)))
    wide = tmp_path / 'wide.csv'
    wide.write_text(
        'frame,' + ','.join(f'{j}_{s}' for j in range(100) for s in 'xy') + '\n'
        + ''.join(f'{t}' + ',1' * 200 + '\n' for t in range(101))
    )  # fmt: skip
    trc = tmp_path / 'a.trc'
    head = 'Frame#\tTime\t' + '\t\t\t'.join(f'm{i}' for i in range(100))
    rows = ''.join(f'{t}\t0' + '\t1' * 300 + '\n' for t in range(101))
    trc.write_text(f'a\nb\nc\n{head}\nX1\n{rows}')
    array = tmp_path / 'a.npz'
    np.savez(array, np.zeros((101, 100, 2)))
    points = tmp_path / 'a.json'
    points.write_text(json.dumps([[[1, 2]] * 100] * 101))
    monkeypatch.setenv('RPSTN_MAX_ROWS', '10000')
    for path in (long, wide, trc, array, points):
        with pytest.raises(BadSkeletonError) as refused:
            read_joints(path)
        assert 'above the limit of 10,000 (RPSTN_MAX_ROWS)' in str(refused.value), path
        assert str(refused.value).startswith(f'{path}: ') and '\n' not in str(refused.value)
    monkeypatch.setenv('RPSTN_MAX_ROWS', '10100')
    assert len(read_joints(wide).keypoints) == len(read_joints(trc).keypoints) == 101


def test_a_line_without_an_end_is_not_read_to_its_end(tmp_path, cheap):
    path = tmp_path / 'a.csv'
    with open(path, 'wb') as file:
        file.truncate(100 << 20)
    with pytest.raises(ValueError, match='a line of more than'):
        list(read_lines(path))
    with pytest.raises(BadSkeletonError, match='a.csv: the file must be CSV'):
        read_joints(path)


def test_frames_far_apart_times_many_joints(tmp_path):
    path = tmp_path / 'a.csv'
    with open(path, 'w') as file:
        file.write('frame,joint,x,y\n')
        file.writelines(f'{100 * t},j{t},1,2\n' for t in range(3000))
    with pytest.raises(BadSkeletonError, match='a.csv: all of it.*unpacked bytes, above the limit'):
        read_joints(path)


@pytest.mark.parametrize('value', ['1e30', '-1e8', '1e300'])
def test_what_is_farther_than_any_joint_is_refused(tmp_path, value):
    path = tmp_path / 'a.csv'
    path.write_text(f'frame,joint,x,y\n0,nose,{value},2\n1,nose,1,2\n')
    with pytest.raises(BadSkeletonError, match=r'line 2: .* within 10,000,000 of the origin'):
        read_joints(path)


def test_what_is_hostile_is_skipped_where_that_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv('RPSTN_MAX_UNPACKED_BYTES', str(8 << 20))
    root = tmp_path / 'root'
    (root / 'good').mkdir(parents=True)
    hostile = hostile_npz(root / 'good')
    (root / 'good' / 'deep.json').write_text('[' * 9999)
    (root / 'good' / 'digits.json').write_text(f'[[[{"9" * 400}, 1]]]')
    (root / 'good' / 'z.csv').write_text(
        'frame,' + ','.join(f'joint{j}_x,joint{j}_y' for j in range(3)) + '\n0,1,2,3,4,5,6\n' * 1
    )
    np.savez(
        root / 'good' / os.fsdecode(b'fine-\xff.npz'),
        np.random.default_rng(0).uniform(9, 99, (5, 17, 2)),
    )
    done = convert_joints_folder(root, tmp_path / 'out', skeleton='coco17', skip_bad=True)
    kept = read_npz(tmp_path / 'out' / 'keypoints2d.npz')
    assert list(kept) == [r'good/fine-\xff']
    assert r'good/fine-\xff' in (tmp_path / 'out' / 'labels.csv').read_bytes().decode()
    assert done.skipped
    with pytest.raises(BadSkeletonError) as refused:
        convert_joints_folder(root, tmp_path / 'out2', skeleton='coco17')
    assert str(refused.value).startswith(str(root))
    assert len(hostile) == 12


def mat5(elements: bytes) -> bytes:
    return b'MATLAB 5.0 MAT-file'.ljust(124) + b'\x00\x01IM' + elements


def test_mat_files_hold_numbers_within_limits(tmp_path, monkeypatch):
    path = tmp_path / 'a.mat'
    scipy.io.savemat(path, dict(x=np.arange(4), name='squat', other={'a': 1}), do_compression=True)
    read = read_mat(path, ['x', 'name', 'absent'])
    assert (
        read['x'].tolist() == [[0, 1, 2, 3]] and read['name'].item() == 'squat' and len(read) == 2
    )
    with pytest.raises(ValueError, match='other as struct, not as numbers or text'):
        read_mat(path, ['other'])
    path.write_bytes(b'no such file')
    with pytest.raises(ValueError, match=r'not a \.mat file'):
        read_mat(path, ['x'])
    packed = zlib.compress(bytes(64 << 20))
    path.write_bytes(mat5(struct.pack('<II', 15, len(packed)) + packed))
    monkeypatch.setenv('RPSTN_MAX_UNPACKED_BYTES', str(4 << 20))
    with pytest.raises(LimitError, match=r'more than 4,194,304 unpacked bytes, above the limit'):
        read_mat(path, ['x'])


def test_cells_in_cells_do_not_end_the_process(tmp_path):
    """SciPy's reader calls itself for each, in C."""

    def element(kind: int, data: bytes) -> bytes:
        return struct.pack('<II', kind, len(data)) + data + bytes(-len(data) % 8)

    head = element(6, struct.pack('<II', 1, 0)) + element(5, struct.pack('<ii', 1, 1))
    level = len(head + element(1, b'x')) + 8
    depth = 50_000
    body = b''.join(
        struct.pack('<II', 14, (depth - i) * level - 8) + head + element(1, b'x')
        for i in range(depth)
    )
    path = tmp_path / 'a.mat'
    path.write_bytes(mat5(body))
    with pytest.raises(ValueError, match='x as cell'):
        read_mat(path, ['x'])


@pytest.mark.parametrize('name', ['a.json', 'a.npz', 'a.npy', 'a.mat', 'a.pkl'])
def test_every_file_read_as_a_whole_has_a_limit(tmp_path, cheap, name):
    path = tmp_path / name
    with open(path, 'wb') as file:
        file.truncate(2 << 30)  # of holes
    readers = dict(json=read_json, npz=read_npz, npy=read_npy, pkl=load_arrays)
    reader = readers.get(name[2:], lambda path: read_mat(path, ['x']))
    with pytest.raises((LimitError, BadPickleError), match='2,147,483,648 bytes, above the limit'):
        reader(path)


@pytest.mark.parametrize('text', ['0', '-1', 'many', '1e9', '9' * 30, '1.5'])
def test_limits_are_whole_numbers(monkeypatch, text):
    monkeypatch.setenv('RPSTN_MAX_PIXELS', text)
    with pytest.raises(SettingError, match='RPSTN_MAX_PIXELS must be a whole number above 0, got'):
        limits.PIXELS.check(1)
