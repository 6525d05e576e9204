"""Videos and images in, videos out, one frame at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple

import cv2
import numpy as np

from rpstn.files import natural

from .part import WHOLE, Part, Picker
from .readers import ImageReader, UnreadableFrameError, size_of

IMAGES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
DEFAULT_FPS = 25.0


class Frame(NamedTuple):
    """One image of a video."""

    index: int  # type: ignore[assignment]  # in place of tuple.index, which nobody needs here
    """0-based."""
    time: float
    """Seconds since the first frame."""
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
    stamped: bool = False
    """Whether times are those that the file states for each frame; otherwise index / fps."""
    part: Part = WHOLE
    """Which frames."""

    live: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """What results are named after."""
        return self.path.resolve().name if self.path.is_dir() else self.path.stem

    @property
    def single(self) -> bool:
        """Whether it is one image."""
        return self.images == (str(self.path),)

    def __iter__(self) -> Iterator[Frame]:
        """The frames of the part, with the numbers and times that they have in the whole.

        A video is decoded from its beginning, as seeking is not exact in every file.

        Raises:
            UnreadableFrameError: an image cannot be read, or differs in size from the first.
        """
        picker = Picker(self.part)
        with ExitStack() as stack:
            for index, (stated, read) in enumerate(self._grabbed(stack)):
                time = stated if self.stamped else index / self.fps
                if picker.over(index, time):
                    return
                if not picker.wants(index, time):
                    continue
                image = read()
                if size_of(image) != self.size:
                    name = self.images[index] if self.images else f'{self.path}: frame {index}'
                    raise UnreadableFrameError(
                        f'{name} has {image.shape[1]}x{image.shape[0]} pixels, the first frame '
                        f'{self.size[0]}x{self.size[1]}; all must have one size'
                    )
                yield Frame(index, time, image)

    def _grabbed(self, stack: ExitStack) -> Iterator[tuple[float, Callable[[], np.ndarray]]]:
        """Of each frame the seconds since the first, as the file states them, and its image."""
        if self.images:
            reader = ImageReader(self.images)
            yield from ((0.0, lambda i=i: reader.read([i])[0]) for i in range(len(self.images)))
            return
        capture = _open(self.path)
        stack.callback(capture.release)
        first, last = None, -math.inf
        while capture.grab():
            stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            first = stamp if first is None else first
            # In damaged files a stamp may be missing, or run backwards.
            last = stamp - first if stamp - first > last else last + 1 / self.fps
            yield last, lambda: _retrieve(capture, self.path)


def open_frames(path: str | Path, fps: float | None = None, part: Part = WHOLE) -> FrameSource:
    """Open a video file, a folder of images (in natural order of their names) or an image.

    Images of any kind become 8-bit BGR (of 16 bits the upper 8, without alpha), upright.

    Args:
        path: of the file or folder.
        fps: frames per second, in place of what the file states, times included; images state
            none, and are taken to be 25 per second.
        part: the frames that are wanted.

    Raises:
        UnreadableFrameError: there is no such file, it is no video or image, or has no frames.
    """
    path = Path(path)
    if not path.exists():
        raise UnreadableFrameError(f'{path}: no such file or folder')
    images: tuple[str, ...] = ()
    expected, stated = 0, 0.0
    if path.is_dir():
        images = tuple(map(str, images_in(path.iterdir())))
        if not images:
            raise UnreadableFrameError(f'{path}: the folder holds no images ({", ".join(IMAGES)})')
    elif path.suffix.lower() in IMAGES:
        images = (str(path),)
    elif path.stat().st_size == 0:
        raise UnreadableFrameError(f'{path}: the file is empty')
    else:
        stated, expected = _header(path)
    return _checked(
        FrameSource(
            path,
            fps or stated or DEFAULT_FPS,
            (0, 0),
            len(images) or expected,
            images,
            fps is None and not images,
            part,
        )
    )


def open_images(
    paths: Sequence[Path], name: Path, fps: float | None = None, part: Part = WHOLE
) -> FrameSource:
    """Open image files as the frames of one video, in natural order; ``name`` stands for it.

    Raises UnreadableFrameError if the first cannot be read.
    """
    images = tuple(map(str, images_in(paths)))
    return _checked(FrameSource(name, fps or DEFAULT_FPS, (0, 0), len(images), images, part=part))


def by_name(path: Path) -> list[tuple[int, str]]:
    """A key that sorts paths by their names, naturally."""
    return natural(path.name)


def images_in(paths: Iterable[Path]) -> list[Path]:
    """The image files among the paths, in natural order of their names."""
    return sorted((p for p in paths if p.suffix.lower() in IMAGES and p.is_file()), key=by_name)


def _checked(source: FrameSource) -> FrameSource:
    """The source with the size of its first frame, which can be read."""
    with ExitStack() as stack:
        first = next(source._grabbed(stack), None)
        if first is None:
            raise UnreadableFrameError(
                f'{source.path}: the video holds no frame that can be decoded'
            )
        return replace(source, size=size_of(first[1]()))


def _open(path: Path) -> cv2.VideoCapture:
    # FFmpeg by name: OpenCV would go on to try file names with numbers, and complain at length.
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise UnreadableFrameError(f'{path}: not a video that can be opened')
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # upright, as the camera noted; off by default
    return capture


def _header(path: Path) -> tuple[float, int]:
    """Frames per second and number of frames, 0 where the file states nothing sensible."""
    capture = _open(path)
    fps, count = stated_fps(capture), capture.get(cv2.CAP_PROP_FRAME_COUNT)
    capture.release()
    return fps, max(int(count), 0)


def stated_fps(capture: cv2.VideoCapture) -> float:
    """Frames per second as a file or stream states them, 0 where it states nothing sensible."""
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if math.isfinite(fps) and 0 < fps <= 1000 else 0.0


def _retrieve(capture: cv2.VideoCapture, path: Path) -> np.ndarray:
    ok, image = capture.retrieve()
    if not ok:
        raise UnreadableFrameError(f'{path}: a frame that was decoded cannot be converted to BGR')
    return image


class VideoWriter:
    """An MP4 or AVI file, written frame by frame; use it in a ``with`` statement.

    Args:
        path: ends in .mp4 or .avi.
        fps: frames per second.
        size: (width, height) of every frame. Pixels come in pairs there: of an odd side the last
            row or column is left out.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        self.path = path
        self.size = (size[0], size[1])
        # Both are MPEG-4.
        code = cv2.VideoWriter.fourcc(*('XVID' if Path(path).suffix == '.avi' else 'mp4v'))
        self._writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, fps, self.size)
        if not self._writer.isOpened():
            raise OSError(
                f'{path}: OpenCV cannot write a video of {size[0]}x{size[1]} pixels '
                f'and {fps:g} frames per second there'
            )

    def write(self, image: np.ndarray) -> None:
        """Append an image (H, W, 3), BGR uint8."""
        if size_of(image) != self.size:  # OpenCV would leave it out in silence
            raise ValueError(
                f'{self.path}: frames must have (width, height) {self.size}, got {size_of(image)}'
            )
        self._writer.write(image)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.release()
