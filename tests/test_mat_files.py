"""MATLAB's files read as SciPy reads them, and damaged ones refused rather than crashed on."""

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from rpstn.mat_files import parse_mat

DATA = Path(__file__).parents[2] / 'shared/data'
CONTENT = dict(
    x=np.random.default_rng(0).uniform(size=(6, 13)),
    small=np.array([[3]], np.uint8),
    big=np.arange(24, dtype=np.int32).reshape(2, 3, 4),
    flags=np.array([[True, False]]),
    action='squat',
    rows=np.array(['one', 'two']),
    empty=np.zeros((0, 3)),
    cell=np.array([1, 'a'], object),
)
NAMES = tuple(name for name in CONTENT if name != 'cell')


@pytest.mark.parametrize('packed', [False, True])
def test_as_scipy_reads_it(tmp_path, packed):
    path = tmp_path / 'a.mat'
    scipy.io.savemat(path, CONTENT, do_compression=packed)
    found, expected = parse_mat(path.read_bytes(), NAMES), scipy.io.loadmat(path)
    assert found.keys() == set(NAMES)
    for name in NAMES:
        assert found[name].dtype == expected[name].dtype, name
        np.testing.assert_array_equal(found[name], expected[name])
    with pytest.raises(ValueError, match='cell as cell, not as numbers or text'):
        parse_mat(path.read_bytes(), ('cell',))


def test_no_byte_crashes_it(tmp_path):
    """SciPy's ends the process where a byte of a tag is another."""
    path = tmp_path / 'a.mat'
    scipy.io.savemat(path, dict(x=CONTENT['x'], action='squat', small=CONTENT['small']))
    data, refused = path.read_bytes(), 0
    for place in range(128, len(data)):
        for value in (0, 1, 0x7F, 0xFF):
            changed = data[:place] + bytes([value]) + data[place + 1 :]
            try:
                parse_mat(changed, ('x', 'action', 'small'))
            except ValueError:
                refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    ('pattern', 'fields'),
    [
        (
            'penn_action/labels/*.mat',
            ('action', 'bbox', 'dimensions', 'nframes', 'train', 'visibility', 'x', 'y'),
        ),
        ('jhmdb/joint_positions/*/*/joint_positions.mat', ('pos_img', 'pos_world', 'scale')),
    ],
)
def test_all_published_labels_are_as_scipy_reads_them(pattern, fields):
    files = sorted(DATA.glob(pattern))
    if not files:
        pytest.skip(f'needs {DATA / pattern}')
    for path in files:
        found = parse_mat(path.read_bytes(), fields)
        expected = scipy.io.loadmat(path, variable_names=fields)
        assert found.keys() == {name for name in expected if not name.startswith('__')}, path
        for name in found:
            assert found[name].dtype == expected[name].dtype, (path, name)
            np.testing.assert_array_equal(found[name], expected[name], str(path))
