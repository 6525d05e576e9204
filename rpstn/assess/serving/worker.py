"""One process that assesses videos for the page, so that a video can neither stop nor crash it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from time import monotonic

_WAIT = 0.2  # seconds between looks at the clock


@dataclass(frozen=True)
class Task:
    """One video to assess.

    Attributes:
        video: the file.
        shown: what the report calls it.
        out: folder of the results; is made.
        exercise, height (metres), tilt, blur_faces: see :class:`rpstn.assess.run.AssessOptions`.
        longest: seconds that the video may last.
    """

    video: Path
    shown: str
    out: Path
    exercise: str = 'squat'
    height: float | None = None
    tilt: float | None = None
    blur_faces: bool = False
    longest: float = 600.0


class TaskFailed(Exception):
    """Why a video could not be assessed, in one line for readers."""


class Worker:
    """A process of its own, started for the first task, and anew after it has died."""

    def __init__(self) -> None:
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._changing = threading.Lock()
        self._closed = False

    def run(self, task: Task, limit: float, progress: Callable[[float], None]) -> str:
        """Assess one video.

        Args:
            limit: seconds it may take.
            progress: takes seconds of the video that were looked at.

        Returns:
            A line on what was found.

        Raises:
            TaskFailed: it could not be.
        """
        end = monotonic() + limit
        try:
            pipe = self._started()
            pipe.send(task)
            while monotonic() < end:
                if not pipe.poll(_WAIT):
                    continue
                kind, value = pipe.recv()
                if kind == 'progress':
                    progress(value)
                elif kind == 'done':
                    return value
                else:
                    raise TaskFailed(value)
        except (EOFError, OSError):
            self.stop()
            raise TaskFailed('the video could not be read: reading it ended the process') from None
        self.stop()
        raise TaskFailed(f'it took longer than {limit:.0f} seconds')

    def stop(self) -> None:
        """End the process, whatever it is doing; also while :meth:`run` waits in another thread."""
        with self._changing:
            process, self._process, self._pipe = self._process, None, None
        if process is not None:
            process.kill()
            process.join()

    def close(self) -> None:
        """End the process, and start no other."""
        with self._changing:
            self._closed = True
        self.stop()

    def _started(self) -> Connection:
        with self._changing:
            if self._closed:
                raise EOFError
            if self._process is None or not self._process.is_alive() or self._pipe is None:
                # Spawned: a fork would hold the server's sockets, and its threads' locks.
                context = get_context('spawn')
                self._pipe, theirs = context.Pipe()
                process = context.Process(target=_work, args=(theirs,), daemon=True)
                process.start()
                self._process = process
                theirs.close()
            return self._pipe


def _work(pipe: Connection) -> None:
    """What the process does: one task after the other until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's, which ends this
    import rpstn  # noqa: F401 (registers the parts)
    from rpstn.engine.cpu import keep_freed_memory
    from rpstn.errors import RPSTNError, one_line

    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    keep_freed_memory()
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            pipe.send(('done', _assess(task, lambda seconds: pipe.send(('progress', seconds)))))
        except BrokenPipeError:  # the server has gone
            return
        except (RPSTNError, OSError, TaskFailed) as error:
            text = one_line(error).replace(str(task.video), task.shown)
            pipe.send(('failed', text))
        except Exception as error:  # the page goes on, and the console shows what it was
            pipe.send(('failed', f'this should not have happened: {one_line(error)}'))
            raise


def _assess(task: Task, progress: Callable[[float], None]) -> str:
    from rpstn.video.frames import FrameSource
    from rpstn.video.inputs import open_input

    from ..pipeline import Assessor
    from ..report import write_report
    from ..run import in_one_line

    source = open_input(task.video)
    assert isinstance(source, FrameSource)
    assessor = Assessor(task.exercise, task.height, task.tilt)

    def watch(seconds: float) -> None:
        if seconds > task.longest:
            raise TaskFailed(f'{task.shown}: lasts longer than {task.longest:.0f} seconds')
        progress(seconds)

    assessment = replace(assessor(source, watch), video=task.shown)
    write_report(assessment, source, task.out, task.blur_faces)
    return in_one_line(assessment)
