"""RPSTN-Lite and MediaPipe Pose full on the same video, in turns, in one run.

    python tools/research/beside_mediapipe.py person.mp4 --out docs/performance_mediapipe.md

MediaPipe (BlazePose: Bazarevsky et al., 2020, https://arxiv.org/abs/2006.10204) follows the person
from frame to frame, as RPSTN-Lite does, on one thread. Three tables: one streamed frame, decoded
before; from the file to JSON, the model loaded before; and where the time of the latter goes.
Reduced precisions are measured only where 99 % of the joints stay within a heatmap cell of
PyTorch's in float32, on clips of the video that int8 was not calibrated by.

Needs the extra ``mediapipe``.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

import rpstn
from rpstn.benchmark.pipeline import Spent, build_infer, build_stream, measure_parts, there_and_back
from rpstn.benchmark.report import Report, Section, machine, read_page
from rpstn.benchmark.timing import Call, Timing, measure
from rpstn.choices import ENGINES
from rpstn.deploy.engines import build_stepper, precision_here
from rpstn.deploy.export import Exported, export_model
from rpstn.deploy.parity import compare_steppers, decoder_in_cells
from rpstn.deploy.sample_clips import read_clips
from rpstn.errors import RPSTNError, one_line
from rpstn.files import replacing

from mediapipe_pose import MediaPipePose

MEDIAPIPE = 'MediaPipe Pose full'
ENOUGH = 0.99
"""Of the joints within a cell, for a precision to count."""
DECODED = 60
"""Frames kept in memory for the first table."""
Way = tuple[str, str]


def mediapipe_frame(video: str, frames: int) -> Call:
    """One frame that was decoded before."""
    images, pose = there_and_back(video, frames), MediaPipePose(scale=1)
    return Call(lambda: pose(next(images)), 1, 'MediaPipe')


def mediapipe_file(video: str, frames: int) -> Call:
    """From a file to JSON, read and written in the simplest way."""
    pose = MediaPipePose(scale=1)

    def run() -> None:
        capture, found = cv2.VideoCapture(video), []
        pose.forget()
        with tempfile.TemporaryFile('w') as file:
            for number in range(frames):
                good, image = capture.read()
                if not good:
                    break
                joints, scores = pose(image)
                keypoints = np.column_stack([joints, scores]).round(3).tolist()
                found.append(dict(frame=number, keypoints=keypoints))
            json.dump(found, file)
        capture.release()

    return Call(run, frames, 'MediaPipe')


def ways_here(named: list[str]) -> list[Way]:
    """Engines and precisions that are there on this processor, all or those named."""
    ways = [(e, p) for e, precisions in ENGINES.items() for p in precisions]
    return [
        way
        for way in ways
        if precision_here(*way) == way[1] and (not named or ' '.join(way) in named)
    ]


def precisions_kept(
    ways: list[Way], model: torch.nn.Module, exported: Exported, video: str, threads: int
) -> dict[Way, tuple[float, str]]:
    """Of every way there is here, the share of joints within a cell, and what is wrong with it."""
    clips = read_clips(model, [video], limit=16)[1::2]
    reference, decode = build_stepper(model), decoder_in_cells(model)
    found: dict[Way, tuple[float, str]] = {}
    for way in ways:
        try:
            stepper = build_stepper(model if way[0] == 'torch' else exported, *way, threads)
            kept = 1 - compare_steppers(reference, stepper, clips, decode).moved
            found[way] = (kept, '' if kept >= ENOUGH else 'left out')
        except RPSTNError as error:
            found[way] = (float('nan'), one_line(error))
    return found


def measure_beside(video: str, frames: int, rounds: int, threads: int, named: list[str]) -> Report:
    """All three tables; a way that cannot be measured is told, and the others go on."""
    torch.set_num_threads(threads)
    frames = min(frames, int(cv2.VideoCapture(video).get(cv2.CAP_PROP_FRAME_COUNT)))
    before, model = os.getloadavg()[0], rpstn.from_pretrained()
    with tempfile.TemporaryDirectory() as folder:
        asked = ways_here(named)
        int8 = any(precision == 'int8' for _, precision in asked)
        calibration = read_clips(model, [video], limit=16)[::2] if int8 else ()
        exported = export_model(model, folder, graphs=('start', 'step'), calibration=calibration)
        kept = precisions_kept(asked, model, exported, video, threads)
        ways = [way for way, (share, why) in kept.items() if not why]
        streamed, filed = (
            measure(
                {
                    MEDIAPIPE: partial(first, video, count),
                    **{' '.join(way): partial(build, video, count, *way, exported) for way in ways},
                },
                rounds,
                count,
                threads,
            )
            for first, build, count in (
                (mediapipe_frame, build_stream, min(frames, DECODED)),
                (mediapipe_file, build_infer, frames),
            )
        )
        parts = {
            ' '.join(way): measure_parts(video, frames, *way, exported, threads)
            for way in ways
            if way[1] == 'float32'
        }
    size = next(there_and_back(video, 1)).shape[1::-1]
    head = (
        f'{machine(threads)}; load {before:.1f} before, {os.getloadavg()[0]:.1f} after; {frames} '
        f'frames of {size[0]}x{size[1]}, turns: {rounds}. Ratios are to MediaPipe, turn by turn.'
    )
    return Report(head, [frame_section(streamed, kept), file_section(filed), parts_section(parts)])


def frame_section(timings: dict[str, Timing], kept: dict[Way, tuple[float, str]]) -> Section:
    """One streamed frame, and which precisions keep the joints."""
    return Section(
        'One streamed frame of RPSTN-Lite',
        ['', 'joints within a cell, %', ''],
        [[' '.join(way), 100 * share, why] for way, (share, why) in kept.items()],
        timings=timings,
    )


def file_section(timings: dict[str, Timing]) -> Section:
    """Frames a second, and how many times MediaPipe's."""
    rates = {
        name: [1e3 / np.median(turn) for turn in timing.ms]
        for name, timing in timings.items()
        if not timing.error
    }
    first = rates.get(MEDIAPIPE, [])
    return Section(
        'From file to JSON: `rpstn infer VIDEO --save json --mode stream`',
        ['', 'frames per second', 'times MediaPipe'],
        [
            [
                name,
                float(np.median(rate)),
                float(np.median([a / b for a, b in zip(rate, first)])) if first else None,
            ]
            for name, rate in rates.items()
        ],
        timings=timings,
    )


