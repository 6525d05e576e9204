"""Penn Action's label files as they are, without a data set around them."""

import numpy as np
import pytest
import scipy.io

from rpstn.data.penn_action import read_penn_labels
from rpstn.errors import BadSequenceError


@pytest.fixture
def write(tmp_path):
    """A function that writes one label file with 6 frames."""

    def write(name, **fields):
        x = np.random.default_rng(int(name)).uniform(12, 40, (6, 13))
        content = dict(
            x=x,
            y=x + 1,
            visibility=np.ones((6, 13), np.uint8),
            bbox=np.tile(np.uint8([0, 9, 55, 45]), (5, 1)),
            train=-1,
            nframes=6,
            action='bowl',
            dimensions=np.array([[48, 64, 6]], np.uint16),
        )
        (tmp_path / 'labels').mkdir(exist_ok=True)
        scipy.io.savemat(tmp_path / f'labels/{name}.mat', {**content, **fields})
        return x

    return write


def test_what_a_file_says(write, tmp_path):
    x, hidden = write('0012'), np.ones((6, 13), np.uint8)
    hidden[0, 1:] = 0
    corner = np.full((6, 13), 20.0)
    corner[0, [0, 1, 2]] = 1, 1.5, 2.5
    write('0013', x=corner, y=corner, visibility=hidden, train=1)
    test, training = read_penn_labels(tmp_path)
    assert (test.name, test.source, test.action, test.training) == ('0012', '001', 'bowl', False)
    assert test.file == tmp_path / 'labels/0012.mat' and test.image_size == (64, 48)
    np.testing.assert_allclose(test.keypoints(), np.stack([x - 1, x], 2), rtol=1e-6)
    # One box less than frames; 1-based bytes do not wrap around.
    np.testing.assert_array_equal(test.boxes, [[-1, 8, 54, 44]] * 5)
    assert training.training and training.error == ''
    # A visible joint in the corner is one; a hidden one there was not annotated.
    np.testing.assert_allclose(training.keypoints()[0, :3, 0], [0, np.nan, 1.5])
    np.testing.assert_array_equal(training.visible, hidden)


def test_a_bad_file_stops_no_other(write, tmp_path):
    for name, fields in (('0001', {}), ('0002', dict(y=np.full((6, 13), np.inf)))):
        write(name, **fields)
    (tmp_path / 'labels/0003.mat').write_bytes(b'no MATLAB file')
    write('0004', nframes=7)
    write('0005', dimensions=np.array([[1e30, 64, 6]]))
    write('0006', dimensions='large')
    write('0007', bbox=np.full((5, 4), 1e30))
    write('0008', x=np.full((6, 13), -1e9))
    write('0009', x=np.array([['x']], object))
    write('0010', visibility='yes')
    good, infinite, damaged, short, *hostile = read_penn_labels(tmp_path)
    assert np.isfinite(good.keypoints()).all()
    for labels, message in (
        (infinite, r'0002\.mat: x and y must be finite, got \[.*inf\] for joint 0 of frame 0'),
        (damaged, r'0003\.mat: cannot be read as a Penn Action label file'),
        (short, r'0004\.mat: .*x must be \(nframes, 13\) = \(7, 13\), got \(6, 13\)'),
        (hostile[0], r'0005\.mat: .*dimensions must be .* got 1e\+30 and 64'),
        (hostile[1], r'0006\.mat: cannot be read as a Penn Action label file'),
        (hostile[2], r'0007\.mat: .*bbox must lie within 10,000,000 of the origin'),
        (hostile[3], r'0008\.mat: .*x must lie within 10,000,000 of the origin'),
        (hostile[4], r'0009\.mat: .*x as cell, not as numbers or text'),
        (hostile[5], r'0010\.mat: cannot be read as a Penn Action label file'),
    ):
        with pytest.raises(BadSequenceError, match=message):
            labels.keypoints()


def test_no_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no label files \(NNNN\.mat\)'):
        read_penn_labels(tmp_path)
