"""Measure `rpstn infer --workers` beside a plain loop, and plan an archive with the figures.

    python tools/research/cluster/measure_archive.py --videos 48 --out docs/archives.md

In one run, on copies of one video: the plain loop (`rpstn infer`, one video after the other, the
model loaded before), archives by one and by two workers, and the plain loop again; all with engines
of one thread. The loop's two figures tell how steady the machine was. Rates are those between the
end of the first and the last video of each process, so that loading is told apart. Then the
manifest: a hundred thousand rows, written and folded. Meant for a quiet machine with two cores; it
takes about four minutes there.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import shutil
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

import rpstn  # noqa: F401 (first: makes the OpenMMLab stack work)
from rpstn.cluster.infer_job import InferJob
from rpstn.cluster.manifest import Manifest
from rpstn.cluster.run import Archive, run_archive
from rpstn.cluster.storage import Folder
from rpstn.files import write_text
from rpstn.inference.options import InferOptions
from rpstn.tables import format_table
from rpstn.video.part import Moment

ROOT = Path(__file__).parents[3]
MARKS = '<!-- measured -->', '<!-- /measured -->'
MILLION = 1_000_000
PLANNED_FRAMES = 300
"""Of a video of the plan: ten seconds at 30 a second."""


@dataclass
class Way:
    """What one way of going through the videos gave."""

    name: str
    rate: float
    """Frames a second, loading apart."""
    whole: float
    """Seconds from nothing to the last result."""
    memory: float
    """MiB of the largest process that looks at videos, at its peak."""


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--video', type=Path, default=ROOT / 'demo/squat.mp4')
    parser.add_argument('--videos', type=int, default=12, help='copies (default: %(default)s)')
    parser.add_argument('--frames', type=int, default=45, help='of each (default: %(default)s)')
    parser.add_argument('--engine', default='openvino', help='default: %(default)s')
    parser.add_argument('--rows', type=int, default=100_000, help='of the manifest')
    parser.add_argument('--json', type=Path, help='file for all that was measured')
    parser.add_argument(
        '--out', type=Path, help=f'page to write into, between {" and ".join(MARKS)}'
    )
    return parser.parse_args()


def plain(job: InferJob, videos: list[Path], frames: int, out: Path) -> Way:
    """One video after the other in this process."""
    began = time.monotonic()
    torch.set_num_threads(1)
    look = job.load()
    ends = []
    for video in videos:
        outcome = look(str(video), out)
        assert outcome.frames == frames and not outcome.error, outcome
        ends.append(time.monotonic())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rate = frames * (len(videos) - 1) / (ends[-1] - ends[0])
    return Way('plain loop', rate, ends[-1] - began, peak)


def archive(job: InferJob, videos: list[Path], frames: int, out: Path, workers: int) -> Way:
    """The same videos by workers."""
    rows: list[dict] = []
    began = time.monotonic()
    given = Archive([str(video) for video in videos], str(out), workers, threads=1)
    summary = run_archive(job, given, tell=lambda row: rows.append(dict(row)))
    whole = time.monotonic() - began
    assert summary.done == len(videos), summary
    ends = defaultdict(list)
    for row in rows:
        ends[row['worker']].append(row['finished'].timestamp())
    rate = sum(
        frames * (len(one) - 1) / (max(one) - min(one)) for one in ends.values() if len(one) > 1
    )
    memory = max(row['memory'] for row in rows)
    return Way(f'{workers} worker{"s" if workers > 1 else ""}', rate, whole, memory)


def resident() -> float:
    """MiB of memory that this process has now."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)


def manifest(rows: int, out: Path) -> dict[str, float]:
    """Seconds and memory of a manifest of so many videos."""
    before = resident()
    folder, known = Folder(str(out)), dict(state='done', frames=300, seconds=9.5, tries=1, bytes=1)
    known.update(sha256='0' * 64, model='0' * 64, settings='0' * 64, error='', summary='')
    began = time.monotonic()
    one = Manifest(folder, '0' * 64, {}, '0' * 64, ())
    one.expect(dict(known, video=f'/videos/{n:09}.mp4', name=f'{n:09}') for n in range(rows))
    written, taken = time.monotonic(), resident() - before
    Manifest(folder, '0' * 64, {}, '0' * 64, folder.files())
    read = time.monotonic()
    size = (out / 'manifest.parquet').stat().st_size
    return dict(
        rows=rows,
        write_s=written - began,
        read_s=read - written,
        mib=taken,
        bytes_a_row=size / rows,
    )


