"""Frames per second of `rpstn infer` as a whole: decoding, crops, network, heatmaps, JSON."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from rpstn.choices import ENGINES
from rpstn.deploy.engines import precision_here
from rpstn.deploy.export import export_model
from rpstn.deploy.sample_clips import read_clips
from rpstn.engine.shipped import from_pretrained
from rpstn.tables import format_table
from rpstn.video.frames import VideoWriter, open_frames

SIZE, FRAMES, FPS = (640, 480), 300, 30.0


def measure_end_to_end(video: str | Path, threads: int, turns: int = 2) -> dict[str, list[float]]:
    """Run the command on a 640x480 video by RPSTN-Lite, every engine and precision in turns.

    Args:
        video: with one person in it; its frames, in a black frame where it has another shape, are
            shown forwards and backwards until there are 300.
        threads: of the network; decoding has a thread of its own.
        turns: runs of each.

    Returns:
        ``'openvino bfloat16'`` -> frames per second of each run, start-up not counted; none, and
        a line on stderr, where it failed. What the processor has not is left out.

    Raises:
        ModelError, ExportError, UnreadableFrameError: there is nothing to run.
    """
    model = from_pretrained()
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / 'video.mp4'
        _write(video, source)
        exported = Path(folder) / 'exported'
        export_model(
            model, exported, graphs=('start', 'step'), calibration=read_clips(model, [source])
        )
        for turn in range(turns):
            for engine, precisions in ENGINES.items():
                for precision in precisions:
                    if precision_here(engine, precision) != precision:
                        continue
                    runs = rates.setdefault(f'{engine} {precision}', [])
                    try:
                        runs.append(
                            _run(
                                source,
                                threads,
                                '--engine',
                                engine,
                                '--precision',
                                precision,
                                '--mode',
                                'stream',
                                '--out',
                                f'{folder}/{turn}_{engine}_{precision}',
                                *(['--exported', str(exported)] if engine != 'torch' else []),
                            )
                        )
                    except ValueError as error:  # all else is not lost for it
                        print(error, file=sys.stderr)
    return rates


def end_to_end_table(rates: dict[str, list[float]]) -> str:
    """With the median, and the slowest and fastest run."""
    rows = [
        [way, f'{np.median(runs):.1f}', f'{min(runs):.1f} to {max(runs):.1f}']
        if runs
        else [way, 'failed', '']
        for way, runs in rates.items()
    ]
    return '\n\n'.join(
        [
            '### RPSTN-Lite, end to end',
            f'`rpstn infer VIDEO --save json --mode stream`, trained weights, on {FRAMES} frames '
            f'of {SIZE[0]}x{SIZE[1]}: decoding, crops, network, decoding of heatmaps and '
            'writing of JSON.',
            format_table(
                ['', 'frames per second, median', f'of {max(map(len, rates.values()))} runs'], rows
            ),
        ]
    )


def _run(source: Path, threads: int, *options: str) -> float:
    command = [
        sys.executable,
        '-m',
        'rpstn.cli.main',
        'infer',
        str(source),
        '--save',
        'json',
        '--device',
        'cpu',
        *options,
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'OMP_NUM_THREADS': str(threads)},
    )
    found = re.search(rf'{FRAMES} frames, ([\d.]+) per second', done.stdout)
    if done.returncode or not found:
        raise ValueError(f'{" ".join(command)}: {done.stderr.strip() or done.stdout.strip()}')
    return float(found[1])


def _write(video: str | Path, target: Path) -> None:
    images = [_fitted(frame.image) for frame in islice(open_frames(Path(video)), FRAMES)]
    images += images[-2:0:-1]
    with VideoWriter(target, FPS, SIZE) as writer:
        for number in range(FRAMES):
            writer.write(images[number % len(images)])


def _fitted(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    scale = min(SIZE[0] / width, SIZE[1] / height)
    image = cv2.resize(
        image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA
    )
    left, top = (SIZE[0] - image.shape[1]) // 2, (SIZE[1] - image.shape[0]) // 2
    return cv2.copyMakeBorder(
        image,
        top,
        SIZE[1] - image.shape[0] - top,
        left,
        SIZE[0] - image.shape[1] - left,
        cv2.BORDER_CONSTANT,
    )
