"""Videos and images in, videos out, one frame at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import ClassVar, NamedTuple, cast

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from rpstn.files import WriteError, is_stray, natural
from rpstn.growing_files import NewFile
from rpstn.interruption import uninterrupted

from .animations import is_animated
from .decoding import decode, read_header
from .part import WHOLE, Part, Picker
from .readers import ImageReader, size_of
from .structures import DEFAULT_FPS, Damage, Decoded, UnreadableFrameError

IMAGES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


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
    damage: Damage = field(default_factory=Damage, compare=False, repr=False)
    """What could not be read the last time that the frames were iterated over."""

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

        Frames of a video that cannot be decoded are left out, and noted in :attr:`damage`.

        Raises:
            UnreadableFrameError: an image cannot be read, or differs in size from the first.
        """
        picker = Picker(self.part)
        with closing(self._decode()) as decoded:
            for index, stated, read in decoded:
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

    def _decode(self) -> Generator[Decoded, None, None]:
        if not self.images:
            return decode(self.path, self.damage)
        reader = ImageReader(self.images)
        count = len(self.images)
        return (Decoded(i, i / self.fps, partial(reader.image, i)) for i in range(count))


def open_frames(path: str | Path, fps: float | None = None, part: Part = WHOLE) -> FrameSource:
    """Open a video file, a folder of images (in natural order of their names) or an image.

    Images of any kind become 8-bit BGR (of 16 bits the upper 8, without alpha), upright. An
    animated PNG or WebP is a video.

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
    elif is_image(path):
        images = (str(path),)
    else:
        stated, expected = read_header(path)
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
    return sorted((path for path in paths if is_image(path) and not is_stray(path)), key=by_name)


def is_image(path: Path) -> bool:
    """Whether it is a file named as an image, and not an animated one, which is a video."""
    return path.suffix.lower() in IMAGES and path.is_file() and not is_animated(path)


def _checked(source: FrameSource) -> FrameSource:
    """The source with the size of its first frame, which can be read."""
    with closing(source._decode()) as decoded:
        for first in decoded:
            return replace(source, size=size_of(first.image()))
    raise UnreadableFrameError(f'{source.path}: the video holds no frame that can be decoded')


_ENCODERS = ('libx264', 'libopenh264', 'mpeg4')
"""What a video is written by: the first that is there. The last is not H.264."""


class VideoWriter:
    """An MP4 file (H.264), written frame by frame; use it in a ``with`` statement.

    Args:
        path: ends in .mp4.
        fps: frames per second.
        size: (width, height) of every frame. Pixels come in pairs there: of an odd side the last
            row or column is left out.
        live: whether the file can be read while it grows, up to the last second.

    Raises:
        WriteError: the file cannot be written; also by a method, and at the end.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int], live: bool = False) -> None:
        self.path = path
        self.size = (size[0], size[1])
        self.codec = next(name for name in _ENCODERS if name in av.codecs_available)
        """FFmpeg's name of the encoder."""
        options = {'movflags': '+frag_keyframe+empty_moov', 'flush_packets': '1'} if live else {}
        self._width, self._height = size[0] // 2 * 2, size[1] // 2 * 2
        self._rate = max(Fraction(fps).limit_denominator(1001), Fraction(1, 1001))
        self._written = 0
        self._converter = VideoReformatter()
        self._target = _Target(path)
        try:
            self._file = av.open(self._target, 'w', format='mp4', options=options)
            try:
                self._stream = self._open_stream(live)
                with uninterrupted():
                    self._file.start_encoding()
            except BaseException:
                self._file.close()
                raise
            self._target.check()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self._target.file.close()
            raise self._target.error or WriteError(
                f'{path}: a video of {size[0]}x{size[1]} pixels and {fps:g} frames per second '
                f'cannot be written there ({getattr(error, "strerror", None) or error})'
            ) from None

    def _open_stream(self, live: bool) -> av.VideoStream:
        stream = cast('av.VideoStream', self._file.add_stream(self.codec, self._rate))
        stream.width, stream.height, stream.pix_fmt = self._width, self._height, 'yuv420p'
        if self.codec == 'libx264':
            stream.options = {'preset': 'veryfast', **({'tune': 'zerolatency'} if live else {})}
        else:
            stream.bit_rate = int(0.2 * self._width * self._height * self._rate)
        if live:
            stream.gop_size = max(1, round(self._rate))
        return stream

    def write(self, image: np.ndarray) -> None:
        """Append an image (H, W, 3), BGR uint8."""
        if size_of(image) != self.size:
            raise ValueError(
                f'{self.path}: frames must have (width, height) {self.size}, got {size_of(image)}'
            )
        pairs = np.ascontiguousarray(image[: self._height, : self._width])
        frame = av.VideoFrame.from_ndarray(pairs, 'bgr24')
        frame = self._converter.reformat(frame, format='yuv420p', threads=1)
        frame.pts, frame.time_base = self._written, 1 / self._rate
        self._encode(frame)
        self._written += 1

    def _encode(self, frame: av.VideoFrame | None) -> None:
        try:
            with uninterrupted():
                self._file.mux(self._stream.encode(frame))
        except av.error.FFmpegError as error:
            raise WriteError(f'{self.path}: cannot be written ({error.strerror})') from None
        self._target.check()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if self._written:
                self._encode(None)
        finally:
            try:
                with uninterrupted():
                    self._file.close()
            except av.error.FFmpegError as failure:
                raise WriteError(f'{self.path}: cannot be written ({failure.strerror})') from None
            finally:
                self._target.file.close()
            self._target.check()


class _Target:
    """What FFmpeg writes to, as it does not tell of all that could not be written.

    The first error is kept: raised from here it would come up in whatever PyAV does next.
    """

    def __init__(self, path: Path) -> None:
        self.file = NewFile(path)
        self.error: WriteError | None = None
        self.seek, self.tell = self.file.seek, self.file.tell

    def write(self, data: bytes) -> int:
        """Write all of it, or nothing any more."""
        try:
            self.check()
            return self.file.write(data)
        except WriteError as error:
            self.error = error
            return len(data)

    def check(self) -> None:
        """Raise the error, if there was one."""
        if self.error is not None:
            raise self.error
