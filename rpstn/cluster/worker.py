"""What one worker does with one video: fetch it, look at it, bring the results to their place."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rpstn.errors import RPSTNError, one_line
from rpstn.files import sha256
from rpstn.locks import FolderLock, LockedError
from rpstn.names import hide_passwords

from .inputs import Video
from .jobs import Job, Look
from .manifest import DONE, FAILED, NOTHING
from .storage import Folder, copied, fetch, is_address

try:
    import resource
except ImportError:  # on Windows
    resource = None  # type: ignore[assignment]

_SCRATCH = 'rpstn-worker-'
_CHANGED = 'is another video than the one that was done; add --overwrite to do it again'


@dataclass(frozen=True)
class Task:
    """A video to be looked at.

    Attributes:
        known: sha256 of the video whose results are there; of the same one nothing is done.
        overwrite: those of another one.
    """

    video: Video
    known: str = ''
    overwrite: bool = False


@dataclass(frozen=True)
class Answer:
    """What the manifest is told.

    Attributes:
        row: state, frames, seconds, error, ...; without the state where the former one stays.
        repetitions, angles: rows of the tables, but for the video.
    """

    row: dict[str, Any]
    repetitions: list[dict[str, Any]] = field(default_factory=list)
    angles: list[dict[str, Any]] = field(default_factory=list)


class Worker:
    """A warm model that looks at one video after the other.

    Frames never leave it: what it is given is the name of a video, what it gives is a few numbers.

    Args:
        job: what is done.
        out: folder of the results, path or address.
        threads: of the model's engine.
        environment: variables to set, such as limits.
        here: folder that relative paths of the job begin at, where this machine has it.
    """

    def __init__(
        self,
        job: Job,
        out: str,
        threads: int,
        environment: Mapping[str, str] | None = None,
        here: str = '.',
    ) -> None:
        self.job, self.out, self.threads, self.here = job, out, threads, here
        self.environment = dict(environment or {})
        self._look: Look | None = None

    def load(self) -> str:
        """Get ready; the answer is a line on what is wrong with the model or the options."""
        os.environ.update(self.environment)
        with suppress(OSError):
            os.chdir(self.here)
        limit_threads(self.threads)
        try:
            self.folder = Folder(self.out)
            self._scratch, self._lock = _own_scratch()
            self._look = self.job.load()
        except (RPSTNError, OSError) as error:
            return one_line(error)
        return ''

    def do(self, task: Task) -> Answer:
        """Look at one video; what is wrong with it is in the answer."""
        began = time.perf_counter()
        scratch = self._scratch / uuid.uuid4().hex
        try:
            scratch.mkdir(parents=True)
            answer = self._do(task, scratch)
        except Exception as error:  # one video must not end an archive, whatever it is
            said = one_line(error)
            if not isinstance(error, (RPSTNError, OSError)):
                said = f'{type(error).__name__}: {said}'
            answer = Answer(dict(state=FAILED, error=said))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        row = answer.row
        if row.get('error'):
            row['error'] = _named(row['error'], task.video, scratch)
        row['seconds'] = time.perf_counter() - began
        row['worker'] = f'{socket.gethostname()}:{os.getpid()}'
        if resource is not None:
            row['memory'] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return answer

    def close(self) -> None:
        """Remove what is left of copies."""
        self._lock.release()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _do(self, task: Task, scratch: Path) -> Answer:
        video, path = task.video, task.video.source
        if is_address(path):
            path = str(fetch(path, scratch / 'video'))
        row: dict[str, Any] = dict(sha256=_content(path))
        if task.known and (task.known == row['sha256'] or not task.overwrite):
            changed = task.known != row['sha256']
            return Answer(dict(error=f'{video.key}: {_CHANGED}' if changed else ''))
        results = scratch / 'results'
        results.mkdir()
        assert self._look is not None, 'load comes first'
        outcome = self._look(path, results)
        row.update(frames=outcome.frames, error=outcome.error, summary=outcome.summary)
        row['state'] = FAILED if not outcome.files else NOTHING if outcome.nothing else DONE
        for ending, file in sorted(outcome.files.items()):
            self.folder.put(file, f'{video.name}{ending}')
        for ending in set(self.job.endings) - set(outcome.files) if outcome.files else ():
            self.folder.remove(f'{video.name}{ending}')  # of a former run, by other settings
        return Answer(row, outcome.repetitions, outcome.angles)


def limit_threads(count: int) -> None:
    """Of all that computes in this process."""
    import cv2
    import torch

    torch.set_num_threads(count)
    cv2.setNumThreads(count)


def _content(path: str) -> str:
    """The sha256 of a file, or of the images of one video."""
    if Path(path).is_file():
        return sha256(path)
    from rpstn.inference.about import content_sha256
    from rpstn.video.frames import FrameSource
    from rpstn.video.inputs import open_input

    source = open_input(path)
    assert isinstance(source, FrameSource)
    return content_sha256(source)


def _named(line: str, video: Video, scratch: Path) -> str:
    """The line, which names the video as it was given, and not its copy."""
    line = hide_passwords(line)
    for path in (copied(video.source, scratch / 'video'), scratch / 'results'):
        line = line.replace(str(path), video.key)
    return line


def _own_scratch() -> tuple[Path, FolderLock]:
    """A new folder for copies, locked as long as this process lives; those of the dead go."""
    for folder in Path(tempfile.gettempdir()).glob(f'{_SCRATCH}*'):
        try:
            FolderLock(folder, '').release()
        except (LockedError, OSError):  # in use, or another user's
            continue
        shutil.rmtree(folder, ignore_errors=True)
    # It has its name once it is locked: a worker that starts now would take it for a dead one's.
    hidden = Path(tempfile.mkdtemp(prefix=f'.{_SCRATCH}'))
    lock = FolderLock(hidden, '')
    own = hidden.with_name(hidden.name[1:])
    hidden.rename(own)
    lock.path = own / lock.path.name
    return own, lock
