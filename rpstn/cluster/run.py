"""An archive from beginning to end: what is there, what is missing, and that done once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from typing import Any

from rpstn.errors import RPSTNError, SettingError
from rpstn.locks import FolderLock
from rpstn.version import __version__

from .inputs import Video, find_videos
from .jobs import Job
from .manifest import DONE, FAILED, FINISHED, NAME, NOTHING, Manifest
from .pool import TRIES, Done, Pool, connected, import_ray, shares
from .progress import ArchiveProgress
from .storage import Folder
from .worker import Answer, Task, Worker

_NAMED = 20
"""Failing videos that are named at the end; the manifest names all."""


@dataclass(frozen=True)
class Archive:
    """Which videos, where the results go, and by how many workers.

    Attributes:
        inputs: see :mod:`rpstn.cluster.inputs`.
        out: folder of the results, path or address.
        workers: by default as many as there are cores, or GPUs.
        address: of a Ray cluster; None for this machine.
        overwrite: results that other settings have made, or that are of no archive.
        threads: of each worker's engine; by default its share of this machine's cores, and 1 on a
            cluster.
    """

    inputs: Sequence[str]
    out: str
    workers: int | None = None
    address: str | None = None
    overwrite: bool = False
    threads: int | None = None


@dataclass
class Summary:
    """What became of all videos."""

    videos: int = 0
    already: int = 0
    """Done by an earlier run."""
    done: int = 0
    nothing: int = 0
    """Done, but there was nothing to assess."""
    failed: int = 0
    frames: int = 0
    seconds: float = 0.0
    workers: int = 0
    manifest: str = ''
    errors: list[str] = field(default_factory=list)
    """A line on each video that failed, or is damaged, and on each input that means none."""

    def __str__(self) -> str:
        known = f' ({self.already} of them before)' if self.already else ''
        empty = f' ({self.nothing} with nothing to assess)' if self.nothing else ''
        rate = self.frames / self.seconds if self.seconds else 0.0
        return (
            f'{self.videos} videos: {self.done + self.nothing + self.already} done{known}{empty}, '
            f'{self.failed} failed; {self.frames} frames in {self.seconds:.1f} s, {rate:.1f} per '
            f'second by {self.workers} workers: {self.manifest}'
        )


def run_archive(
    job: Job,
    archive: Archive,
    say: Callable[[str], None] = lambda line: None,
    tell: Callable[[Mapping[str, Any]], None] = lambda row: None,
) -> Summary:
    """Do what is missing of an archive, each video once.

    Args:
        job: what is done to each video.
        archive: the videos, and the folder of the results.
        say: takes lines on what is done.
        tell: takes the row of the manifest of each video that this run has come to.

    Raises:
        RPSTNError: an option cannot be, the folder holds results by other settings, or workers
            cannot be had. Videos that fail are in the summary.
        KeyboardInterrupt: with a line on how far it has come.
    """
    if archive.threads is not None and archive.threads < 1:
        raise SettingError(f'threads must be 1 or more, got {archive.threads}')
    job.check()
    import_ray()
    folder = Folder(archive.out)
    with _locked(folder):
        files = folder.files()
        model, settings = job.identity()
        settings = json.loads(json.dumps(settings, default=str))
        key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        manifest = Manifest(folder, model, settings, key, files)
        manifest.refuse_others(archive.overwrite)
        names = {video: row['name'] for video, row in manifest.rows.items()}
        videos, errors = find_videos(archive.inputs, names, say)
        results = {
            f'{folder.place}/{name}{ending}': video
            for video, name in names.items()
            for ending in job.endings
        }
        videos = [video for video in videos if results.get(video.source, video.key) == video.key]
        summary = Summary(len(videos), manifest=f'{folder}/{NAME}', errors=errors)
        rows = {video.key: _row(video, manifest) for video in videos}
        tasks: list[Task] = []
        for video in videos:
            before = manifest.rows.get(video.key)
            taken = [f'{video.name}{ending}' for ending in job.endings]
            there = [name for name in taken if name in files]
            finished = before is not None and before['state'] in FINISHED
            if video.source in (f'{folder.place}/{name}' for name in taken):
                said = f'{video.key}: would be overwritten; choose another --out'
                _refuse(said, rows[video.key], summary, tell)
            elif before and finished and there and manifest.is_current(before):
                if (before['bytes'], before['version']) == (video.bytes, video.version):
                    summary.already += 1
                else:
                    tasks.append(Task(video, before['sha256'], archive.overwrite))
            elif before is None and there and not archive.overwrite:
                said = f'{folder}/{there[0]}: is there already; add --overwrite to replace it'
                _refuse(said, rows[video.key], summary, tell)
            else:
                tasks.append(Task(video))
        manifest.expect(rows[task.video.key] for task in tasks if not task.known)
        if tasks:
            _run(job, archive, tasks, rows, manifest, summary, say, tell)
        return summary


def _run(
    job: Job,
    archive: Archive,
    tasks: list[Task],
    rows: Mapping[str, dict[str, Any]],
    manifest: Manifest,
    summary: Summary,
    say: Callable[[str], None],
    tell: Callable[[Mapping[str, Any]], None],
) -> None:
    """Start the workers, and note what they answer."""
    cores = os.cpu_count() or 1
    asked = archive.workers or cores
    threads = archive.threads or (max(1, cores // asked) if archive.address is None else 1)
    on_gpu = not (job.device or '').startswith('cpu')
    limits = {name: value for name, value in os.environ.items() if name.startswith('RPSTN_MAX_')}
    make = partial(Worker, job, manifest.folder.place, threads, limits, os.getcwd())
    progress = ArchiveProgress(len(tasks), say)

    def tick() -> None:
        manifest.tick()
        progress.tick()

    try:
        with connected(archive.address, asked * threads, None if on_gpu else 0) as ray, progress:
            workers, gpu = shares(ray, archive.workers, threads, on_gpu)
            summary.workers = min(workers, len(tasks))
            pool: Pool[Task, Answer] = Pool(ray, make, workers, threads, gpu, say)
            for done in pool.run(tasks, tick):
                _note(done, rows, manifest, summary, tell)
                progress.step(manifest.rows[done.task.video.key])
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f'stopped after {progress.done} of {len(tasks)} videos; the same command goes on '
            'with the others'
        ) from None
    finally:
        summary.seconds = progress.seconds
        manifest.fold()


def _note(
    done: Done[Task, Answer],
    rows: Mapping[str, dict[str, Any]],
    manifest: Manifest,
    summary: Summary,
    tell: Callable[[Mapping[str, Any]], None],
) -> None:
    """Note what came of one video."""
    video, answer = done.task.video, done.answer
    if answer is None:
        said = f'{video.key}: {TRIES} workers died at it, the last: {done.reason}'
        answer = Answer(dict(state=FAILED, error=said))
    row = {**rows[video.key], **answer.row, 'tries': done.tries}
    if 'state' not in row:
        before = manifest.rows[video.key]
        if row['error']:
            _refuse(row['error'], before, summary, tell)
        else:  # written anew, but the same
            manifest.put({**before, 'bytes': video.bytes, 'version': video.version})
            summary.already += 1
        return
    row['finished'] = datetime.now(timezone.utc)
    manifest.put(row, answer.repetitions, answer.angles)
    _count(summary, row)
    tell(manifest.rows[video.key])


def _row(video: Video, manifest: Manifest) -> dict[str, Any]:
    """What is known of a video before it is looked at."""
    return dict(
        video=video.key,
        name=video.name,
        bytes=video.bytes,
        version=video.version,
        model=manifest.model,
        settings=manifest.key,
        rpstn=__version__,
    )


def _refuse(
    said: str, row: Mapping[str, Any], summary: Summary, tell: Callable[[Mapping[str, Any]], None]
) -> None:
    """Count a video as failed whose row in the manifest stays as it is."""
    refused = {**row, 'state': FAILED, 'error': said}
    _count(summary, {**refused, 'frames': 0})
    tell(refused)


def _count(summary: Summary, row: Mapping[str, Any]) -> None:
    summary.done += row['state'] == DONE
    summary.nothing += row['state'] == NOTHING
    summary.failed += row['state'] == FAILED
    summary.frames += row.get('frames') or 0
    if row.get('error'):
        named = row['error'] if row['video'] in row['error'] else f'{row["video"]}: {row["error"]}'
        summary.errors.append(named)


@contextmanager
def _locked(folder: Folder) -> Iterator[None]:
    """One process at a time, where there are locks: object stores have none."""
    if folder.local is None:
        yield
        return
    if folder.local.exists() and not folder.local.is_dir():
        raise SettingError(f'{folder}: --out must be a folder')
    folder.local.mkdir(parents=True, exist_ok=True)
    with FolderLock(folder.local, 'choose another --out', '.manifest.lock'):
        yield


def raise_errors(summary: Summary) -> None:
    """Name what failed, in an error, if anything did."""
    lines = summary.errors[:_NAMED]
    if len(summary.errors) > _NAMED:
        lines.append(f'and {len(summary.errors) - _NAMED} more, see {summary.manifest}')
    if lines:
        raise RPSTNError('\n'.join(lines))
