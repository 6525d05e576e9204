#!/usr/bin/env python3
r"""Measure whether live counting keeps up with a camera.

python tools/research/live/keeping_up.py --fps 20 --seconds 60

A network camera of this machine (MJPEG over HTTP) shows a clip of one repetition again and again,
at its own speed. It is watched as `rpstn serve` watches it: received, decoded, joints, count,
worst angle, drawn and encoded, in a process of its own. Each picture carries its number in its
last rows, black and white, which is read from what comes back: so latency is from sending a
picture until its drawn one is there. Counting begins two seconds after the first picture came
back. `taskset -c 0,1` holds it to two cores; the camera itself takes a few percent of one.
"""

from __future__ import annotations

import argparse
import http.server
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

import rpstn  # noqa: F401 (makes the stack work)
from rpstn.assess.serving.live_session import LiveSession
from rpstn.cli.options import count
from rpstn.errors import RPSTNError
from rpstn.video.frames import open_frames

SQUAT = Path(__file__).parents[3] / 'demo/squat.mp4'
BITS, ROWS = 10, 8
"""Of the number in a picture, and pixels of its height."""
POLL, WARM = 0.002, 2.0
"""Seconds between looks at what came back, and before counting begins."""


class Camera:
    """A network camera that shows one clip in a loop.

    Args:
        video: the clip.
        fps: of the camera; frames of the clip are repeated or left out.
        size: (width, height) of its pictures; what the clip does not fill is grey.
    """

    def __init__(self, video: Path, fps: float, size: tuple[int, int]) -> None:
        source = open_frames(video)
        images = [frame.image for frame in source]
        self.loop = round(len(images) / source.fps * fps)
        if self.loop >= 1 << BITS:
            raise RPSTNError(f'{video}: must have at most {(1 << BITS) - 1} frames at {fps:g} fps')
        self.fps = fps
        self._pictures = [
            cv2.imencode('.jpg', numbered(fitted(images[int(n / fps * source.fps)], size), n))[1]
            for n in range(self.loop)
        ]
        self.sent: list[float] = []
        """When each picture was sent."""
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header('Content-Type', 'multipart/x-mixed-replace; boundary=frame')
                self.end_headers()
                try:
                    for part in camera.parts():
                        self.wfile.write(part)
                except OSError:  # it was hung up
                    pass

            def log_message(self, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f'http://127.0.0.1:{self._server.server_port}/live.mjpg'

    def parts(self) -> Iterator[bytes]:
        """The pictures, each when it is due."""
        self.sent = []
        due = time.monotonic()
        while True:
            data = self._pictures[len(self.sent) % self.loop].tobytes()
            head = b'--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n' % len(data)
            self.sent.append(time.monotonic())
            yield head + data + b'\r\n'
            due = max(due + 1 / self.fps, time.monotonic())  # who is late leaves out, as cameras do
            time.sleep(max(0.0, due - time.monotonic()))


def fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image as large as fits, in the middle of one of (width, height) pixels."""
    scale = min(size[0] / image.shape[1], size[1] / image.shape[0])
    image = cv2.resize(image, None, fx=scale, fy=scale)
    whole = np.full((size[1], size[0], 3), 128, np.uint8)
    top, left = ((a - b) // 2 for a, b in zip(whole.shape, image.shape[:2]))
    whole[top : top + image.shape[0], left : left + image.shape[1]] = image
    return whole


def numbered(image: np.ndarray, number: int) -> np.ndarray:
    """With a number in its last rows, in place."""
    for bit, part in enumerate(np.array_split(image[-ROWS:], BITS, axis=1)):
        part[:] = 255 * (number >> bit & 1)
    return image


def number_in(image: np.ndarray) -> int:
    """That :func:`numbered` wrote."""
    parts = np.array_split(image[-ROWS // 2 :], BITS, axis=1)
    return sum(int(np.median(part) > 128) << bit for bit, part in enumerate(parts))


def watch(camera: Camera, exercise: str, seconds: float) -> dict[str, float]:
    """Watch for some seconds; figures by what they are."""
    began = time.monotonic()
    session = LiveSession(camera.address, exercise)
    try:
        arrived: list[tuple[float, int]] = []
        seen, loaded = 0, None
        while not arrived or time.monotonic() < arrived[0][0] + seconds:
            number, picture = session.picture
            if session.state['ended']:
                raise RPSTNError(session.state['text'])
            if number == seen:
                time.sleep(POLL)
                continue
            seen, now = number, time.monotonic()
            loaded = loaded or now
            if now < loaded + WARM:
                first, busy, told = number, _busy(session), session.state['count']
                continue
            image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
            arrived.append((now, _which(camera, number_in(image), now)))
        took = arrived[-1][0] - arrived[0][0]
        sent = arrived[-1][1] - arrived[0][1]
        answered = seen - first - 1
        delays = [now - camera.sent[which] for now, which in arrived]
        return {
            'seconds until the first picture': (loaded or began) - began,
            'pictures sent a second': sent / took,
            'pictures answered a second': answered / took,
            'dropped, %': 100 * (1 - answered / sent),
            'latency, ms, median': 1e3 * float(np.median(delays)),
            'latency, ms, 95th percentile': 1e3 * float(np.percentile(delays, 95)),
            'processor ms a picture': 1e3 * (_busy(session) - busy) / (answered + 1),
            'repetitions shown': sent / camera.loop,
            'repetitions counted': session.state['count'] - told,
        }
    finally:
        session.close()


def _which(camera: Camera, number: int, now: float) -> int:
    """The picture of that number within the loop that was sent last before ``now``."""
    last = len(camera.sent) - 1
    return last - (last - number) % camera.loop


def _busy(session: LiveSession) -> float:
    """Processor seconds of its process so far (Linux)."""
    fields = Path(f'/proc/{session._process.pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--video', type=Path, default=SQUAT, help='of one repetition (default: the demo clip)')
    add('--exercise', default='squat')
    add('--fps', type=float, default=20.0, help='of the camera (default: %(default)s)')
    add('--seconds', type=count, default=60, help='to watch (default: %(default)s)')
    add('--size', type=count, nargs=2, default=(640, 480), metavar=('W', 'H'))
    args = parser.parse_args()
    try:
        found = watch(Camera(args.video, args.fps, tuple(args.size)), args.exercise, args.seconds)
    except RPSTNError as error:
        print(error, file=sys.stderr)
        return 1
    width, height = args.size
    print(f'{args.fps:g} pictures a second of {width}x{height}, load {os.getloadavg()[0]:.1f}')
    for what, value in found.items():
        print(f'{what:34}{value:8.1f}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
