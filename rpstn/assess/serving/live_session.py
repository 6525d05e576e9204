"""A camera or stream on the page: a process that counts, and the newest picture it has drawn."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from dataclasses import asdict
from math import isnan
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

_LARGEST = 720  # pixels, of the longer side of a picture that is shown
_QUALITY = 80  # of JPEG
_NUMBERS = itertools.count(1)


class LiveSession:
    """Counting from one camera or stream, in a process of its own, until it is closed.

    Args:
        source: number of a camera, or a URL.
        exercise: its name.
    """

    def __init__(self, source: str, exercise: str) -> None:
        context = get_context('spawn')
        self._pipe, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_watch, args=(theirs, source, exercise), daemon=True)
        self._process.start()
        theirs.close()
        self.number = next(_NUMBERS)
        self.picture = 0, b''
        """The newest, JPEG, and how many there were."""
        self.state: dict[str, Any] = dict(text='Opening.', ended=False)
        """What is known: the fields of :class:`rpstn.assess.live.LiveState`, or ``text``."""
        threading.Thread(target=self._receive, name='live', daemon=True).start()

    def to_dict(self) -> dict[str, Any]:
        """For the page: what is known, and of which session."""
        return dict(self.state, session=self.number)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.join()

    def _receive(self) -> None:
        text = 'Stopped.'
        try:
            while True:
                kind, value, *picture = self._pipe.recv()
                if kind == 'failed':
                    text = value
                    continue
                self.state = dict(value, text='', ended=False)
                self.picture = self.picture[0] + 1, picture[0]
        except (EOFError, OSError):
            self.state = dict(self.state, text=text, ended=True)


def _watch(pipe: Connection, source: str, exercise: str) -> None:
    """What the process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's, which ends this
    import cv2

    import rpstn  # noqa: F401 (registers the parts)
    from rpstn.engine.cpu import keep_freed_memory
    from rpstn.errors import RPSTNError, SettingError, one_line
    from rpstn.video.inputs import is_live, open_input

    from ..live import draw_state, watch

    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    keep_freed_memory()
    try:
        if not is_live(source):  # never a file of this machine
            raise SettingError(f'{source}: must be the number of a camera, or a URL of a stream')
        for result, state in watch(open_input(source), exercise):
            image = result.draw()
            scale = min(1.0, _LARGEST / max(image.shape[:2]))
            shown = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            _, picture = cv2.imencode(
                '.jpg', draw_state(shown, state), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
            )
            plain = {key: None if _is_nan(value) else value for key, value in asdict(state).items()}
            pipe.send(('state', plain, picture.tobytes()))
    except BrokenPipeError:  # the server has gone
        return
    except (RPSTNError, OSError) as error:
        pipe.send(('failed', one_line(error)))
    except Exception as error:  # the page says so, and the console shows what it was
        pipe.send(('failed', f'this should not have happened: {one_line(error)}'))
        raise


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and isnan(value)
