"""Warm workers by Ray, on this machine or a cluster, that die and are replaced."""

from __future__ import annotations

import logging
import math
import os
import re
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

from rpstn.errors import RPSTNError, SettingError, first_line

TRIES = 3
"""Times that a task is given to a worker, until it is taken to be what kills them."""
_OBJECTS = 80 << 20
"""Bytes of Ray's object store, its least: nothing large goes through it."""
_LONG = 60.0
"""Seconds without any worker after which that is said."""
_CLOSING = 5.0
"""Seconds that workers have to tidy up."""
TaskT = TypeVar('TaskT', contravariant=True)
AnswerT = TypeVar('AnswerT', covariant=True)
T = TypeVar('T')
A = TypeVar('A')


class ClusterError(RPSTNError, RuntimeError):
    """Workers cannot be had; the message is one line."""


class Works(Protocol[TaskT, AnswerT]):
    """A worker, which lives in a process of its own."""

    def load(self) -> str:
        """Get ready; the answer is a line on what is wrong, for all workers alike."""

    def do(self, task: TaskT) -> AnswerT:
        """Do one task."""

    def close(self) -> None:
        """Leave nothing behind; not called where it is killed."""


@dataclass(frozen=True)
class Done(Generic[T, A]):
    """What became of a task.

    Attributes:
        answer: of the worker; None where workers died of it :data:`TRIES` times.
        tries: times that it was begun.
        reason: of the last death.
    """

    task: T
    answer: A | None
    tries: int
    reason: str = ''


def import_ray() -> ModuleType:
    """Ray, which sends nothing to its makers.

    Raises:
        SettingError: it is not installed.
    """
    os.environ['RAY_USAGE_STATS_ENABLED'] = '0'
    # Or a lost worker is told in ten lines, on standard output.
    os.environ.setdefault('RAY_DEDUP_LOGS_SKIP_REGEX', '.')
    # Workers are the work: as important as a plain loop, and not 15 steps below all else.
    os.environ.setdefault('RAY_worker_niceness', '0')
    # What it is going to do anyway, about which it warns.
    os.environ.setdefault('RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO', '0')
    try:
        import pyarrow  # noqa: F401 (of the manifest)
        import ray
    except ImportError as error:
        raise SettingError(
            f"--workers and --cluster need Ray: pip install 'rpstn[cluster]' ({error})"
        ) from None
    return ray


