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

from rpstn.deploy.engines import ENGINES, precision_here
from rpstn.deploy.export import export_model
from rpstn.deploy.sample_clips import read_clips
from rpstn.engine.shipped import from_pretrained
from rpstn.errors import RPSTNError, one_line
from rpstn.video.frames import VideoWriter, open_frames

from .report import Section

SIZE, FRAMES, FPS = (640, 480), 300, 30.0


def measure_end_to_end(video: str | Path, threads: int, turns: int = 2) -> Section:
    """Run the command on a 640x480 video by RPSTN-Lite, every engine and precision in turns.

    Args:
        video: with one person in it; its frames, in a black frame where it has another shape, are
            shown forwards and backwards until there are 300.
        threads: of the network; decoding has a thread of its own.
        turns: runs of each.

    Raises:
        ModelError, ExportError, UnreadableFrameError: there is nothing to run.
    """
    model, failed = from_pretrained(), []
    ways = [(engine, precision) for engine in ENGINES for precision in ENGINES[engine]]
    ways = [way for way in ways if precision_here(*way) == way[1]]
    rates: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        source, exported = Path(folder, 'video.mp4'), Path(folder, 'exported')
        write_video(video, source)
        calibration = read_clips(model, [source])
        export_model(model, exported, graphs=('start', 'step'), calibration=calibration)
        for turn in range(turns):
            for engine, precision in rates:
                options = ['--engine', engine, '--precision', precision]
                options += ['--out', f'{folder}/{turn}_{engine}_{precision}']
                options += ['--exported', str(exported)] if engine != 'torch' else []
                try:
                    rates[engine, precision].append(run_infer(source, threads, *options))
                except RPSTNError as error:  # all else is not lost for it
                    failed.append(f'- {one_line(error)}')
    text = (
        f'`rpstn infer VIDEO --save json --mode stream`, trained weights, on {FRAMES} frames of '
        f'{SIZE[0]}x{SIZE[1]}: decoding, crops, network, decoding of heatmaps and writing of JSON.'
    )
    return Section(
        title='RPSTN-Lite, end to end',
        text='\n\n'.join([text, *failed]),
        header=['', 'frames per second, median', f'of {turns} runs'],
        rows=[
            [' '.join(way), f'{np.median(fps):.1f}', f'{min(fps):.1f} to {max(fps):.1f}']
            if fps
            else [' '.join(way), 'failed', '']
            for way, fps in rates.items()
        ],
    )


def run_infer(source: Path, threads: int, *options: str) -> float:
    """Frames per second that the command prints; RPSTNError with what it says, if it fails."""
    command = ['infer', str(source), *'--save json --mode stream --device cpu'.split(), *options]
    done = subprocess.run(
        [sys.executable, '-m', 'rpstn', *command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'OMP_NUM_THREADS': str(threads)},
    )
    found = re.search(rf'{FRAMES} frames, ([\d.]+) per second', done.stdout)
    if done.returncode or not found:
        raise RPSTNError(f'rpstn {" ".join(command)}: {done.stderr or done.stdout}')
    return float(found[1])


def write_video(video: str | Path, target: Path) -> None:
    """The first frames of a video, in black frames, forwards and backwards again and again."""
    images = [_fitted(frame.image) for frame in islice(open_frames(Path(video)), FRAMES)]
    images += images[-2:0:-1]
    with VideoWriter(target, FPS, SIZE) as writer:
        for number in range(FRAMES):
            writer.write(images[number % len(images)])


def _fitted(image: np.ndarray) -> np.ndarray:
    scale = min(SIZE[0] / image.shape[1], SIZE[1] / image.shape[0])
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    canvas = np.zeros((*SIZE[::-1], 3), np.uint8)
    height, width = image.shape[:2]
    top, left = (SIZE[1] - height) // 2, (SIZE[0] - width) // 2
    canvas[top : top + height, left : left + width] = image
    return canvas
