"""A skeleton drawn on an image.

K joints, L limbs.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from rpstn.choices import kpt_thr_of
from rpstn.files import WriteError, write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BOX_COLOR = (200, 200, 200)
_SHIFT = 3  # positions in eighths of a pixel, so that a slow joint does not jump
_MARGIN = 4
_Point = tuple[int, int]
_Color = tuple[int, int, int]


def write_image(path: str | os.PathLike, image: np.ndarray, quality: int = 95) -> None:
    """Write an image (H, W), or (H, W, 3) BGR, uint8, whole or not at all.

    Not by OpenCV's own `imwrite`, which does not tell of a full disk.

    Args:
        path: its suffix says the format.
        image: to write.
        quality: of a JPEG, up to 100.

    Raises:
        WriteError: it cannot be written.
    """
    write_bytes(path, encode_image(path, image, quality))


def encode_image(path: str | os.PathLike, image: np.ndarray, quality: int = 95) -> bytes:
    """The bytes of what :func:`write_image` writes."""
    try:
        coded = cv2.imencode(Path(path).suffix, image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    except cv2.error as error:
        raise WriteError(f'{path}: cannot be written ({error.err})') from None
    return coded.tobytes()


def write_figure(path: str | os.PathLike, figure: Figure, dpi: int = 120) -> None:
    """Write a figure of Matplotlib, whole or not at all; as :func:`write_image`."""
    drawn = io.BytesIO()  # Pillow, by which it writes PNG files, does not tell of a full disk
    figure.savefig(drawn, dpi=dpi, format=Path(path).suffix[1:])
    write_bytes(path, drawn.getvalue())


def draw_pose(
    image: np.ndarray,
    keypoints: np.ndarray,
    scores: np.ndarray,
    meta: Mapping[str, Any],
    box: np.ndarray | None = None,
    kpt_thr: float | None = None,
) -> np.ndarray:
    """Draw a box, thin, and the joints and limbs whose scores reach the threshold.

    Colours are the data set's: left and right differ. The surer the joint, the more opaque: at
    the threshold a third shines through, from a score of 1 on all of it covers.

    Args:
        image: (H, W, 3) BGR uint8, drawn on in place.
        keypoints: (K, 2), pixels.
        scores: (K,).
        meta: MMPose's data set meta: ``skeleton_links`` L pairs, ``skeleton_link_colors``
            (L, 3) and ``keypoint_colors`` (K, 3) RGB.
        box: (4,) x1 y1 x2 y2, pixels.
        kpt_thr: joints with a lower score, and limbs that end in one, are left out; by default
            that of the model, in its meta.

    Returns:
        The image.
    """
    kpt_thr = kpt_thr_of(meta) if kpt_thr is None else kpt_thr
    # Sized by the person, so that small ones can be told from their skeleton.
    extent = max(image.shape[:2]) if box is None else float(max(box[2:] - box[:2]))
    thickness = int(np.clip(round(extent / 100), 1, max(max(image.shape[:2]) // 150, 2)))
    if box is not None:
        corners = _fixed(np.asarray(box).reshape(2, 2))
        cv2.rectangle(image, corners[0], corners[1], _BOX_COLOR, 1, cv2.LINE_AA, _SHIFT)
    for (a, b), color in zip(meta['skeleton_links'], meta['skeleton_link_colors'], strict=True):
        score = min(scores[a], scores[b])
        if score >= kpt_thr and score != 0:  # 0: the model does not tell the joint
            opacity = _opacity(score, kpt_thr)
            _blend(image, keypoints[[a, b]], thickness, _bgr(color), opacity, _limb)
    radius = thickness + 1
    for point, score, color in zip(keypoints, scores, meta['keypoint_colors'], strict=True):
        if score >= kpt_thr and score != 0:
            _blend(image, point[None], radius, _bgr(color), _opacity(score, kpt_thr), _joint)
    return image


def _opacity(score: float, kpt_thr: float) -> float:
    share = (score - kpt_thr) / (1 - kpt_thr) if kpt_thr < 1 else 1.0
    return float(np.clip(2 / 3 + share / 3, 2 / 3, 1))


def _blend(
    image: np.ndarray,
    points: np.ndarray,
    width: int,
    color: _Color,
    opacity: float,
    draw: Callable[[np.ndarray, Sequence[_Point], int, _Color], None],
) -> None:
    """Let ``draw`` draw on the part of the image around the points, mixed with what is there."""
    height, columns = image.shape[:2]
    reach = width + _MARGIN
    x1, y1 = np.clip(np.floor(points.min(axis=0) - reach), 0, (columns, height)).astype(int)
    x2, y2 = np.clip(np.ceil(points.max(axis=0) + reach), 0, (columns, height)).astype(int)
    if x1 >= x2 or y1 >= y2:
        return
    part = image[y1:y2, x1:x2]
    drawn = part.copy()
    draw(drawn, _fixed(points - (x1, y1)), width, color)
    image[y1:y2, x1:x2] = cv2.addWeighted(drawn, opacity, part, 1 - opacity, 0)


def _limb(image: np.ndarray, ends: Sequence[_Point], width: int, color: _Color) -> None:
    cv2.line(image, ends[0], ends[1], color, width, cv2.LINE_AA, _SHIFT)


def _joint(image: np.ndarray, points: Sequence[_Point], radius: int, color: _Color) -> None:
    cv2.circle(image, points[0], radius << _SHIFT, color, -1, cv2.LINE_AA, _SHIFT)


def _fixed(points: np.ndarray) -> list[_Point]:
    """Points in OpenCV's fixed-point numbers."""
    return [(int(x), int(y)) for x, y in np.rint(points * (1 << _SHIFT))]


def _bgr(color: np.ndarray) -> _Color:
    red, green, blue = (int(c) for c in color)
    return blue, green, red
