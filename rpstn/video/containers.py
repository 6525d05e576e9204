"""Video files opened so that FFmpeg reads their bytes, within limits, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer

from rpstn.limits import PIXELS, LimitError

from .structures import DEFAULT_FPS, UnreadableFrameError


class _Bytes:
    """A file as FFmpeg may read it: its bytes, and of its name the kind alone.

    So any name will do. And as nothing else may be opened, a playlist, which names other files or
    addresses, comes to nothing.
    """

    def __init__(self, path: Path) -> None:
        self._file = open(path, 'rb')
        self.name = (
            f'video{path.suffix}' if re.fullmatch(r'\.[A-Za-z0-9]{1,5}', path.suffix) else ''
        )
        self.read, self.seek, self.tell = self._file.read, self._file.seek, self._file.tell

    def __enter__(self) -> _Bytes:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def container(self) -> InputContainer:
        """Opened; frames above the limit of pixels are refused before memory is taken for them."""
        container = av.open(
            self,
            container_options={'protocol_whitelist': 'none'},
            options=_limited(),
            metadata_errors='replace',
            buffer_size=1 << 16,
        )
        return cast(InputContainer, container)


# FFmpeg compares what it takes memory for: rows of up to 64 pixels more than are shown.
_MARGIN = 64 << 16


def _limited() -> dict[str, str]:
    """FFmpeg's option of demuxers and decoders."""
    return {'max_pixels': str(min(PIXELS.value + _MARGIN, 2**31 - 1))}


@contextmanager
def open_video(path: str | Path) -> Iterator[tuple[InputContainer, av.VideoStream]]:
    """The file, and the first video in it.

    Raises:
        UnreadableFrameError: there is none, or its frames are above the limit of pixels.
    """
    path = Path(path)
    if not path.is_file():
        raise UnreadableFrameError(f'{path}: the video file does not exist')
    if path.stat().st_size == 0:
        raise UnreadableFrameError(f'{path}: the file is empty')
    cover = av.stream.Disposition.attached_pic
    with _Bytes(path) as file:
        try:
            container = file.container()
        except (av.error.FFmpegError, OSError) as error:
            raise UnreadableFrameError(
                f'{path}: not a video that can be opened ({_reason(path) or error.strerror})'
            ) from None
        with container:
            if container.format.name in _TEXTS:
                raise UnreadableFrameError(f'{path}: not a video, but a text')
            for stream in container.streams.video:
                # The cover of a sound file is no video.
                if stream.codec_context is not None and not stream.disposition & cover:
                    _check_pixels(path, stream)
                    stream.codec_context.options = _limited()
                    yield container, stream
                    return
            raise UnreadableFrameError(f'{path}: holds no video that can be decoded')


_TEXTS = ('tty',)
_PLAYLISTS = re.compile(rb'\s*(#EXTM3U|ffconcat|v=0\s|<\?xml|<MPD|\[playlist\])')


def _reason(path: Path) -> str:
    with open(path, 'rb') as file:
        if _PLAYLISTS.match(file.read(512).removeprefix(b'\xef\xbb\xbf')):
            return 'a list of other files or addresses, of which none is read'
    return ''


def _check_pixels(path: Path, stream: av.VideoStream) -> None:
    """Refuse frames above the limit, also such as become so when pixels are made square."""
    width, height = stream.width, stream.height
    try:
        if width and height:
            shown = square(width, height, float(stream.sample_aspect_ratio or 1))
            PIXELS.check(shown[0] * shown[1], f'frames of {shown[0]}x{shown[1]}')
        elif stated := _refused_size(path):
            PIXELS.check(stated[0] * stated[1], f'frames of {stated[0]}x{stated[1]}')
    except LimitError as error:
        raise UnreadableFrameError(f'{path}: {error}') from None


def _refused_size(path: Path) -> tuple[int, int] | None:
    """Of frames that FFmpeg has refused for it; it tells only its log."""
    level, skips = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as lines, _Bytes(path) as file, file.container():
            said = ' '.join(line for _, _, line in lines)
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skips)
    size = re.search(r'Picture size (\d+)x(\d+) exceeds', said)
    return (int(size[1]), int(size[2])) if size else None


# What FFmpeg takes a video for, whose container it does not know: a stream of one codec states
# neither how many frames it has nor when they are shown.
_BARE = (
    'avs2', 'avs3', 'cavsvideo', 'dirac', 'evc', 'h261', 'h263', 'h264', 'hevc', 'm4v', 'mjpeg',
    'mpegvideo', 'obu', 'vc1', 'vvc',
)  # fmt: skip
_CONTAINERS = ('.3g2', '.3gp', '.asf', '.avi', '.f4v', '.flv', '.mkv', '.mov', '.mp4', '.mxf',
    '.ogv', '.webm', '.wmv')  # fmt: skip


def damaged_head(path: Path, container: InputContainer, fps: float) -> str:
    """What is to be said of a file whose container was not known for what its name says."""
    kind = container.format.name
    if kind not in _BARE or path.suffix.lower() not in _CONTAINERS:
        return ''
    return (
        f'the head of the {path.suffix[1:].upper()} is damaged: read as bare {kind}, which states '
        f'no times ({fps:g} frames per second are assumed), and whose first frames may be missing'
    )


def frame_rate(stream: av.VideoStream) -> float:
    """Frames per second, 25 where the file states nothing sensible."""
    fps = float(stream.guessed_rate or stream.average_rate or 0)
    return fps if 0 < fps <= 1000 else DEFAULT_FPS


def square(width: int, height: int, ratio: float) -> tuple[int, int]:
    """The size when pixels of that width / height are made square."""
    if 0.1 < ratio < 10:
        return round(width * max(ratio, 1)), round(height / min(ratio, 1))
    return width, height
