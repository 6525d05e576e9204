"""Confusion matrices: the table, and pictures whose cells have the colours they should."""

import cv2
import numpy as np
import pytest
from matplotlib import colormaps

from rpstn.form.evaluation.confusion import confusion_table, plot_confusion_matrix, row_shares


def test_table_has_true_classes_in_rows():
    table = confusion_table(np.array([[5, 1], [0, 7]]), ['good', 'shallow'])
    assert table.splitlines() == [
        '| true \\ predicted |   0 |   1 |',
        '| ---------------- | --: | --: |',
        '| 0 good           |   5 |   1 |',
        '| 1 shallow        |   0 |   7 |',
    ]


def test_shares_are_of_the_true_class():
    shares = row_shares(np.array([[3, 1], [0, 0]]))
    np.testing.assert_array_equal(shares, [[0.75, 0.25], [np.nan, np.nan]])


@pytest.mark.parametrize('count', [2, 7, 15])
def test_picture_has_row_shares_for_colours(count, tmp_path):
    """Searched by colour: dark cells on the diagonal alone, and one grey row."""
    matrix = np.diag(np.arange(count) * 100)  # the first class has no sample
    plot_confusion_matrix(matrix, [f'a_class_{k}' for k in range(count)], tmp_path / 'c.png')
    image = cv2.imread(str(tmp_path / 'c.png'))
    assert min(image.shape[:2]) > 500

    def areas(rgb):
        """Left, top, width, height of connected areas of the colour, letters left out."""
        mask = (np.abs(image.astype(int) - np.array(rgb)[::-1]) <= 3).all(-1).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        return [s[:4] for s in stats[1:] if s[4] > 300]

    blue = np.array(colormaps['Blues'](1.0)[:3]) * 255
    dark = [a for a in areas(blue) if abs(a[2] - a[3]) < 5]  # not the colour bar's end
    assert len(dark) == count - 1
    rows, columns = np.argsort([a[1] for a in dark]), np.argsort([a[0] for a in dark])
    assert (rows == columns).all()  # down and to the right
    grey = max(areas([211] * 3), key=lambda a: a[2])
    assert grey[1] < min(a[1] for a in dark)  # the first row, all of it
    assert grey[2] > 0.95 * count * dark[0][2]


def test_wrong_shape_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"2 x 2 counts for the classes \('a', 'b'\).*\(3, 3\)"):
        plot_confusion_matrix(np.eye(3), ['a', 'b'], tmp_path / 'c.png')
