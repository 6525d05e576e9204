"""Work stopped at random moments, taken up again, and compared with work never stopped.

    make test-kill                                    ten moments of everything, half an hour
    make test-kill ARGS='--moments 50 --only form'    more of one; or --only clip:SIGKILL form

Stopped by SIGKILL, SIGTERM, Ctrl-C, a full disk (a real one, of a file system in memory, where
root may mount; or else a limit of the size of files), the folder removed, or a second run into the
same folder; inference of clips and streams, training of pose and form. After each stop there is no
half-written checkpoint or result, what an earlier run has left is as it was, the exit status tells
what happened, and nothing more than a line is said; after --resume all is as it is without a stop.
"""

from __future__ import annotations

import argparse
import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import rpstn.cli.main as cli

from . import works
from .seeds import make_models
from .works import Work

EARLIER = b'{"earlier": true}\n'
_LIMIT = 120  # seconds; what takes longer hangs


@dataclass
class Run:
    """A command in a process of its own, forked from this one, which has all imported."""

    pid: int
    said: Path
    began: float

    @classmethod
    def start(cls, argv: list[str], said: Path, before: Callable[[], None] = lambda: None) -> Run:
        """Start it; ``before`` is called in the process."""
        reader, writer = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            _become(argv, said, before, writer)
        os.close(writer)
        os.read(reader, 1)
        os.close(reader)
        return cls(pid, said, time.monotonic())

    def stop(self, number: int, after: float) -> None:
        """Send a signal, so many seconds after the beginning."""
        time.sleep(max(0.0, self.began + after - time.monotonic()))
        os.kill(self.pid, number)

    def wait(self) -> int:
        """The exit status, minus the signal where one ended it."""
        end = time.monotonic() + _LIMIT
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.005)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise Failure(f'hangs: {_text(self.said)}')


