"""A stream of 100,000 frames, and 1,000 inputs, in one process: memory, threads and files stay.

    make test-long                                              half an hour
    make test-long ARGS='--frames 5000 --inputs 50'             shorter
    make test-long ARGS='--figure docs/reliability.png'         with a figure

Prints a table, and exits with status 1 where memory grows by more than --most MiB after the first
tenth, or threads or open files by any.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

from .seeds import make_models, pictures


@dataclass
class Watched:
    """What a process took, from a thread beside it."""

    done: Callable[[], float]
    """How much is done, from 0 to 1."""
    file: Path | None = None
    """Takes a line of each."""
    every: float = 2.0
    rows: list[tuple[float, float, int, int]] = field(default_factory=list)
    """Share done, MiB, threads, open files."""

    def __enter__(self) -> Watched:
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(self.every):
            status = Path('/proc/self/status').read_text()
            numbers = {
                line.split(':')[0]: int(line.split()[1])
                for line in status.splitlines()
                if line.startswith(('VmRSS', 'Threads'))
            }
            files = len(os.listdir('/proc/self/fd'))
            row = self.done(), numbers['VmRSS'] / 1024, numbers['Threads'], files
            self.rows.append(row)
            if self.file:
                with open(self.file, 'a') as file:
                    print(*row, sep=',', file=file)

    def settled(self) -> np.ndarray:
        """The rows after the first tenth, when all that stays is there; and before the end."""
        rows = np.array(self.rows)
        return rows[(rows[:, 0] > 0.1) & (rows[:, 0] < 1)]

    def grown(self) -> np.ndarray:
        """By how much each figure grows from the start to the end, on a straight line."""
        rows = self.settled()
        return np.polyfit(rows[:, 0], rows[:, 1:], 1)[0]


def long_video(path: Path, frames: int) -> Path:
    """So many frames: the same hundred, coded once."""
    images = pictures(100, (64, 48))
    with av.open(str(path), 'w') as file:
        stream = file.add_stream('mjpeg', 25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuvj420p'
        packets = [
            bytes(packet)
            for image in images
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, 'bgr24'))
        ]
        packets += [bytes(packet) for packet in stream.encode()]
        for t in range(frames):
            packet = av.Packet(packets[t % len(packets)])
            packet.stream, packet.pts, packet.dts = stream, t, t
            packet.time_base, packet.is_keyframe = stream.codec_context.time_base, True
            file.mux(packet)
    return path


def watch_stream(folder: Path, frames: int, rows: Path | None = None) -> tuple[Watched, float]:
    """One video, frame by frame, and the seconds it took."""
    from rpstn.cli.main import main

    video, out = long_video(folder / 'long.avi', frames), folder / 'stream'
    journal = out / 'long.incomplete/journal.jsonl'

    def done() -> float:
        return journal.stat().st_size / frames if journal.exists() else 0.0

    argv = [folder / 'models/model.py', folder / 'models/model.pth', video, '--mode', 'stream']
    argv += ['--out', out, '--save', 'video', 'json', 'csv', '--device', 'cpu']
    began = time.monotonic()
    with Watched(done, rows) as watched, contextlib.redirect_stdout(io.StringIO()):
        assert main(['infer', *map(str, argv)]) == 0
    took = time.monotonic() - began
    last = max(row[0] for row in watched.rows)
    watched.rows = [(row[0] / last, *row[1:]) for row in watched.rows]
    return watched, took


def watch_inputs(folder: Path, inputs: int) -> tuple[Watched, float]:
    """So many videos of eight frames in one call, and the seconds it took."""
    from rpstn.cli.main import main

    many, out = folder / 'many', folder / 'inputs'
    many.mkdir()
    first = long_video(many / '00000.avi', 8)
    for number in range(1, inputs):
        os.link(first, many / f'{number:05d}.avi')

    def done() -> float:
        return len(list(out.glob('*.csv'))) / inputs if out.exists() else 0.0

    argv = [folder / 'models/model.py', folder / 'models/model.pth', many]
    argv += ['--out', out, '--save', 'video', 'json', 'csv', '--device', 'cpu']
    began = time.monotonic()
    with Watched(done) as watched, contextlib.redirect_stdout(io.StringIO()):
        assert main(['infer', *map(str, argv)]) == 0
    assert len(list(out.glob('*.csv'))) == inputs
    return watched, time.monotonic() - began


def draw(watched: dict[str, Watched], path: Path) -> None:
    """Memory over what is done."""
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(watched), figsize=(8, 2.6), squeeze=False)
    for axis, (name, one) in zip(axes[0], watched.items(), strict=True):
        rows = np.array(one.rows)
        axis.plot(100 * rows[:, 0], rows[:, 1], linewidth=1)
        axis.set(
            title=name, xlabel='done (%)', ylabel='memory (MiB)', ylim=(0, 1.2 * rows[:, 1].max())
        )
        axis.spines[['top', 'right']].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(argv: list[str] | None = None) -> int:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(
        prog='make test-long',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('--frames', type=int, default=100_000)
    add('--inputs', type=int, default=1000)
    add('--most', type=float, default=20.0, metavar='MIB')
    add('--rows', type=Path, metavar='FILE', help='takes the figures of the stream meanwhile')
    add('--figure', type=Path, metavar='FILE')
    args = parser.parse_args(argv)
    if args.frames < 1000 or args.inputs < 30:  # over before memory has been looked at
        parser.error('at least 1,000 frames and 30 inputs tell anything')
    folder = Path(tempfile.mkdtemp(prefix='rpstn-long-'))
    try:
        make_models(folder / 'models')
        runs = {
            f'{args.frames:,} frames': lambda: watch_stream(folder, args.frames, args.rows),
            f'{args.inputs:,} inputs': lambda: watch_inputs(folder, args.inputs),
        }
        watched, bad = {}, False
        print('| one process | seconds | memory (MiB) | its slope | threads | open files |')
        print('|---|---|---|---|---|---|')
        for name, run in runs.items():
            watched[name], took = run()
            rows, grown = watched[name].settled(), watched[name].grown()
            low, high = rows.min(0), rows.max(0)
            print(
                f'| {name} | {took:.0f} | {low[1]:.0f} to {high[1]:.0f} | {grown[0]:+.1f} MiB '
                f'| {low[2]:.0f} to {high[2]:.0f} | {low[3]:.0f} to {high[3]:.0f} |',
                flush=True,
            )
            bad |= grown[0] > args.most or bool((np.abs(grown[1:]) > 1).any())
        if args.figure:
            draw(watched, args.figure)
    finally:
        shutil.rmtree(folder)
    return bad


if __name__ == '__main__':
    sys.exit(main())
