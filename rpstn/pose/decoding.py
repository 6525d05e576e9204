"""Heatmaps to joints as MMPose's codec, all joints at once.

:class:`mmpose.codecs.MSRAHeatmap` refines joint by joint, and for DARK (Zhang et al.,
"Distribution-Aware Coordinate Representation for Human Pose Estimation", CVPR 2020) blurs map by
map and takes the logarithm of all cells; of a live frame that is a good part of the time.

Shapes: K joints, (h, w) heatmap cells.
"""

from __future__ import annotations

import cv2
import numpy as np
from mmpose.codecs import MSRAHeatmap
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.codecs.utils import get_heatmap_maximum

from .calibration import CalibratedHeatmap

_LEAST = 1e-10
"""What MMPose clips a map to before its logarithm."""


def decode_heatmaps(
    codec: BaseKeypointCodec, heatmaps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What ``codec.decode`` answers, faster of :class:`MSRAHeatmap` and of
    :class:`CalibratedHeatmap`.

    Args:
        codec: any of MMPose's for heatmaps.
        heatmaps: (K, h, w) float32, not changed.

    Returns:
        (1, K, 2) or more numbers to a joint, input pixels, and scores (1, K).
    """
    if type(codec) not in (MSRAHeatmap, CalibratedHeatmap):
        return codec.decode(heatmaps)
    cells, peaks = get_heatmap_maximum(heatmaps)
    # Of a map without a positive value the cell is (-1, -1), which no refinement takes for inside.
    columns, rows = cells.astype(int).T
    if codec.unbiased:
        cells += _taylor_steps(heatmaps, columns, rows, codec.blur_kernel_size)
    else:
        cells += _quarter_steps(heatmaps, columns, rows)
    scores = codec.shares(peaks) if isinstance(codec, CalibratedHeatmap) else peaks
    return cells[None] * codec.scale_factor, scores[None]


def _quarter_steps(heatmaps: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(K, 2): a quarter of a cell towards the greater neighbour in x and in y."""
    height, width = heatmaps.shape[1:]
    steps = np.zeros((len(heatmaps), 2), np.float32)
    # Which cells are inside is MMPose's choice: a border of two cells to the left, one to the right
    # in the direction itself, one and none across.
    (inside,) = np.nonzero((columns > 1) & (columns < width - 1) & (rows > 0))
    x, y = columns[inside], rows[inside]
    steps[inside, 0] = heatmaps[inside, y, x + 1] - heatmaps[inside, y, x - 1]
    (inside,) = np.nonzero((rows > 1) & (rows < height - 1) & (columns > 0))
    x, y = columns[inside], rows[inside]
    steps[inside, 1] = heatmaps[inside, y + 1, x] - heatmaps[inside, y - 1, x]
    return np.sign(steps) * np.float32(0.25)


def _taylor_steps(
    heatmaps: np.ndarray, columns: np.ndarray, rows: np.ndarray, kernel_size: int
) -> np.ndarray:
    """(K, 2): to the top of the parabola that fits the logarithm of the blurred map."""
    height, width = heatmaps.shape[1:]
    steps = np.zeros((len(heatmaps), 2), np.float32)
    (inside,) = np.nonzero((columns > 1) & (columns < width - 2) & (rows > 1) & (rows < height - 2))
    if not len(inside):
        return steps
    maps = heatmaps[inside]
    blurred = _blurred(maps, kernel_size)
    # As high as before; and only what is looked at, two cells around.
    scale = maps.max((1, 2)) / blurred.max((1, 2))
    around = np.arange(-2, 3)
    near = blurred[
        np.arange(len(inside))[:, None, None],
        rows[inside, None, None] + around[:, None],
        columns[inside, None, None] + around,
    ]
    logs = np.log(np.maximum(near * scale[:, None, None], np.float32(_LEAST)))
    middle = 2 * logs[:, 2, 2]
    dx, dy = 0.5 * (logs[:, 2, 3] - logs[:, 2, 1]), 0.5 * (logs[:, 3, 2] - logs[:, 1, 2])
    dxx = 0.25 * (logs[:, 2, 4] - middle + logs[:, 2, 0])
    dyy = 0.25 * (logs[:, 4, 2] - middle + logs[:, 0, 2])
    dxy = 0.25 * (logs[:, 3, 3] - logs[:, 1, 3] - logs[:, 3, 1] + logs[:, 1, 1])
    determinant = dxx * dyy - dxy**2
    curved = determinant != 0
    top = np.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], axis=1)
    steps[inside[curved]] = top[curved] / determinant[curved, None]
    return steps


def _blurred(maps: np.ndarray, kernel_size: int) -> np.ndarray:
    """Maps (N, h, w), each by itself with zeros around it, under a Gaussian."""
    # All in one image, one below the other, so far apart that none sees the next.
    apart = np.pad(maps, ((0, 0), (0, kernel_size // 2), (0, 0)))
    image = apart.reshape(-1, maps.shape[2])
    blurred = cv2.GaussianBlur(image, (kernel_size, kernel_size), 0, borderType=cv2.BORDER_CONSTANT)
    return blurred.reshape(apart.shape)[:, : maps.shape[1]]
