"""What was seen, drawn on the video: skeleton, angle, count and phase; faces blurred on request.

Shapes: K joints, (H, W) pixels.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rpstn.drawing import draw_pose
from rpstn.form.angle_table import angle_of
from rpstn.form.ranges import at_moment
from rpstn.skeletons import Skeleton

from .structures import Assessment

_SMALL, _LARGE = 480, 1280  # pixels: of the shorter side at least, of the longer one at most
_MARK = (60, 220, 255)  # BGR
_PHASES = dict(rest='rest', down='down', turn='turning', up='up')
_FACE = ('nose', 'eye', 'eye_inner', 'eye_outer', 'ear', 'mouth')


class Painter:
    """Draws on the frames of one video.

    Args:
        assessment: of it.
        blur_faces: whether the face of the person who is followed is made unrecognizable; where
            it is not known where the face is, all of the picture.
    """

    def __init__(self, assessment: Assessment, blur_faces: bool = False) -> None:
        self.assessment = assessment
        assert assessment.size is not None
        width, height = assessment.size
        shorter, longer = sorted((width, height))
        self.scale = min(max(1.0, _SMALL / shorter), max(_LARGE / longer, 0.1))
        self.size = (round(width * self.scale), round(height * self.scale))
        self._blurs = blur_faces
        track = assessment.track
        self._rows = {} if track is None else {int(f): row for row, f in enumerate(track.frames)}
        if track is not None:
            names = track.skeleton.joints
            self._face_joints = [i for i, n in enumerate(names) if n.split('_', 1)[-1] in _FACE]
        self.key = _shown_angle(assessment)
        self.crop = self._crop()

    def __call__(self, image: np.ndarray, index: int, caption: bool = True) -> np.ndarray:
        """A frame, scaled, with all that is known of it.

        Args:
            image: (H, W, 3) BGR uint8, not changed.
            index: of the frame in the video.
            caption: whether count and phase are written.
        """
        method = cv2.INTER_CUBIC if self.scale > 1 else cv2.INTER_AREA
        image = cv2.resize(image, self.size, interpolation=method)
        row = self._rows.get(index)
        if self._blurs:
            image = self._blur(image, row)
        if row is not None:
            self._draw(image, row)
        if caption:
            self._caption(image, row)
        return image

    def _crop(self) -> tuple[slice, slice]:
        """Rows and columns around the person in all frames, of a scaled frame."""
        track = self.assessment.track
        if track is None:
            return slice(None), slice(None)
        sure = np.where(track.scores[..., None] >= track.kpt_thr, track.keypoints, np.nan)
        sure = sure * self.scale
        if np.isnan(sure).all():
            return slice(None), slice(None)
        low, high = np.nanmin(sure, (0, 1)), np.nanmax(sure, (0, 1))
        margin = 0.12 * float((high - low).max())
        x1, y1 = np.clip(low - margin, 0, np.array(self.size) - 1).astype(int)
        x2, y2 = np.clip(high + margin, 0, self.size).astype(int)
        return slice(y1, max(y2, y1 + 1)), slice(x1, max(x2, x1 + 1))

    def _points(self, row: int) -> np.ndarray:
        track = self.assessment.track
        assert track is not None
        return self.scale * (track.keypoints[row] + 0.5) - 0.5

    def _draw(self, image: np.ndarray, row: int) -> None:
        track = self.assessment.track
        assert track is not None
        points, scores = self._points(row), track.scores[row]
        draw_pose(image, points, scores, self.assessment.meta, kpt_thr=track.kpt_thr)
        for key in self._drawn_angles(points):
            corner = _corner(key, track.skeleton)
            value = self._value(key, row)
            sure = corner and (scores[list(corner)] >= track.kpt_thr).all()
            if corner and sure and not np.isnan(value):
                outward = points[corner[1], 0] >= np.nanmean(points[:, 0])
                _draw_angle(image, points[list(corner)], value, outward, self.crop[1])

    def _value(self, key: str, row: int) -> float:
        """Of a frame; at the bottom of a repetition what the report says of that."""
        values = self.assessment.angles[key]
        for repetition in self.assessment.repetitions:
            if row == repetition.bottom:
                return at_moment(values, repetition, 'bottom')
        return float(values[row])

    def _drawn_angles(self, points: np.ndarray) -> tuple[str, ...]:
        """Those that are counted by, of both sides where they lie apart."""
        keys, track = self.assessment.exercise.counting_angles, self.assessment.track
        corners = [_corner(key, track.skeleton) for key in keys] if track else []
        places = np.array([points[corner[1]] for corner in corners if corner])
        apart = len(places) == 2 and np.linalg.norm(places[0] - places[1]) > self.size[1] / 12
        return keys if apart else (self.key,) if self.key else ()

    def _caption(self, image: np.ndarray, row: int | None) -> None:
        size = max(14, self.size[1] // 36)
        if row is None:
            write(image, 'nobody followed', (size // 2, size // 2), size)
            return
        number, phase = self.assessment.phase(row)
        write(image, f'repetition {number}', (size // 2, size // 2), size)
        write(image, _PHASES[phase], (size // 2, size * 2), size)
        value = self._value(self.key, row) if self.key else np.nan
        if not np.isnan(value):
            title = angle_of(self.key).title.lower()
            write(image, f'{title} {value:.0f}°', (size // 2, size * 7 // 2), size)

    def _blur(self, image: np.ndarray, row: int | None) -> np.ndarray:
        small = cv2.resize(image, None, fx=1 / 16, fy=1 / 16, interpolation=cv2.INTER_AREA)
        coarse = cv2.resize(small, self.size, interpolation=cv2.INTER_LINEAR)
        if row is None:
            return coarse
        points = self._points(row)
        face = points[self._face_joints]
        face = face[np.isfinite(face).all(1)]
        if not len(face):
            return coarse
        middle = face.mean(0)
        farthest = float(np.linalg.norm(face - middle, axis=1).max())
        # Of a face from the front the farthest is an ear; never less than a share of the body, as
        # from the side or behind the joints lie close together.
        body = float(np.nan_to_num(np.nanmax(points[:, 1]) - np.nanmin(points[:, 1])))
        mask = np.zeros(image.shape[:2], np.uint8)
        radius = int(max(1.8 * farthest, 0.09 * body))
        cv2.circle(mask, (int(middle[0]), int(middle[1])), radius, 255, -1)
        return np.where(mask[..., None] > 0, coarse, image)


def write(image: np.ndarray, text: str, place: tuple[int, int], size: int) -> None:
    """White text on a dark bar, on an image in place; what does not fit is cut off.

    Args:
        image: (H, W, 3) BGR uint8.
        place: left upper corner, x and y pixels.
        size: of the letters, pixels.
    """
    font = _font(size)
    left, top, right, bottom = font.getbbox(text)
    pad = size // 4
    bar = Image.new('L', (int(right - left) + 2 * pad, int(size * 1.3)), 0)
    ImageDraw.Draw(bar).text((pad - left, size * 0.02), text, fill=255, font=font)
    letters = np.asarray(bar)
    x, y = max(place[0], 0), max(place[1], 0)
    part = image[y : y + letters.shape[0], x : x + letters.shape[1]]
    letters = letters[: part.shape[0], : part.shape[1], None].astype(np.float32) / 255
    part[:] = 255 * letters + (1 - letters) * 0.35 * part


def fitting(text: str, size: int, width: int) -> int:
    """The size of letters, at most ``size``, in which :func:`write` writes a text on ``width``."""
    needed = _font(size).getlength(text) + size
    return max(8, min(size, int(size * width / needed)))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Of matplotlib, which has the sign of degrees."""
    path = Path(matplotlib.get_data_path()) / 'fonts/ttf/DejaVuSans.ttf'
    return ImageFont.truetype(str(path), size)


