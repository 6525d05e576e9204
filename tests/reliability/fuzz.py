"""Spoilt inputs of every kind: each ends in a right result, or is refused in one line.

    make fuzz                                  some minutes, 600 inputs
    make fuzz ARGS='--inputs 5000 --seed 7'    more, and others

Prints the seed and a table, and exits with status 1 where an input did neither; such inputs stay in
--keep, each in a folder with what it was, what was said and why that is a failure. --again FOLDER
runs one of these once more.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from . import kinds_joints, kinds_media, kinds_models, kinds_sets
from .cases import GOOD, Case, Kind

KINDS: tuple[Kind, ...] = (
    kinds_media.SpoiltVideo(),
    kinds_media.DamagedFrames(),
    kinds_media.SpoiltImage(),
    kinds_media.Pretender(),
    kinds_media.Named(),
    kinds_models.Checkpoint(),
    kinds_models.ExportedFolder(),
    kinds_models.Journal(),
    kinds_models.Weights(),
    kinds_joints.Json(),
    kinds_joints.Table(),
    kinds_joints.Arrays(),
    kinds_sets.Archive(),
    kinds_sets.Matlab(),
)
SECONDS = 60
"""That one small input may take, on a machine that does other things, too."""


def draw(kind: Kind, count: int, seed: int) -> list[dict]:
    """Specs of a kind, no two alike; the same for the same seed."""
    drawn: list[dict] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(kind.specs)
    def collect(spec: dict) -> None:
        drawn.append(spec)

    collect()
    return drawn[:count]


class Worker:
    """A process of :mod:`.worker`, started anew where it died; the first one makes the seeds."""

    def __init__(self, seeds: Path, seconds: int = SECONDS) -> None:
        self.seeds, self.seconds = seeds, seconds
        self.process = self._start()

    def run(self, case: Case) -> dict[str, Any]:
        """What became of a case."""
        if self.process.poll() is not None:
            self.process = self._start()
        process = self.process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f'{case.folder}\n'.encode())
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], self.seconds + 60)
        line = process.stdout.readline() if ready else b''
        if line:
            return json.loads(line)
        if not ready:
            process.kill()
        status = process.wait()
        hang = Path(case.folder) / 'hang.txt'
        if not ready or (hang.exists() and hang.stat().st_size):
            trace = hang.read_text()[-3000:] if hang.exists() else ''
            return dict(verdict='hang', why=trace, seconds=self.seconds)
        return dict(verdict='crash', why=f'the process ended with status {status}', seconds=0)

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _start(self) -> subprocess.Popen:
        environment = {
            **os.environ,
            'OMP_NUM_THREADS': '1',
            'PYTHONPATH': os.pathsep.join(sys.path),
        }
        command = [sys.executable, '-m', 'reliability.worker', str(self.seconds), str(self.seeds)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        assert process.stdout is not None
        if not process.stdout.readline():  # it answers once, after all imports
            raise RuntimeError(f'a worker ended with status {process.wait()} before its first case')
        return process


@dataclass
class Tally:
    """Of one kind."""

    inputs: int = 0
    ends: Counter = field(default_factory=Counter)
    slowest: float = 0.0
    memory: int = 0

    def add(self, verdict: dict) -> None:
        """Count one input."""
        self.inputs += 1
        self.ends[verdict['verdict']] += 1
        self.slowest = max(self.slowest, verdict['seconds'])
        self.memory = max(self.memory, verdict.get('memory', 0))


def fuzz(
    seeds: Path, keep: Path, inputs: int, seed: int, workers: int = 1, only: str = ''
) -> dict[str, Tally]:
    """Run as many inputs, of each kind as many; failing ones stay in ``keep``."""
    kinds = [kind for kind in KINDS if only in kind.name]
    share = -(-inputs // len(kinds))
    jobs = [(kind, n, spec) for kind in kinds for n, spec in enumerate(draw(kind, share, seed))]
    tallies = {kind.name: Tally() for kind in kinds}
    first = Worker(seeds)
    with tempfile.TemporaryDirectory(prefix='rpstn-fuzz-') as work:

        def go(number: int) -> list[tuple[str, dict]]:
            worker, ends = Worker(seeds) if number else first, []
            for job in jobs[number::workers]:
                ends.append((job[0].name, _one(worker, *job, Path(work), seeds, keep)))
            worker.close()
            return ends

        with ThreadPoolExecutor(workers) as pool:
            for ends in pool.map(go, range(workers)):
                for name, verdict in ends:
                    tallies[name].add(verdict)
    return tallies


def _one(
    worker: Worker, kind: Kind, number: int, spec: dict, work: Path, seeds: Path, keep: Path
) -> dict:
    name = f'{kind.name.replace(", ", "_").replace(" ", "_")}-{number:04d}'
    case = lay(kind, spec, work / name, seeds)
    verdict = worker.run(case)
    if verdict['verdict'] not in GOOD:
        keep.mkdir(parents=True, exist_ok=True)
        kept = keep / name
        shutil.rmtree(os.fsencode(kept), ignore_errors=True)
        shutil.move(os.fsencode(case.folder), os.fsencode(kept))
        (kept / 'verdict.json').write_text(json.dumps(verdict, indent=1))
    shutil.rmtree(os.fsencode(case.folder), ignore_errors=True)
    return verdict


def lay(kind: Kind, spec: dict, folder: Path, seeds: Path) -> Case:
    """The case of a spec, with all its files."""
    case = Case(kind.name, spec, str(folder))
    for part in ('in', 'out', 'home'):
        (folder / part).mkdir(parents=True)
    kind.lay(case, seeds)
    case.write()
    return case


def table(tallies: dict[str, Tally]) -> str:
    """As lines."""
    lines = [f'{"kind":<18}{"inputs":>7}{"results":>9}{"told":>6}{"refused":>9}{"failures":>10}'
             f'{"slowest s":>11}{"MiB":>7}']  # fmt: skip
    total = Tally()
    for name, tally in [*tallies.items(), ('all', total)]:
        bad = {end: count for end, count in tally.ends.items() if end not in GOOD}
        lines.append(
            f'{name:<18}{tally.inputs:>7}{tally.ends["result"]:>9}{tally.ends["told"]:>6}{tally.ends["refused"]:>9}'
            f'{sum(bad.values()):>10}{tally.slowest:>11.1f}{tally.memory:>7}  '
            + ', '.join(f'{count} {end}' for end, count in sorted(bad.items()))
        )
        total.inputs += tally.inputs
        total.ends += tally.ends
        total.slowest = max(total.slowest, tally.slowest)
        total.memory = max(total.memory, tally.memory)
    return '\n'.join(line.rstrip() for line in lines)


def main(argv: list[str] | None = None) -> int:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(
        prog='make fuzz', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--inputs', type=int, default=700)
    add('--seed', type=int, default=20)
    add('--workers', type=int, default=2)
    add('--only', default='', metavar='WORD', help='kinds with this in their name')
    add('--keep', type=Path, default=Path('build/fuzz'), metavar='FOLDER')
    add('--again', type=Path, metavar='FOLDER', help='a failing input of an earlier run')
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix='rpstn-seeds-') as folder:
        seeds = Path(folder) / 'seeds'
        if args.again:
            worker = Worker(seeds)
            case = json.loads((args.again / 'case.json').read_text())
            (kind,) = (kind for kind in KINDS if kind.name == case['kind'])
            verdict = worker.run(lay(kind, case['spec'], Path(folder) / 'again', seeds))
            print(json.dumps(verdict, indent=1))
            return verdict['verdict'] not in GOOD
        began = time.monotonic()
        tallies = fuzz(seeds, args.keep.absolute(), args.inputs, args.seed, args.workers, args.only)
    print(table(tallies))
    bad = sum(n for t in tallies.values() for end, n in t.ends.items() if end not in GOOD)
    print(
        f'seed {args.seed}, {sum(t.inputs for t in tallies.values())} inputs in '
        f'{time.monotonic() - began:.0f} s'
        + (f'; {bad} failures are in {args.keep}' if bad else '; no failure')
    )
    return bool(bad)


if __name__ == '__main__':
    sys.exit(main())