def _become(argv: list[str], said: Path, before: Callable[[], None], ready: int) -> None:
    status = 70
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number, path in ((1, os.devnull), (2, said)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout, sys.stderr = os.fdopen(1, 'w'), os.fdopen(2, 'w')
        before()
        os.write(ready, b'.')
        status = cli.main(argv)
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class Failure(Exception):
    """Something promised is not so."""


def _text(path: Path) -> str:
    return path.read_text(errors='replace')[-1500:]


@dataclass
class Scene:
    """One work in one folder, to be stopped once."""

    work: Work
    folder: Path
    """Holds ``out/`` and what was said."""
    expected: dict
    seconds: float
    """That the work takes."""
    share: float
    """Of that, after which it is stopped."""

    @property
    def out(self) -> Path:
        """Where the work writes."""
        return self.folder / 'out'

    def start(self, *more: str, before: Callable[[], None] = lambda: None, name: str = 'a') -> Run:
        """Begin it."""
        return Run.start([*self.work.argv(self.out), *more], self.folder / f'{name}.txt', before)

    def earlier(self) -> None:
        """What an earlier run has left."""
        self.out.mkdir(parents=True, exist_ok=True)
        names = ['other.txt'] if self.work.training else ['long.json', 'long.csv', 'long.mp4']
        for name in names:
            (self.out / name).write_bytes(EARLIER)

    def check_stopped(self, status: int, allowed: tuple[int, ...], run: Run) -> bool:
        """After a stop: True if the work had been complete before that."""
        said = _text(run.said)
        if 'Traceback' in said:
            raise Failure(f'status {status}, {said}')
        if status not in (0, *allowed):
            raise Failure(f'status {status}, not {" or ".join(map(str, allowed))}: {said}')
        try:
            works.checkpoints(self.out)
        except ValueError as error:
            raise Failure(f'half written: {error}') from None
        if status == 0:
            self.compare()
            return True
        if self.work.training:
            return False
        part = self.out / 'long.incomplete'
        if not part.exists() or (part / 'complete.json').exists():
            return False  # it was just putting its results in place
        for name in ('long.json', 'long.csv', 'long.mp4'):
            if (self.out / name).read_bytes() != EARLIER:
                raise Failure(f'status {status}, and {name} is another')
        return False

    def resume(self) -> None:
        """Take it up again, and compare."""
        run = self.start('--resume', name='resumed')
        if status := run.wait():
            raise Failure(f'--resume: status {status}, {_text(run.said)}')
        self.compare()

    def compare(self) -> None:
        """All is there, as without a stop."""
        try:
            found = self.work.results(self.out)
        except (OSError, ValueError, KeyError) as error:
            raise Failure(f'half written: {type(error).__name__}: {error}') from None
        if wrong := self.work.difference(found, self.expected):
            raise Failure(f'not as without a stop: {wrong}')
        left = [p.name for p in self.out.rglob('*') if 'partial' in p.name or 'incompl' in p.name]
        if left:
            raise Failure(f'left behind: {", ".join(left)}')


def signalled(number: int, *allowed: int) -> Callable[[Scene], None]:
    """The work gets a signal."""

    def play(scene: Scene) -> None:
        scene.earlier()
        run = scene.start()
        run.stop(number, scene.share * scene.seconds)
        if not scene.check_stopped(run.wait(), allowed, run):
            scene.resume()

    return play


def full_disk(scene: Scene) -> None:
    """The disk is full at some byte; then there is room again."""
    size = sum(path.stat().st_size for path in _whole(scene).rglob('*') if path.is_file())
    scene.out.mkdir(parents=True)
    mounted = _mount(scene.out, int(size * scene.share) + (16 << 10))
    try:
        scene.earlier()
        before = (lambda: None) if mounted else _limit_files(int(size * scene.share))
        run = scene.start(before=before)
        complete = scene.check_stopped(run.wait(), (1,), run)
        said = _text(run.said).strip()
        if not complete and not any(word in said.splitlines()[-1] for word in ('out', 'long')):
            raise Failure(f'the file is not named: {said}')
        if mounted:
            subprocess.run(['mount', '-o', 'remount,size=1g', scene.out], check=True)
        if not complete:
            scene.resume()
    finally:
        if mounted:
            subprocess.run(['umount', '-l', scene.out], check=True)


def _whole(scene: Scene) -> Path:
    return scene.folder.parent / f'whole-{scene.work.name}' / 'out'


def _mount(folder: Path, size: int) -> bool:
    """Whether a small file system lies there now."""
    command = ['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', str(folder)]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def _limit_files(size: int) -> Callable[[], None]:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def removed_folder(scene: Scene) -> None:
    """Somebody deletes the folder."""
    run = scene.start()
    time.sleep(scene.share * scene.seconds)
    for _ in range(100):
        try:
            shutil.rmtree(scene.out)
        except OSError as error:  # something came into it or went meanwhile
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
                raise
        if not scene.out.exists():
            break
    status, said = run.wait(), _text(run.said)
    if 'Traceback' in said or status not in (0, 1):
        raise Failure(f'status {status}, {said}')
    if status == 0 and scene.out.exists() and any(scene.out.iterdir()):
        scene.compare()
    shutil.rmtree(scene.out, ignore_errors=True)
    scene.resume()


def two_runs(scene: Scene) -> None:
    """A second run into the same folder begins meanwhile, to take up what it finds."""
    first = scene.start()
    time.sleep(scene.share * scene.seconds)
    second = scene.start('--resume', name='b')
    statuses = first.wait(), second.wait()
    for run, status in zip((first, second), statuses):
        if 'Traceback' in _text(run.said) or status not in (0, 1):
            raise Failure(f'status {status}, {_text(run.said)}')
    if all(statuses):
        raise Failure(f'both ended: {_text(first.said)} and {_text(second.said)}')
    scene.compare()


STOPS: dict[str, Callable[[Scene], None]] = {
    'SIGKILL': signalled(signal.SIGKILL, -9),
    'SIGTERM': signalled(signal.SIGTERM, 143),
    'Ctrl-C': signalled(signal.SIGINT, 130),
    'full disk': full_disk,
    'folder removed': removed_folder,
    'two runs': two_runs,
}


def play(folder: Path, moments: int, seed: int, only: Sequence[str] = ()) -> list[str]:
    """All of it; what failed, a line each."""
    made = works.make_works(make_models(folder / 'seeds'))
    asked = {
        name: [s for s in STOPS if not only or any({*o.split(':')} <= {name, s} for o in only)]
        for name in made
    }
    print(f'{"":<8}' + ''.join(f'{name:>16}' for name in STOPS) + '   seconds unstopped')
    failures = []
    for name, stops in asked.items():
        if not stops:
            continue
        work = made[name]
        whole = Scene(work, folder / f'whole-{name}', {}, 0, 0)
        whole.folder.mkdir()
        for _ in range(2):  # the first of them warms up
            shutil.rmtree(whole.out, ignore_errors=True)
            began = time.monotonic()
            run = whole.start()
            if run.wait():
                raise RuntimeError(_text(run.said))
            seconds = time.monotonic() - began
        expected = work.results(whole.out)
        counts: Counter[str] = Counter()
        for stop in stops:
            rng = random.Random(f'{seed} {name} {stop}')
            for moment in range(moments):
                share = rng.uniform((moment + 0.05) / moments, (moment + 0.95) / moments)
                scene = Scene(work, folder / 'scene', expected, seconds, share)
                scene.folder.mkdir()
                try:
                    STOPS[stop](scene)
                    counts[stop] += 1
                except Failure as failure:
                    failures.append(f'{name}, {stop}, at {share:.3f}: {failure}')
                    print(failures[-1], file=sys.stderr, flush=True)
                shutil.rmtree(scene.folder)
        cells = ''.join(
            f'{f"{counts[stop]} of {moments}" if stop in stops else "":>16}' for stop in STOPS
        )
        print(f'{name:<8}{cells}   {seconds:.1f}', flush=True)
    return failures


def main(argv: list[str] | None = None) -> int:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(
        prog='make test-kill',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--moments', type=int, default=10)
    parser.add_argument('--seed', type=int, default=20)
    parser.add_argument(
        '--only', nargs='+', default=[], metavar='NAME', help='a work, a stop, or WORK:STOP'
    )
    args = parser.parse_args(argv)
    import rpstn.engine.run
    import rpstn.form
    import rpstn.inference.run
    import rpstn.pose  # noqa: F401

    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix='rpstn-kill-') as folder:
        failures = play(Path(folder), args.moments, args.seed, args.only)
    print(f'seed {args.seed}, {time.monotonic() - began:.0f} s, {len(failures)} failures')
    return bool(failures)


if __name__ == '__main__':
    sys.exit(main())
