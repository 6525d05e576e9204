"""Calls timed in turns, in one run on one machine, each in a process of its own.

A process waits while another is timed, so that a slow minute of the machine falls on all alike, and
each has its own peak memory.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

from rpstn.errors import one_line


class Call(NamedTuple):
    """What is timed: a function without arguments, the frames or clips it takes, what computes."""

    run: Callable[[], object]
    units: int = 1
    device: str = f'PyTorch {torch.__version__} on cpu, float32'


@dataclass
class Timing:
    """What was measured of a call.

    Attributes:
        device: what computes, in words.
        ms: of every turn, milliseconds per unit in each of its calls.
        cpu_ms: likewise, of the processor in this process alone.
        memory_before: of the process before the first call, MB; of the GPU where it uses one.
        memory: the most it has had, MB.
        error: why it was not measured, empty if it was.
    """

    device: str = ''
    ms: list[list[float]] = field(default_factory=list)
    cpu_ms: list[list[float]] = field(default_factory=list)
    memory_before: float = 0.0
    memory: float = 0.0
    error: str = ''


def measure(
    builds: Mapping[str, Callable[[], Call]], rounds: int, units: int, threads: int
) -> dict[str, Timing]:
    """Time calls in turns.

    Args:
        builds: by name what makes the call, in its process: functions of a module, or partial
            ones, as they are pickled.
        rounds: turns that each gets.
        units: timed in a turn, in whole calls.
        threads: of PyTorch in each process.

    Returns:
        By name; one that cannot be measured has its ``error``, and the others go on.
    """
    # Forked off a server that has imported everything and computed nothing, where possible.
    forked = 'forkserver' in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context('forkserver' if forked else 'spawn')
    if forked:
        context.set_forkserver_preload(['rpstn.benchmark'])
    pools, found = {}, {}
    with ExitStack() as stack:
        for name, build in builds.items():  # one after the other, as building takes all cores
            pools[name] = stack.enter_context(ProcessPoolExecutor(1, context, _start, (threads,)))
            found[name] = Timing(**_ask(pools[name], _prepare, build))
        for _ in range(rounds):
            for name, timing in found.items():
                if timing.error:
                    continue
                answer = _ask(pools[name], _time, units)
                timing.error = answer.get('error', '')
                if not timing.error:
                    timing.ms.append(answer['ms'])
                    timing.cpu_ms.append(answer['cpu_ms'])
                    timing.memory = answer['memory']
    return found


def timed(run: Callable[[], object], repeats: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each of several calls: passed, and of the processor in this process."""
    passed, worked = [], []
    for _ in range(repeats):
        began, before = time.perf_counter(), time.process_time()
        run()
        passed.append(1e3 * (time.perf_counter() - began))
        worked.append(1e3 * (time.process_time() - before))
    return passed, worked


def _ask(pool: ProcessPoolExecutor, task: Callable[..., dict], argument: object) -> dict:
    answer = pool.submit(task, argument)
    # Whatever is wrong with one, its process ended perhaps: it shall be told, and the others go on.
    return dict(error=one_line(e)) if (e := answer.exception()) else answer.result()


# What follows runs in the process of one call.
_call: Call


def _start(threads: int) -> None:
    parent: Any = multiprocessing.parent_process()

    def end_with_parent() -> None:  # or it would wait for tasks of one that was killed
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # libraries print
        os.dup2(nothing, stream)
    torch.set_num_threads(threads)


def _prepare(build: Callable[[], Call]) -> dict:
    global _call
    _call = build()
    before, _ = _memory()
    _call.run()
    return dict(device=_call.device, memory_before=before)


def _time(units: int) -> dict:
    _call.run()  # the first after a pause is slower
    passed, worked = timed(_call.run, max(1, units // _call.units))
    return dict(
        ms=[value / _call.units for value in passed],
        cpu_ms=[value / _call.units for value in worked],
        memory=_memory()[1],
    )


def _memory() -> tuple[float, float]:
    """What this process has, and the most it has had, MB; of the GPU where it uses one."""
    if torch.cuda.is_initialized():
        return torch.cuda.memory_allocated() / 2**20, torch.cuda.max_memory_allocated() / 2**20
    status = Path('/proc/self/status')
    if not status.exists():
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return most, most
    # ru_maxrss would count what the process that started this one had.
    lines = dict(line.split(':', 1) for line in status.read_text().splitlines())
    now, most = (int(lines[key].split()[0]) / 1024 for key in ('VmRSS', 'VmHWM'))
    return now, most