def _shown_angle(assessment: Assessment) -> str:
    """The counting angle of the side that is seen better."""
    track, keys = assessment.track, assessment.exercise.counting_angles
    if track is None or not keys:
        return ''

    def seen(key: str) -> float:
        corner = _corner(key, track.skeleton)
        return float(track.scores[:, list(corner)].mean()) if corner else 0.0

    return max(keys, key=seen)


def _corner(key: str, skeleton: Skeleton) -> tuple[int, int, int] | None:
    """The three joints of an angle of one side that is made by three."""
    side = key.partition('_')[0]
    names = [f'{side}_{part}' for part in angle_of(key).joints.split(', ')]
    if len(names) != 3 or not set(names) <= set(skeleton.joints):
        return None
    a, b, c = map(skeleton.index, names)
    return a, b, c


def _draw_angle(
    image: np.ndarray, corner: np.ndarray, value: float, outward: bool, columns: slice
) -> None:
    """An arc between both bones, and the number to the right of it, or to the left, within the
    columns that pictures show."""
    above, at, below = corner
    first, second = (np.degrees(np.arctan2(*(end - at)[::-1])) for end in (above, below))
    turn = (second - first + 180) % 360 - 180
    radius = int(0.35 * min(np.linalg.norm(above - at), np.linalg.norm(below - at))) + 4
    middle, height = (int(at[0]), int(at[1])), image.shape[0]
    thick = max(2, height // 240)
    cv2.ellipse(image, middle, (radius, radius), first, 0, turn, _MARK, thick, cv2.LINE_AA)
    size = max(13, height // 40)
    text = f'{value:.0f}°'
    width = int(_font(size).getlength(text)) + size
    x = middle[0] + radius if outward else middle[0] - radius - width
    x = int(np.clip(x, columns.start or 0, max((columns.stop or image.shape[1]) - width, 0)))
    write(image, text, (x, middle[1] - size // 2), size)
