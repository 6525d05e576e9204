"""Videos and images in, videos out, one frame at a time."""
from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from rpstn.pose.datasets.readers import ImageReader, UnreadableFrameError

IMAGES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
DEFAULT_FPS = 25.


class Frame(NamedTuple):
    """One image of a video."""

    index: int
    """0-based."""
    time: float
    """Seconds since the first frame: index / fps."""
    image: np.ndarray
    """(H, W, 3) BGR uint8."""


@dataclass(frozen=True)
class FrameSource:
    """The frames of a video file, a folder of images or an image, decoded as they are asked for.

    Iterating starts at the first frame, each time anew.
    """

    path: Path
    fps: float
    size: tuple[int, int]
    """(width, height) in pixels, of the first frame; all others have to have it, too."""
    expected: int
    """Frames, as the header of a video states; often wrong, 0 where it states none."""
    images: tuple[str, ...] = ()
    """Image files, in order; none for a video."""

    def __iter__(self) -> Iterator[Frame]:
        """Every frame.

        Raises:
            UnreadableFrameError: an image cannot be read, or differs in size from the first.
        """
        images = _read_images(self.images) if self.images else _decode(self.path)
        for index, image in enumerate(images):
            if image.shape[1::-1] != self.size:
                name = self.images[index] if self.images else f'{self.path}: frame {index}'
                raise UnreadableFrameError(
                    f'{name} has {image.shape[1]}x{image.shape[0]} pixels, the first frame '
                    f'{self.size[0]}x{self.size[1]}; all must have one size')
            yield Frame(index, index / self.fps, image)


def open_frames(path: str | Path, fps: float | None = None) -> FrameSource:
    """Open a video file, a folder of images (in natural order of their names) or an image.

    Args:
        path: of the file or folder.
        fps: frames per second, to be used in place of what the file states; images state none,
            and are taken to be 25 per second.

    Raises:
        UnreadableFrameError: there is no such file, it is no video or image, or has no frames.
    """
    path = Path(path)
    if not path.exists():
        raise UnreadableFrameError(f'{path}: no such file or folder')
    images, expected, stated = (), 0, 0.
    if path.is_dir():
        found = (p for p in path.iterdir() if p.suffix.lower() in IMAGES and p.is_file())
        images = tuple(map(str, sorted(found, key=_natural)))
        if not images:
            raise UnreadableFrameError(f'{path}: the folder holds no images ({", ".join(IMAGES)})')
    elif path.suffix.lower() in IMAGES:
        images = (str(path), )
    else:
        stated, expected = _header(path)
    first = next(_read_images(images) if images else _decode(path), None)
    if first is None:
        raise UnreadableFrameError(f'{path}: the video holds no frame that can be decoded')
    return FrameSource(path, fps or stated or DEFAULT_FPS, first.shape[1::-1],
                       len(images) or expected, images)


def _natural(path: Path) -> list:
    """Sorts '2.jpg' before '10.jpg'."""
    return [(int(part), '') if part.isdigit() else (-1, part)
            for part in re.split(r'(\d+)', path.name)]


def _open(path: Path) -> cv2.VideoCapture:
    # FFmpeg by name: OpenCV would go on to try file names with numbers, and complain at length.
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise UnreadableFrameError(f'{path}: not a video that can be opened')
    return capture


def _header(path: Path) -> tuple[float, int]:
    """Frames per second and number of frames, 0 where the file states nothing sensible."""
    capture = _open(path)
    fps, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
    capture.release()
    return (fps if math.isfinite(fps) and 0 < fps <= 1000 else 0.), max(int(count), 0)


def _decode(path: Path) -> Iterator[np.ndarray]:
    capture = _open(path)
    try:
        while True:
            ok, image = capture.read()
            if not ok:
                return
            yield image
    finally:
        capture.release()


def _read_images(paths: tuple[str, ...]) -> Iterator[np.ndarray]:
    reader = ImageReader(paths)
    for index in range(len(paths)):
        yield reader.read([index])[0]


class VideoWriter:
    """An MP4 file, written frame by frame; use it in a ``with`` statement.

    Args:
        path: ends in .mp4.
        fps: frames per second.
        size: (width, height) of every frame. MP4's pixels come in pairs: of an odd side the last
            row or column is left out.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        self.path = path
        self.size = tuple(size)
        self._writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), fps, self.size)
        if not self._writer.isOpened():
            raise OSError(f'{path}: OpenCV cannot write a video of {size[0]}x{size[1]} pixels '
                          f'and {fps:g} frames per second there')

    def write(self, image: np.ndarray) -> None:
        """Append an image (H, W, 3), BGR uint8."""
        if image.shape[1::-1] != self.size:  # OpenCV would leave it out in silence
            raise ValueError(f'{self.path}: frames must have (width, height) {self.size}, '
                             f'got {image.shape[1::-1]}')
        self._writer.write(image)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *error) -> None:
        self._writer.release()


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A hidden folder inside ``folder`` whose files move up into it if all goes well.

    After an error, or Ctrl-C, they are gone, and what lay in ``folder`` before is as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # In the same folder, so that moving is renaming.
    hidden = Path(tempfile.mkdtemp(prefix='.incomplete-', dir=folder))
    try:
        yield hidden
        for file in sorted(hidden.iterdir()):
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
