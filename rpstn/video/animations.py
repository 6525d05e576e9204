"""Animated pictures: which files are some, and those of WebP, which FFmpeg does not read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from rpstn.limits import PIXELS, LimitError, check_size

from .headers import picture_size
from .structures import DEFAULT_FPS, Decoded, Header, UnreadableFrameError


def is_animated(path: str | Path) -> bool:
    """Whether a file named as an image holds several pictures that are shown one by one."""
    if Path(path).suffix.lower() not in ('.png', '.webp'):
        return False
    try:
        with _open(path) as picture:
            return getattr(picture, 'is_animated', False)
    except UnreadableFrameError:  # no image, which is told where it is read
        return False


@contextmanager
def _open(path: str | Path) -> Iterator[Image.Image]:
    """It; a picture above a limit is refused before it is decoded."""
    try:
        with open(path, 'rb') as file:
            width, height = picture_size(file.read(64)) or (0, 0)
        PIXELS.check(width * height, f'{width}x{height}')
        check_size(path)
        with warnings.catch_warnings():  # Pillow has a limit of its own, and warns at half of it
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            picture = Image.open(path)
    except LimitError as error:
        raise UnreadableFrameError(f'{path}: has {error}') from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableFrameError(f'{path}: not a picture that can be opened ({error})') from None
    with picture:
        yield picture


def _length(picture: Image.Image) -> int:
    return getattr(picture, 'n_frames', 1)


def _frames(path: str | Path, picture: Image.Image) -> Iterator[tuple[int, float]]:
    """Loads one picture after the other; its number, and the seconds that it is shown."""
    for index in range(_length(picture)):
        try:
            picture.seek(index)
            picture.load()
        except (OSError, EOFError, ValueError, MemoryError) as error:
            raise UnreadableFrameError(
                f'{path}: frame {index} cannot be decoded ({error})'
            ) from None
        yield index, picture.info.get('duration', 0) / 1000


def decode_webp(path: str | Path) -> Iterator[Decoded]:
    """The pictures of a WebP file, one after the other; UnreadableFrameError if one is damaged."""
    with _open(path) as picture:
        time = 0.0
        for index, duration in _frames(path, picture):
            image = np.asarray(picture.convert('RGB'))[..., ::-1]
            yield Decoded(index, time, image.copy)
            time += duration or 1 / DEFAULT_FPS


def read_webp_header(path: str | Path) -> Header:
    """Pictures per second and number of pictures."""
    with _open(path) as picture:
        seconds = sum(duration for _, duration in _frames(path, picture))
        length = _length(picture)
        return Header(length / seconds if seconds else DEFAULT_FPS, length)