def report(ways: list[Way], table: dict[str, float], args: argparse.Namespace) -> str:
    """What goes into the page: figures, and the plan that follows from them."""
    first, one, two, again = ways
    loop = (first.rate + again.rate) / 2
    unsteady = abs(first.rate - again.rate) / loop
    videos = two.rate / 2 / PLANNED_FRAMES * 86400  # a day and core
    cores = math.ceil(MILLION / videos / 7)
    memory = math.ceil(two.memory / 1024 * 10) / 10
    lines = format_table(
        ['', 'frames/s', 'seconds, all in all', 'MiB of a process, at most'],
        [[way.name, f'{way.rate:.1f}', f'{way.whole:.0f}', f'{way.memory:.0f}'] for way in ways],
    )
    plan = format_table(
        ['a million videos', ''],
        [
            ['one core', f'{videos:,.0f} videos a day, {MILLION / videos / 365:.1f} years for all'],
            ['in a week', f'{cores} cores, {cores * memory:,.0f} GiB of memory for their workers'],
            [
                'manifest, in 20 folders of 50,000',
                f'{table["write_s"] / table["rows"] * 5e4:.1f} s to write once, '
                f'{table["read_s"] / table["rows"] * 5e4:.1f} s to read, '
                f'{table["bytes_a_row"] * MILLION / 1e6:.0f} MB in all',
            ],
        ],
    )
    setting = (
        f'{args.videos} videos of {args.frames} frames ({args.video.name}), RPSTN-Lite by '
        f'{args.engine}, joints as CSV, engines of one thread each; {os.cpu_count()} cores of '
        f'{platform.machine()}'
    )
    starts = [way.whole - args.videos * args.frames / way.rate for way in (one, again)]
    return f"""`tools/research/cluster/measure_archive.py`: {setting}.
The loop's two figures differ by {100 * unsteady:.1f} %.

{lines}

- One worker beside the loop: {100 * (loop / one.rate - 1):+.1f} % time (goal: at most +5 %).
- Two workers: {two.rate / one.rate:.2f} times one (goal: at least 1.7).
- Until the first frame Ray, the stack and the model take {starts[0]:.0f} s, the loop's model
  {starts[1]:.0f} s.
- A manifest of {table['rows']:,} rows takes {table['write_s']:.1f} s to write,
  {table['read_s']:.1f} s to read, and {table['mib']:.0f} MiB of memory.

With these figures, and videos of {PLANNED_FRAMES} frames:

{plan}
"""


def main() -> None:
    """Measure, print and write."""
    args = parse_args()
    folder = Path(tempfile.mkdtemp(prefix='rpstn-measure-'))
    try:
        (folder / 'in').mkdir()
        videos = [folder / f'in/{number}.mp4' for number in range(args.videos)]
        for video in videos:
            shutil.copyfile(args.video, video)
        options = InferOptions(
            (), save=['csv'], engine=args.engine, end=Moment(args.frames), device='cpu'
        )
        job = InferJob(options)
        ways = [
            plain(job, videos, args.frames, folder / 'plain'),
            archive(job, videos, args.frames, folder / 'one', 1),
            archive(job, videos, args.frames, folder / 'two', 2),
            plain(job, videos, args.frames, folder / 'again'),
        ]
        table = manifest(args.rows, folder / 'rows')
    finally:
        shutil.rmtree(folder)
    text = report(ways, table, args)
    print(text)
    if args.json:
        measured = dict(ways=[asdict(way) for way in ways], manifest=table)
        write_text(args.json, json.dumps(measured, indent=1))
    if args.out:
        before, _, rest = args.out.read_text(encoding='utf-8').partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        write_text(args.out, f'{before}{MARKS[0]}\n{text}{MARKS[1]}{after}')


if __name__ == '__main__':
    main()
