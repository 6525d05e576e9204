"""A process that runs cases, told by lines of JSON; another takes over where it dies.

Each case goes through the doors that users come through, in this process, with a limit of time,
what it may write watched, and what it says kept.
"""

from __future__ import annotations

import faulthandler
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rpstn.cli.main import main

from . import sandbox
from .cases import GOOD, Case
from .results import wrong_figures, wrong_results, wrong_skeletons
from .seeds import load_tool, make_seeds

CHATTER = ('libpng ', 'Corrupt JPEG', 'Premature end of JPEG', 'Invalid SOS', 'TIFFReadDirectory')
"""How lines begin that image libraries write themselves; nobody can keep them from it."""
BEFORE = '{"before": true}\n'
"""Results of an earlier run, in the file of an unrelated name."""
CACHES = ('home/cache', 'in/penn/.rpstn_penn_action.npz')
"""Where data sets may keep what they have read (docs/datasets.md)."""


def doors() -> dict[str, Callable[[list[str]], Any]]:
    """Each takes arguments, and gives a status or ends as a script does."""
    from rpstn.errors import RPSTNError

    def weights(argv: list[str]) -> None:
        from rpstn import from_pretrained

        try:
            from_pretrained('lite', folder=Path(argv[0]))
        except (RPSTNError, OSError) as error:
            raise SystemExit(str(error)) from None

    return dict(rpstn=main, convert=load_tool('data/convert_skeletons').main, weights=weights)


def run(case: Case, door: Callable[[list[str]], Any], watch: sandbox.Watch, seconds: int) -> dict:
    """What became of a case: ``verdict``, ``why`` and more."""
    folder = Path(case.folder)
    home = folder / 'home'
    (home / 'tmp').mkdir(parents=True, exist_ok=True)
    earlier = case.out / 'earlier.json.txt'
    earlier.parent.mkdir(exist_ok=True)
    earlier.write_text(BEFORE)
    environment, where = dict(os.environ), os.getcwd()
    places = dict(HOME=home, TMPDIR=home / 'tmp', XDG_CACHE_HOME=home / 'cache')
    os.environ.update({name: str(path) for name, path in places.items()})
    os.chdir(home)
    tempfile.tempdir = None  # so that it looks for the folder again
    err, out = folder / 'stderr.txt', folder / 'stdout.txt'
    err.touch()
    out.touch()
    before, memory, began = sandbox.tree(folder), sandbox.forget_peak(), time.monotonic()
    try:
        with sandbox.captured(out, err), open(folder / 'hang.txt', 'w') as hang:
            faulthandler.dump_traceback_later(seconds, exit=True, file=hang)
            try:
                with watch.of(folder) as seen:
                    status, trace = sandbox.call(lambda: door(list(case.argv)))
            finally:
                faulthandler.cancel_dump_traceback_later()
    finally:
        os.chdir(where)
        tempfile.tempdir = None
        os.environ.clear()
        os.environ.update(environment)
    (folder / 'hang.txt').unlink()
    grown = sandbox.peak_memory() - memory
    said = err.read_text(errors='replace')
    written = [
        path
        for path in sandbox.changes(before, sandbox.tree(folder))
        if path not in ('stderr.txt', 'stdout.txt') and not path.startswith(CACHES)
    ]
    told = dict(status=status, said=said[-4000:], seconds=round(time.monotonic() - began, 2))
    verdict, why = judge(case, status, trace, said, out.read_text(errors='replace'), written)
    if verdict in GOOD:
        if seen:
            verdict, why = 'escaped', '; '.join(seen[:3])
        elif grown > sandbox.MEMORY:
            verdict, why = 'memory', f'{grown >> 20} MiB'
    return dict(told, verdict=verdict, why=why, memory=grown >> 20)


def judge(
    case: Case, status: int | None, trace: str | None, said: str, out: str, written: list[str]
) -> tuple[str, str]:
    """A verdict, and why."""
    if (Path(case.folder) / 'canary').exists() or any('canary' in path for path in written):
        return 'executed', ', '.join(written)
    if trace is not None or 'Traceback (most recent call last)' in said:
        return 'traceback', (trace or said)[-3000:]
    outside = [path for path in written if path.partition('/')[0] != 'out']
    if outside:
        return 'escaped', ', '.join(outside[:5])
    if (case.out / 'earlier.json.txt').read_text() != BEFORE:
        return 'escaped', 'results of another run changed'
    if case.kind != 'journal' and (left := [p for p in written if _partial(p)]):
        return 'half written', ', '.join(left[:5])
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith(CHATTER)]
    # `rpstn test` writes MMEngine's log before.
    last = lines[-1:] if 'test' in case.argv[:1] else lines
    results = any(path.endswith(('.json', '.npz', '.csv')) for path in written)
    results &= 'all else is in the results' in said or status == 0
    if status == 0 or results:
        if case.must == 'refusal':
            return 'wrong result', f'exit {status} for what must be refused: {said[-500:]}'
        if wrong := _wrong(case, said + out):
            return 'wrong result', wrong
    if status == 0:
        return 'result', ''
    if case.must == 'result':
        return 'wrong refusal', said[-500:]
    if len(last) != 1:
        return 'not one line', said[-1500:]
    # Messages have one space for any white space.
    if not any(' '.join(name.split()) in last[0] for name in case.named):
        return 'not named', last[0]
    new = [path for path in written if path.endswith(('.json', '.csv', '.npz', '.mp4'))]
    if new and not results and case.kind != 'journal' and 'work/' not in new[0]:
        return 'half written', ', '.join(new[:5])
    return 'told' if results else 'refused', last[0]


def _wrong(case: Case, said: str) -> str | None:
    if case.door == 'convert':
        return wrong_skeletons(case)
    if case.argv[0] == 'infer':
        return wrong_results(case, said)
    return wrong_figures(case) if case.argv[0] == 'test' else None


def _partial(path: str) -> bool:
    return any(word in path for word in ('.incomplete', '.partial', '.tmp'))


def serve() -> None:
    """Answer lines on standard input until it ends."""
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    import mmengine.hooks.runtime_info_hook
    import mmengine.runner.runner

    import rpstn.engine.run
    import rpstn.form
    import rpstn.inference.run
    import rpstn.pose  # noqa: F401

    # They start compilers and git to ask for versions.
    mmengine.runner.runner.collect_env = lambda: {}
    mmengine.hooks.runtime_info_hook.get_git_hash = lambda *_: ''
    seconds, seeds = int(sys.argv[1]), Path(sys.argv[2])
    if not seeds.exists():
        make_seeds(seeds)
    watch, opened = sandbox.Watch(), doors()
    sandbox.limit_memory()
    answers.write('ready\n')
    answers.flush()
    for line in sys.stdin:
        case = Case(**json.loads((Path(line.strip()) / 'case.json').read_text()))
        verdict = run(case, opened[case.door], watch, seconds)
        if verdict['verdict'] in GOOD:
            shutil.rmtree(os.fsencode(case.folder), ignore_errors=True)
        answers.write(json.dumps(verdict) + '\n')
        answers.flush()


if __name__ == '__main__':
    serve()
