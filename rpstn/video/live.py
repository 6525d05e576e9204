"""Cameras and network streams: the newest frame, whatever the network and the model do.

A thread of its own reads all the time. Frames that come while the model is busy are dropped, the
oldest first, so that what is shown is of now. A stream that breaks off is opened again, after
waits that grow.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import cv2

from rpstn.limits import PIXELS, LimitError
from rpstn.names import hide_password

from .frames import Frame
from .part import WHOLE, Part, Picker
from .readers import size_of
from .structures import DEFAULT_FPS, UnreadableFrameError

_WAITING = 2  # frames; one would be lost while the next is being put in its place


@dataclass
class LiveSource:
    """A camera, or a stream such as RTSP's or a network camera's over HTTP.

    Frames are numbered as they come in, so that gaps in the numbers tell of dropped frames, and
    timed by this computer's clock, which goes on while a stream is away. Iterate once.

    Args:
        address: number of a camera, or URL.
        fps: that the results state; of 0 the stream's own.
        part: which frames; seconds count from the first frame.
        retries: times that a broken stream is opened anew before giving up.
        wait: seconds before the first of them, doubled for each that follows, to at
            most 30.
        timeout: seconds without an answer that count as broken.

    Raises:
        UnreadableFrameError: it cannot be opened at all, sends no picture, or is a file.
    """

    address: int | str
    fps: float = 0.0
    part: Part = WHOLE
    retries: int = 5
    wait: float = 1.0
    timeout: float = 10.0
    size: tuple[int, int] = (0, 0)
    """(width, height) in pixels, found by opening."""
    dropped: int = field(default=0, init=False)
    """Frames that came while the model was busy."""
    reconnected: int = field(default=0, init=False)
    """Times that the stream came back."""

    live: ClassVar[bool] = True
    single: ClassVar[bool] = False
    expected: ClassVar[int] = 0

    def __post_init__(self) -> None:
        capture = self._open()
        if capture is None and isinstance(self.address, str):
            time.sleep(self.wait)  # once more: a busy network may just have been slow
            capture = self._open()
        if capture is None:
            raise UnreadableFrameError(f'{self}: cannot be opened')
        self._capture = capture
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        if isinstance(self.address, str) and 0 < count < 1e9:
            raise UnreadableFrameError(
                f'{self}: is not a live stream, but a file of {count:.0f} '
                'frames; download it, and give the file'
            )
        try:
            width, height = (
                int(capture.get(side))
                for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
            )
            PIXELS.check(width * height, f'frames of {width}x{height}')
        except LimitError as error:
            raise UnreadableFrameError(f'{self}: {error}') from None
        self.fps = self.fps or _stated_fps(capture) or DEFAULT_FPS
        ok, image = capture.read()
        if not ok:
            raise UnreadableFrameError(f'{self}: opened, but sends no picture')
        self.size = size_of(image)

    def __str__(self) -> str:
        return (
            f'camera {self.address}'
            if isinstance(self.address, int)
            else hide_password(self.address)
        )

    @property
    def name(self) -> str:
        """What results are named after."""
        if isinstance(self.address, int):
            return f'camera{self.address}'
        host = hide_password(self.address).split('://', 1)[-1].split('?')[0]
        return ''.join(c if c.isalnum() or c in '-.' else '_' for c in host).strip('_.') or 'stream'

    def __iter__(self) -> Iterator[Frame]:
        """The newest frame, each time one is asked for.

        Raises:
            UnreadableFrameError: the stream broke off and did not come back, or came back with
                pictures of another size.
        """
        newest: deque[Frame] = deque()
        changed, stop = threading.Condition(), threading.Event()
        failure: list[BaseException] = []
        thread = threading.Thread(
            target=self._receive,
            args=(newest, changed, stop, failure),
            name=f'rpstn: {self}',
            daemon=True,
        )
        thread.start()
        picker = Picker(self.part)
        try:
            while True:
                with changed:
                    while not newest and not failure:
                        changed.wait(0.5)  # and look up, so that Ctrl-C is heard
                    if not newest:
                        raise failure[0]
                    frame = newest.popleft()
                if picker.over(frame.index, frame.time):
                    return
                if picker.wants(frame.index, frame.time):
                    yield frame
        finally:
            stop.set()
            thread.join(self.timeout + 1)

    def _receive(
        self,
        newest: deque[Frame],
        changed: threading.Condition,
        stop: threading.Event,
        failure: list[BaseException],
    ) -> None:
        """Read until told to stop; in a thread of its own."""
        try:
            index, began = 0, None
            while not stop.is_set():
                ok, image = self._capture.read()
                if not ok:
                    self._reconnect(stop)
                    continue
                now = time.monotonic()
                began = now if began is None else began
                if size_of(image) != self.size:
                    raise UnreadableFrameError(
                        f'{self}: frame {index} has {image.shape[1]}x{image.shape[0]} pixels, the '
                        f'first frame {self.size[0]}x{self.size[1]}; all must have one size'
                    )
                with changed:
                    if len(newest) >= _WAITING:
                        newest.popleft()
                        self.dropped += 1
                    newest.append(Frame(index, now - began, image))
                    changed.notify()
                index += 1
        except Exception as error:  # handed to who iterates
            with changed:
                failure.append(error)
                changed.notify()
        finally:
            self._capture.release()

    def _reconnect(self, stop: threading.Event) -> None:
        self._capture.release()
        waited, pause = 0.0, self.wait
        for _ in range(self.retries):
            if stop.wait(pause):
                return
            waited, pause = waited + pause, min(2 * pause, 30.0)
            capture = self._open()
            if capture is not None:
                self._capture = capture
                self.reconnected += 1
                return
        raise UnreadableFrameError(
            f'{self}: the stream broke off, and could not be opened again '
            f'in {self.retries} attempts over {waited:.0f} seconds'
        )

    def _open(self) -> cv2.VideoCapture | None:
        if isinstance(self.address, int):
            capture = cv2.VideoCapture(self.address)
        else:
            _allow_networks_alone()
            limit = int(1000 * self.timeout)
            capture = cv2.VideoCapture(
                self.address,
                cv2.CAP_FFMPEG,
                [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit],
            )
        if not capture.isOpened():
            return None
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        return capture


# FFmpeg's options, key;value|key;value, which OpenCV takes from the environment alone.
_OPTIONS = 'OPENCV_FFMPEG_CAPTURE_OPTIONS'
_NETWORKS = (
    'protocol_whitelist;crypto,data,http,httpproxy,https,rtmp,rtmpe,rtmps,rtmpt,rtmpte,rtmpts,rtp,'
    'rtsp,rtsps,srtp,tcp,tls,udp'
)


def _allow_networks_alone() -> None:
    """What a server sends, such as a playlist, may name other addresses, but no files."""
    given = filter(None, os.environ.get(_OPTIONS, '').split('|'))
    kept = [option for option in given if not option.startswith('protocol_whitelist;')]
    os.environ[_OPTIONS] = '|'.join([*kept, _NETWORKS])


def _stated_fps(capture: cv2.VideoCapture) -> float:
    """Frames per second as a stream states them, 0 where it states nothing sensible."""
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if math.isfinite(fps) and 0 < fps <= 1000 else 0.0