@contextmanager
def connected(address: str | None, cores: int, gpus: int | None = None) -> Iterator[ModuleType]:
    """Ray within a ``with`` statement: a cluster's, or one of this machine that ends with it.

    Args:
        address: of the cluster, as ``ray.init`` takes it; None for this machine. Where this
            process is connected already, that connection is used, and stays.
        cores: that may be used of this machine.
        gpus: of this machine; None for all.

    Raises:
        SettingError: Ray is not installed. ClusterError: the cluster does not answer.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield ray
        return
    folder = None
    settings: dict[str, Any] = dict(
        logging_level=logging.CRITICAL, log_to_driver=False, configure_logging=True
    )
    if address is None:
        # Sockets lie in it, whose paths have at most 107 bytes.
        place = tempfile.gettempdir()
        folder = tempfile.mkdtemp(prefix='rpstn-', dir=place if len(place) < 30 else '/tmp')
        settings.update(
            address='local',
            num_cpus=cores,
            num_gpus=gpus,
            include_dashboard=False,
            object_store_memory=_OBJECTS,
            _temp_dir=folder,
        )
    else:
        settings.update(address=address)
        _see_that_it_listens(address)
    try:
        with _signals_kept():
            ray.init(**settings)
        yield ray
    except (ConnectionError, ValueError, RuntimeError) as error:
        if ray.is_initialized():
            raise
        raise ClusterError(f'{address or "Ray"}: {first_line(error)}') from error
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _see_that_it_listens(address: str) -> None:
    """Ray would wait for minutes."""
    host, _, port = address.rpartition('://')[2].rpartition(':')
    if not host:  # 'auto'
        return
    try:
        socket.create_connection((host.strip('[]'), int(port)), 10.0).close()
    except (OSError, ValueError) as error:
        raise ClusterError(f'{address}: no Ray cluster answers ({first_line(error)})') from None


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray would end the process at SIGTERM, and not let it tell."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def shares(ray: ModuleType, workers: int | None, threads: int, on_gpu: bool) -> tuple[int, float]:
    """How many workers there are to be, and the share of a GPU that each gets.

    Args:
        workers: that were asked for; None for one on each GPU, or as many as have cores.
        threads: cores of each.
        on_gpu: whether they have use for a GPU.
    """
    there = ray.cluster_resources()
    gpus = int(there.get('GPU', 0)) if on_gpu else 0
    if workers is None:
        workers = gpus or max(1, int(there.get('CPU', 1)) // threads)
    return workers, 1 / math.ceil(workers / gpus) if gpus else 0.0


class _Actor:
    """A worker in its process."""

    def __init__(self, make: Callable[[], Works]) -> None:
        self.worker = make()

    def load(self) -> str:
        return self.worker.load()

    def do(self, task: Any) -> Any:
        return self.worker.do(task)

    def close(self) -> None:
        self.worker.close()


class Pool(Generic[T, A]):
    """Workers that each have one task at a time.

    A worker that dies, with its machine or alone, is replaced, and its task is done anew; at the
    third death it is given up.

    Args:
        ray: connected.
        make: makes a worker, in its process.
        workers: how many.
        threads: cores of each.
        gpu: share of a GPU of each.
        say: takes a line where no worker can be had for long.
    """

    def __init__(
        self,
        ray: ModuleType,
        make: Callable[[], Works[T, A]],
        workers: int,
        threads: int = 1,
        gpu: float = 0.0,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.ray, self.make, self.workers, self.say = ray, make, workers, say
        self._actor = ray.remote(
            num_cpus=threads, num_gpus=gpu, max_restarts=0, scheduling_strategy='SPREAD'
        )(_Actor)
        self._busy: dict[Any, tuple[Any, tuple[T, int] | None]] = {}
        """Call -> actor, and its task and tries; None while it loads."""
        self._deaths = 0  # of workers while they load, in a row

    def run(
        self, tasks: Iterable[T], tick: Callable[[], None] = lambda: None
    ) -> Iterator[Done[T, A]]:
        """Do all tasks; what became of each comes as it is known.

        Args:
            tasks: each is given to one worker, in this order.
            tick: called at least every second.

        Raises:
            ClusterError: workers cannot load the model, or die while they do.
        """
        waiting = deque((task, 0) for task in tasks)
        idle: list[Any] = []
        since = time.monotonic()
        try:
            for _ in range(min(self.workers, len(waiting))):
                self._start()
            while waiting or any(task for _, task in self._busy.values()):
                while idle and waiting:
                    task, tries = waiting.popleft()
                    actor = idle.pop()
                    self._busy[actor.do.remote(task)] = actor, (task, tries + 1)
                ready, _ = self.ray.wait(list(self._busy), num_returns=1, timeout=1.0)
                tick()
                if not ready and not any(task for _, task in self._busy.values()):
                    if time.monotonic() - since > _LONG:
                        self.say('waiting for a machine with room for a worker, or its model')
                        since = math.inf
                for call in ready:
                    actor, given = self._busy.pop(call)
                    try:
                        answer = self.ray.get(call)
                    except self.ray.exceptions.RayTaskError:  # a fault of ours
                        raise
                    except self.ray.exceptions.RayError as error:
                        yield from self._lost(given, _why(error), waiting)
                        continue
                    if given is None:
                        if answer:
                            raise ClusterError(answer)
                        self._deaths = 0
                    else:
                        yield Done(given[0], answer, given[1])
                    idle.append(actor)
            closing = [actor.close.remote() for actor in idle]
            if closing:
                self.ray.wait(closing, num_returns=len(closing), timeout=_CLOSING)
        finally:
            for actor in [*idle, *(actor for actor, _ in self._busy.values())]:
                self.ray.kill(actor)
            self._busy.clear()

    def _start(self) -> None:
        actor = self._actor.remote(self.make)
        self._busy[actor.load.remote()] = actor, None

    def _lost(
        self, given: tuple[T, int] | None, reason: str, waiting: deque[tuple[T, int]]
    ) -> Iterator[Done[T, A]]:
        """After the death of a worker: another one, and its task once more, before all others."""
        if given is None:
            self._deaths += 1
            if self._deaths >= TRIES:
                raise ClusterError(f'workers die as they load the model: {reason}')
        elif given[1] < TRIES:
            waiting.appendleft(given)
        else:
            yield Done(given[0], None, given[1], reason)
        if waiting:
            self._start()


def _why(error: Exception) -> str:
    """What is said of a worker's death, which Ray tells in a paragraph."""
    text = str(error)
    detail = re.search(r'Worker exit detail: (.*?)\.?(?: Some common causes|$)', text, re.MULTILINE)
    if detail:
        return detail[1].strip()
    if 'creation task' in text:  # then a traceback follows
        return text.strip().splitlines()[-1]
    return first_line(error)
