"""Small videos for tests: any codec, times and pixels; turned; with damaged frames."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def greys(count: int, size: tuple[int, int] = (64, 48)) -> list[np.ndarray]:
    """Image t is a grey of 20 + 10 t, (width, height)."""
    return [np.full((size[1], size[0], 3), 20 + 10 * t, np.uint8) for t in range(count)]


def numbers(images: Sequence[np.ndarray]) -> list[int]:
    """Which images of :func:`greys` they are."""
    return [round((image.mean() - 20) / 10) for image in images]


def encode(
    path: Path,
    images: Sequence[np.ndarray],
    codec: str = 'libx264',
    pixels: str = 'yuv420p',
    fps: int = 10,
    times: Sequence[float] | None = None,
    shape: Fraction | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A video file.

    Args:
        images: BGR, or BGRA where ``pixels`` has alpha.
        times: of the frames, in seconds, instead of ``fps``.
        shape: width / height of a pixel.
    """
    with av.open(str(path), 'w') as file:
        stream = file.add_stream(codec, fps, options=options or {})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixels
        if shape is not None:
            stream.codec_context.sample_aspect_ratio = shape
        if codec == 'mpeg4':
            stream.bit_rate = 2_000_000
        tick = Fraction(1, 1000) if times else Fraction(1, fps)
        stream.codec_context.time_base = tick
        for t, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, 'bgra' if image.shape[2] == 4 else 'bgr24')
            frame.pts, frame.time_base = round(times[t] / tick) if times else t, tick
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def damaged(path: Path, frames: Sequence[int], begin: bytes = b'') -> Path:
    """The file with noise in place of frames, of the same length, which begins like that."""
    with av.open(str(path)) as file:
        packets = [packet for packet in file.demux(video=0) if packet.size]
    packets.sort(key=lambda packet: packet.pts)
    data = path.read_bytes()
    for frame in frames:
        old = bytes(packets[frame])
        assert data.count(old) == 1
        data = data.replace(old, begin.ljust(len(old), b'\xff'))
    path.write_bytes(data)
    return path


def turned(path: Path, degrees: int, mirrored: bool = False) -> Path:
    """An MP4 with a note (the matrix of box tkhd, ISO 14496-12) to show it turned clockwise.

    Where it is ``mirrored``, too, left and right are exchanged first.
    """
    cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    a, b = (-cos, -sin) if mirrored else (cos, sin)
    matrix = struct.pack('>9i', a << 16, b << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30)
    data = _edited(
        path.read_bytes(),
        ['moov', 'trak', 'tkhd'],
        lambda payload: payload[:40] + matrix + payload[76:],
    )
    path.write_bytes(data)
    return path


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Type, start and end of the boxes of an MP4 in a range."""
    while start < end:
        size, kind = struct.unpack('>I4s', data[start : start + 8])
        yield kind.decode(), start, start + size
        start += size


def _edited(data: bytes, path: list[str], change: Callable[[bytes], bytes]) -> bytes:
    """The MP4 with the payload of one box changed, and the sizes of those around it."""
    if not path:
        return change(data)
    out = b''
    for kind, start, end in _boxes(data, 0, len(data)):
        payload = data[start + 8 : end]
        payload = _edited(payload, path[1:], change) if kind == path[0] else payload
        out += struct.pack('>I4s', len(payload) + 8, kind.encode()) + payload
    return out
