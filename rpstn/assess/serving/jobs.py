"""Videos that wait for their report, one assessed at a time, and reports that are kept a while."""

from __future__ import annotations

import secrets
import shutil
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from .worker import Task, TaskFailed, Worker

SENT, WAITING, RUNNING, DONE, FAILED = 'sent', 'waiting', 'running', 'done', 'failed'
_UPLOAD = 'video.bin'  # no name that anybody sends becomes part of a path


@dataclass(frozen=True)
class Limits:
    """What the page takes."""

    bytes: int = 500_000_000
    """Of one video."""
    seconds: float = 600.0
    """That a video may last."""
    minutes: float = 20.0
    """That assessing one may take."""
    waiting: int = 5
    """Videos at a time, the one being assessed included."""
    keep: float = 60.0
    """Minutes after which a report is removed."""


@dataclass
class Job:
    """One video and what has become of it."""

    id: str
    name: str
    folder: Path
    options: dict[str, Any]
    state: str = SENT
    """``SENT`` until the whole video is there."""
    seconds: float = 0.0
    """Of the video, looked at so far."""
    text: str = ''
    """What was found, or why nothing could be."""
    ended: float = 0.0
    """By the clock of this process."""

    def see(self, seconds: float) -> None:
        """So much of the video was looked at."""
        self.seconds = seconds

    @property
    def video(self) -> Path:
        """The video as it was sent."""
        return self.folder / _UPLOAD

    @property
    def report(self) -> Path:
        """Folder of the results."""
        return self.folder / 'report'

    def to_dict(self, ahead: int = 0) -> dict[str, Any]:
        """For the page."""
        return dict(
            id=self.id,
            name=self.name,
            state=self.state,
            ahead=ahead,
            seconds=round(self.seconds, 1),
            text=self.text,
        )


class Full(Exception):
    """As many videos wait as may."""


class Jobs:
    """The queue; a thread takes one after the other.

    Args:
        folder: in which everything lies; removed at the end.
        limits: what is taken.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        self._jobs: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._worker = Worker()
        self._thread = threading.Thread(target=self._run, name='assess', daemon=True)
        self._thread.start()

    def new(self, name: str, options: dict[str, Any]) -> Job:
        """A job whose video is to be written to its place; :meth:`add` lets it begin.

        Raises:
            Full: too many wait.
        """
        with self._changed:
            if sum(not job.ended for job in self._jobs.values()) >= self.limits.waiting:
                raise Full
            folder = self.folder / secrets.token_hex(8)
            folder.mkdir(parents=True)
            job = Job(secrets.token_urlsafe(16), shown(name), folder, options)
            self._jobs[job.id] = job
            return job

    def add(self, job: Job) -> None:
        """Its video is there: it waits for its turn."""
        with self._changed:
            job.state = WAITING
            self._changed.notify_all()

    def get(self, number: str) -> Job | None:
        """The job of that id, if there is one."""
        with self._changed:
            self._expire()  # also while another one is assessed
            return self._jobs.get(number)

    def remove(self, job: Job) -> None:
        """Forget a job, and delete all of it."""
        with self._changed:
            self._jobs.pop(job.id, None)
            if job.state == RUNNING:
                self._worker.stop()
        shutil.rmtree(job.folder, ignore_errors=True)

    def ahead(self, job: Job) -> int:
        """How many are assessed before it."""
        with self._changed:
            waiting = [one for one in self._jobs.values() if one.state in (WAITING, RUNNING)]
            return waiting.index(job) if job in waiting else 0

    def to_list(self) -> list[dict[str, Any]]:
        """All jobs, in the order in which they came, for the page."""
        with self._changed:
            self._expire()
            return [job.to_dict(self.ahead(job)) for job in self._jobs.values()]

    def close(self) -> None:
        """End, and delete everything."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._worker.close()
        self._thread.join(timeout=10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self) -> None:
        for job in self._next():
            task = Task(job.video, job.name, job.report, longest=self.limits.seconds, **job.options)
            try:
                job.text = self._worker.run(task, 60 * self.limits.minutes, job.see)
                state = DONE
            except TaskFailed as error:
                job.text, state = str(error), FAILED
            job.video.unlink(missing_ok=True)  # nobody asks for it any more
            with self._changed:
                job.state, job.ended = state, monotonic()

    def _next(self) -> Iterator[Job]:
        while True:
            with self._changed:
                while not self._stopping:
                    self._expire()
                    ready = (job for job in self._jobs.values() if job.state == WAITING)
                    if job := next(ready, None):
                        job.state = RUNNING
                        break
                    self._changed.wait(timeout=1)
                else:
                    return
            yield job

    def _expire(self) -> None:
        """Delete what has been kept long enough."""
        old = monotonic() - 60 * self.limits.keep
        for job in [job for job in self._jobs.values() if 0 < job.ended < old]:
            del self._jobs[job.id]
            shutil.rmtree(job.folder, ignore_errors=True)


def shown(name: str) -> str:
    r"""A file's name as a report may show it: printable, of one line, not too long.

    >>> shown('../a\n<b>.mp4')
    'a <b>.mp4'
    """
    last = name.replace('\\', '/').rsplit('/', 1)[-1]
    plain = ''.join(c if unicodedata.category(c)[0] != 'C' else ' ' for c in last)
    return ' '.join(plain.split())[:80] or 'video'
