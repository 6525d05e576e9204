"""Random access to the frames of one sequence, from a video or from image files."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np

from rpstn.limits import PIXELS, LimitError, read_bytes

from .decoding import decode
from .headers import picture_size
from .structures import Decoded, UnreadableFrameError


@runtime_checkable
class FrameReader(Protocol):
    """Frames of one sequence by their 0-based index.

    Readers are picklable and cheap to construct, and keep no file open between calls, so that
    they travel to the workers of a data loader.
    """

    @property
    def path(self) -> str:
        """The file or folder, for error messages."""

    def read(self, indices: Sequence[int]) -> list[np.ndarray]:
        """One BGR uint8 image (H, W, 3) per index, in the order asked for, repeats allowed.

        Raises:
            UnreadableFrameError: naming the file and the frame.
        """


@dataclass(frozen=True)
class VideoReader:
    """Frames of a video file, upright and with square pixels, decoded from its beginning.

    Decoding in order is exact for every file; seeking is not, and saves nothing on clips of a few
    dozen frames. The frame count in the header is not trusted either: for JHMDB's videos it is
    too large by a fifth.

    Args:
        path: any file that :func:`rpstn.video.decoding.decode` reads.
    """

    path: str

    def read(self, indices: Sequence[int]) -> list[np.ndarray]:
        if not len(indices):
            return []
        wanted, frames = set(map(int, indices)), {}
        with closing(self._decode()) as decoded:
            for frame in decoded:
                if frame.index in wanted:
                    frames[frame.index] = frame.image()
                if frame.index >= max(wanted):
                    break
        for index in sorted(wanted - frames.keys()):
            raise UnreadableFrameError(
                f'{self.path}: frame {index} cannot be decoded; the video ends before it or '
                f'is damaged there (frames {min(wanted)} to {max(wanted)} were asked for)'
            )
        return _in_order(frames, indices)

    def count(self) -> int:
        """The number of frames, without what is damaged at the end; reads the whole file."""
        return max((frame.index + 1 for frame in self._decode()), default=0)

    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, of the first frame."""
        with closing(self._decode()) as decoded:
            for frame in decoded:
                return size_of(frame.image())
        raise UnreadableFrameError(f'{self.path}: holds no frame that can be decoded')

    def _decode(self) -> Generator[Decoded, None, None]:
        # One thread: workers run side by side, and starting threads costs more than it brings here.
        return decode(self.path, threads=1)


@dataclass(frozen=True)
class VideoPart:
    """The frames of a video from one on; ``first`` is index 0 here.

    Args:
        video: the whole.
        first: a frame of it.
    """

    video: VideoReader
    first: int

    @property
    def path(self) -> str:
        return self.video.path

    def read(self, indices: Sequence[int]) -> list[np.ndarray]:
        return self.video.read([self.first + int(index) for index in indices])


@dataclass(frozen=True)
class ImageReader:
    """Frames that are image files of their own.

    Args:
        paths: one file per frame, in temporal order.
    """

    paths: tuple[str, ...]

    @property
    def path(self) -> str:
        return str(Path(self.paths[0]).parent) if self.paths else '(no frames)'

    def read(self, indices: Sequence[int]) -> list[np.ndarray]:
        frames = {index: self.image(index) for index in set(map(int, indices))}
        return _in_order(frames, indices)

    def image(self, index: int) -> np.ndarray:
        """One of them; UnreadableFrameError names the file."""
        if not 0 <= index < len(self.paths):
            raise UnreadableFrameError(
                f'{self.path}: frame {index} was asked for, 0 to {len(self.paths) - 1} exist'
            )
        path = self.paths[index]
        image = None
        try:
            # Not cv2.imread, which only prints a warning where a file is missing.
            data = read_bytes(path)
            width, height = picture_size(data) or (0, 0)
            PIXELS.check(width * height, f'{width}x{height}')
            if width and height:
                image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        except OSError as error:
            raise UnreadableFrameError(
                f'{path}: frame {index} cannot be read ({error.strerror})'
            ) from None
        except LimitError as error:
            raise UnreadableFrameError(f'{path}: frame {index} has {error}') from None
        except (cv2.error, MemoryError):
            pass
        if image is None:
            raise UnreadableFrameError(f'{path}: frame {index} is not an image that decodes')
        return image

    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, of the first frame."""
        return size_of(self.image(0))


def size_of(image: np.ndarray) -> tuple[int, int]:
    """(width, height) in pixels of an image (H, W, ...)."""
    height, width = image.shape[:2]
    return width, height


def _in_order(frames: dict[int, np.ndarray], indices: Sequence[int]) -> list[np.ndarray]:
    """The frames as asked for, a repeated one as a copy, so that each may be changed in place."""
    given: set[int] = set()
    ordered = []
    for index in map(int, indices):
        ordered.append(frames[index].copy() if index in given else frames[index])
        given.add(index)
    return ordered
