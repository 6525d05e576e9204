"""The frames of a video file, one after the other, as FFmpeg's libraries decode them (PyAV).

Everything that reads a video file reads it here, so that training, inference and assessment see
the same picture: upright as the camera noted, with square pixels, under the same number.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from functools import partial
from heapq import heappop, heappush
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter

from .animations import decode_webp, read_webp_header
from .containers import damaged_head, frame_rate, open_video, square
from .structures import Damage, Decoded, Header


class _Damaged(Exception):
    """A frame cannot be decoded."""


def read_header(path: str | Path) -> Header:
    """Frames per second and number of frames; UnreadableFrameError as :func:`decode`."""
    if _is_webp(path):
        return read_webp_header(path)
    with open_video(path) as (container, stream):
        fps = frame_rate(stream)
        seconds = float((stream.duration or 0) * (stream.time_base or 0))
        seconds = seconds or (container.duration or 0) / av.time_base
        return Header(fps, max(stream.frames or round(seconds * fps), 0))


def decode(
    path: str | Path, damage: Damage | None = None, threads: int = 0
) -> Generator[Decoded, None, None]:
    """Decode a video file from its beginning: seeking is not exact in every file.

    Frames that cannot be decoded are left out; those after them keep their numbers and times.
    Memory does not grow with the length of the video.

    Args:
        path: any file that FFmpeg reads, or an animated WebP.
        damage: takes what cannot be read.
        threads: that decode; 0 means as many as FFmpeg likes.

    Raises:
        UnreadableFrameError: it is no video, or empty.
    """
    damage = Damage() if damage is None else damage
    if _is_webp(path):
        yield from decode_webp(path)
        return
    done = 0
    if threads != 1:
        try:
            for frame in _decode(path, damage, threads):
                yield frame
                done += 1
            return
        except _Damaged:
            pass
    # Threads decode several frames at a time, and do not tell which was damaged: once more, one
    # after the other.
    yield from islice(_decode(path, damage, 1), done, None)


def _decode(path: str | Path, damage: Damage, threads: int) -> Iterator[Decoded]:
    with open_video(path) as (container, stream):
        context, fps = stream.codec_context, frame_rate(stream)
        ratio = float(stream.sample_aspect_ratio or 1)
        context.thread_count = threads
        context.thread_type = 'SLICE' if threads == 1 else 'AUTO'
        converter, tick = VideoReformatter(), float(stream.time_base or 0)
        damage.frames.clear()
        damage.end, damage.head = '', damaged_head(Path(path), container, fps)
        cut, opening = container.format.name in ('mpegts', 'mpeg'), True
        # AVI knows the order of packets alone. Where frames are shown in another one, their stamps
        # are guesses: then only errors tell of a lost frame, and the rate of its time.
        stamped = container.format.name != 'avi' or not context.has_b_frames
        waiting: list[_Sent] = []
        index, first, last, at = 0, None, -1 / fps, -1
        for packet in _packets(container, stream, damage):
            frames, failed = [], False
            try:
                frames = context.decode(packet)
            except av.error.FFmpegError:
                if threads != 1:
                    raise _Damaged from None
                failed = True
            if packet is not None and not packet.is_discard:
                each = stamped and context.name in _ONE_EACH and packet.pts is not None
                if failed or each:
                    at_once = _NEVER if not stamped else _stamp(packet)
                    heappush(waiting, _Sent(at_once, opening, failed))
                opening = False
            for frame in frames:
                stamp = _stamp(frame)
                lost = _lost(waiting, stamp, frame.interlaced_frame)
                if first is None:
                    # Of a recording that begins, or was cut, in between two key frames the video
                    # begins with the second, for all players.
                    if cut or not any(sent.opening for sent in lost):
                        lost = []
                    first = min([stamp, *(sent.stamp for sent in lost if sent.stamp > _NEVER)])
                damage.frames += range(index, index + len(lost))
                index += len(lost)
                time = (stamp - first) * tick if stamped else index / fps
                # In damaged files a stamp may be missing, or run backwards.
                last, at = time if time > last else last + (index - at) / fps, index
                yield Decoded(index, last, partial(_to_bgr, frame, converter, ratio))
                index += 1
        rest = len(_lost(waiting, math.inf, False))
        damage.frames += range(index, index + rest)


class _Sent(NamedTuple):
    """A packet whose frame the decoder has not given yet."""

    stamp: float
    opening: bool
    """Whether the file begins with it."""
    failed: bool


# Decoders that give a frame for each packet. What others show may have fewer frames than packets
# (frames of MPEG-4 that say 'as before', VP8's hidden ones): there only errors tell of a lost one.
_ONE_EACH = ('h264', 'hevc', 'vp9', 'av1', 'libdav1d')
_NEVER = -math.inf


def _lost(waiting: list[_Sent], stamp: float, fields: bool) -> list[_Sent]:
    """Takes out the packets up to that of a frame; those that should have been shown before it.

    Frames leave a decoder in the order of their time stamps. Of ``fields``, two packets may make
    a frame.
    """
    lost = []
    while waiting and waiting[0].stamp <= stamp:
        sent = heappop(waiting)
        if sent.stamp != stamp and (sent.failed or not fields):
            lost.append(sent)
    return lost


def _packets(
    container: InputContainer, stream: av.VideoStream, damage: Damage
) -> Iterator[av.Packet | None]:
    """All that hold something; None at the end, for the frames that the decoder keeps back."""
    try:
        for packet in container.demux(stream):
            # An empty one repeats a frame in AVI, and would end the decoder.
            if packet.size:
                yield packet
    except (av.error.FFmpegError, OSError) as error:
        damage.end = error.strerror or str(error)
    yield None


def _stamp(timed: av.Packet | av.VideoFrame) -> float:
    stamp = timed.dts if timed.pts is None else timed.pts
    return _NEVER if stamp is None else stamp


def _is_webp(path: str | Path) -> bool:
    return Path(path).suffix.lower() == '.webp'


def _to_bgr(frame: av.VideoFrame, converter: VideoReformatter, ratio: float) -> np.ndarray:
    """The image, upright and with square pixels, the shorter side of a pixel being stretched."""
    width, height = square(frame.width, frame.height, ratio)
    # One thread: waking others takes longer than they save.
    image = converter.reformat(
        frame, width, height, 'bgr24', interpolation='BICUBIC', threads=1
    ).to_ndarray()
    matrix: Any = frame.side_data.get('DISPLAYMATRIX')
    if matrix is None:
        return image
    # Where a pixel at (x, y) is shown: (a x + c y, b x + d y).
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    if abs(b) > abs(a):
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