def parts_section(found: dict[str, dict[str, Spent]]) -> Section:
    """Milliseconds a frame, searches for people spread over all frames; calls a frame."""
    names = list(dict.fromkeys(part for parts in found.values() for part in parts))
    rows = []
    for part in names:
        row: list = [part]
        for parts in found.values():
            spent, frames = parts.get(part), parts['reading the file'].calls
            row += [None] * 3 if spent is None else [
                spent.wall / frames, spent.cpu / frames, f'{spent.calls / frames:.2f}'
            ]  # fmt: skip
        rows.append(row)
    header = [f'{name}: {what}' for name in found for what in ('ms', 'processor ms', 'calls')]
    return Section(
        'Where the time goes',
        ['per frame', *header],
        rows,
        text='One part after the other, no reading ahead; `all` is the run as a whole, once.',
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('video', help='with one person in it')
    parser.add_argument('--frames', type=int, default=100, help='default: %(default)s')
    parser.add_argument('--ways', nargs='+', default=[], metavar='WAY', help="e.g. 'onnx int8'")
    parser.add_argument('--rounds', type=int, default=3, help='turns (default: %(default)s)')
    parser.add_argument('--threads', type=int, default=os.cpu_count() or 1, help='of RPSTN-Lite')
    parser.add_argument('--out', type=Path, metavar='FILE', help='page to write into')
    args = parser.parse_args(arguments)
    before, after = read_page(args.out) if args.out else ('', '')
    report = measure_beside(args.video, args.frames, args.rounds, args.threads, args.ways)
    text = report.markdown()
    print(text)
    if args.out:
        with replacing(args.out) as part:
            part.write_text(f'{before}{text}{after}')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
