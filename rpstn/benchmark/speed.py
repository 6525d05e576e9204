"""Ways to compute RPSTN beside each other, in turns, in one run on one machine.

Every way runs in a process of its own, which waits while another is timed; a slow minute of the
machine falls on all alike, and each has its own peak memory.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from rpstn.tables import format_table

from . import speed_worker

WAYS = {
    'release': "(a) the release's way: frame by frame, T = {clip_len}, eager",
    'clip': '(b) clip mode, T = {clip_len}',
    'torch float32': '(c) streaming, PyTorch, eager',
    'onnx float32': '(d) streaming, ONNX Runtime',
    'openvino float32': '(e) streaming, OpenVINO',
    'torch bfloat16': '(f) streaming, PyTorch, bfloat16',
    'openvino bfloat16': '(f) streaming, OpenVINO, bfloat16',
    'onnx int8': '(g) streaming, ONNX Runtime, int8',
    'openvino int8': '(g) streaming, OpenVINO, int8',
    'simple baseline': "MMPose's SimpleBaseline ResNet-50, single frames, eager",
    'mediapipe': 'MediaPipe Pose full, whole frames',
}
PACKAGES = ('torch', 'onnxruntime', 'openvino', 'mmpose', 'mediapipe', 'onnx', 'numpy')


class Worker:
    """A process of :mod:`rpstn.benchmark.speed_worker`.

    Attributes:
        device: what computes, in words.
        error: why it cannot, empty if it can.
    """

    def __init__(self, settings: dict) -> None:
        # Forked off a server that has imported everything and computed nothing, where possible.
        forked = 'forkserver' in multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context('forkserver' if forked else 'spawn')
        if forked:
            context.set_forkserver_preload([speed_worker.__name__])
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=speed_worker.serve, args=(theirs, settings), daemon=True
        )
        self.process.start()
        theirs.close()
        answer = self._answer()
        self.device, self.error = answer.get('device', ''), answer.get('error', '')

    def time(self, frames: int) -> dict:
        """Its answer, ``dict(error=...)`` if it has ended."""
        try:
            self.connection.send(frames)
        except BrokenPipeError:
            return dict(error='the process has ended')
        return self._answer()

    def _answer(self) -> dict:
        try:
            return self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            return dict(error=f'the process ended with status {self.process.exitcode}')

    def close(self) -> None:
        """End it."""
        self.connection.close()
        self.process.join()


@contextmanager
def workers(settings: dict, ways: Sequence[str]) -> Iterator[dict[str, Worker]]:
    """One for each way, ended at the end."""
    with ExitStack() as stack:
        found = {}
        for way in ways:  # one after the other, as building takes both cores
            found[way] = Worker(dict(settings, way=way))
            stack.callback(found[way].close)
        yield found


def measure(settings: dict, ways: Sequence[str], rounds: int, frames: int) -> dict[str, dict]:
    """Time all ways, in turns.

    Args:
        settings: of :func:`rpstn.benchmark.speed_worker.prepare`, but for ``way``.
        ways: of :data:`WAYS`.
        rounds: turns that each gets.
        frames: timed in a turn, in whole clips where a call takes a clip.

    Returns:
        By way ``ms`` and ``cpu_ms``, a list of milliseconds per frame for every
        turn, ``memory`` (MB, peak) and ``device``; or ``error``.
    """
    with workers(settings, ways) as running:
        found = {
            way: dict(device=worker.device, ms=[], cpu_ms=[], error=worker.error)
            for way, worker in running.items()
        }
        for _ in range(rounds):
            for way, worker in running.items():
                entry = found[way]
                if entry['error']:
                    continue
                answer = worker.time(frames)
                if 'error' in answer:
                    entry['error'] = answer['error']
                    continue
                entry['ms'].append(answer['ms'])
                entry['cpu_ms'].append(answer['cpu_ms'])
                entry['memory'] = answer['memory']
    return found


def report(found: dict[str, dict], clip_len: int) -> str:
    """A Markdown table of what :func:`measure` found, and a line on each way that failed.

    Ratios are to the first way, turn by turn; the median of the turns is given.
    """
    rows, failed = [], []
    first = next(iter(found.values()))
    for way, entry in found.items():
        name = WAYS[way].format(clip_len=clip_len)
        if entry['error']:
            failed.append(f'- {name}: not measured: {entry["error"]}')
            continue
        times = np.concatenate(entry['ms'])
        ratios = [
            [f'{np.median([np.median(a) / np.median(b) for a, b in zip(*pair)]):.2f}']
            if pair[1]
            else ['-']
            for pair in ((entry[key], first[key]) for key in ('ms', 'cpu_ms'))
        ]
        rows.append(
            [
                name,
                *(f'{np.percentile(times, share):.1f}' for share in (50, 95)),
                *ratios[0],
                f'{np.median(np.concatenate(entry["cpu_ms"])):.1f}',
                *ratios[1],
                f'{entry["memory"]:.0f}',
            ]
        )
    header = [
        '',
        'ms per frame, median',
        '95th percentile',
        'of (a)',
        'processor ms',
        'of (a)',
        'peak MB',
    ]
    return '\n'.join([format_table(header, rows), *([''] if failed else []), *failed])


def machine(threads: int) -> str:
    """Processor, load and versions, for the head of a report."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(':')[1].strip() for line in lines if line.startswith('model name')]
    flags = next((line.split(':')[1].split() for line in lines if line.startswith('flags')), [])
    special = [
        flag
        for flag in (
            'avx2',
            'avx512f',
            'avx_vnni',
            'avx512_vnni',
            'avx512_bf16',
            'amx_bf16',
            'amx_int8',
        )
        if flag in flags
    ]
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f'{package} {version(package)}')
        except PackageNotFoundError:
            continue
    return (
        f'{threads} threads of {names[0] if names else platform.processor()}, '
        f'{os.cpu_count()} cores ({", ".join(special)}), Python {platform.python_version()}, '
        f'{", ".join(versions)}'
    )
