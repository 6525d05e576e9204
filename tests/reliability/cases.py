"""A case: one input laid out in a folder, the door it goes to, and how its end is judged."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from hypothesis import strategies as st

from .seeds import SAVED

GOOD = ('result', 'told', 'refused')
"""How an input may end: told is a result with a line on what is not in it."""


@dataclass
class Case:
    """One input; all of it can be written as JSON."""

    kind: str
    spec: dict
    """What was drawn, from which the kind makes the input again."""
    folder: str
    """Holds ``in/``, the input; ``out/``, where results go; ``home/``, the working folder."""
    door: str = 'rpstn'
    argv: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    """A refusal has one of these in it."""
    same: str | None = None
    """A folder of results: these are to come, or a refusal."""
    must: str | None = None
    """``'result'`` or ``'refusal'`` where only that is right."""
    frames: int | None = None
    """Fewer frames than these must be told."""

    @property
    def into(self) -> Path:
        """Where the input lies."""
        return Path(self.folder) / 'in'

    @property
    def out(self) -> Path:
        """Where results go."""
        return Path(self.folder) / 'out'

    def write(self) -> None:
        """As ``case.json``, beside the folder's parts."""
        (Path(self.folder) / 'case.json').write_text(json.dumps(asdict(self)))


class Kind(Protocol):
    """A kind of input."""

    name: str
    specs: st.SearchStrategy[dict]

    def lay(self, case: Case, seeds: Path) -> None:
        """Write the input of ``case.spec``, and set what else the case is."""


def infer(case: Case, seeds: Path, path: Path, *more: str, checkpoint: Path | None = None) -> None:
    """The case is `rpstn infer` of a path."""
    model = [str(seeds / 'model.py'), str(checkpoint or seeds / 'model.pth')]
    options = ['--save', *SAVED, '--device', 'cpu', *more]
    case.argv = ['infer', *model, str(path), '--out', str(case.out), *options]
    case.named = case.named or [path.name]


def wrong_results(case: Case, said: str) -> str | None:
    """What is wrong with the results of `rpstn infer`, if anything is."""
    stems = {p.name.removesuffix('.json') for p in case.out.glob('*.json')}
    if len(stems) != 1:
        return f'results of {len(stems)} inputs'
    stem = stems.pop()
    try:
        frames = json.loads((case.out / f'{stem}.json').read_text())['frames']
        with open(case.out / f'{stem}.csv', newline='') as file:
            rows = list(csv.DictReader(file))
        with np.load(case.out / f'{stem}.npz') as arrays:
            content = dict(arrays)
    except (OSError, ValueError, KeyError) as error:
        return f'half written: {type(error).__name__}: {error}'
    numbers = [frame['frame'] for frame in frames]
    times = [frame['time'] for frame in frames]
    if numbers != sorted(set(numbers)):
        return f'frames are {numbers}'
    if not all(math.isfinite(time) for time in times) or times != sorted(times):
        return f'times are {times}'
    points = np.array([frame['keypoints'] for frame in frames], float)
    if not np.isfinite(points).all():
        return 'joints are not finite'
    found = np.array([[float(row[name]) for name in ('x', 'y', 'score')] for row in rows])
    if not np.array_equal(found.ravel(), points.ravel()):
        return 'CSV and JSON differ'
    if content['frame'].tolist() != numbers:
        return 'NPZ and JSON differ'
    if case.frames is not None and len(numbers) < case.frames and not _told(said):
        return f'{len(numbers)} of {case.frames} frames, and not told'
    if case.same is not None:
        expected = json.loads((Path(case.same) / f'{stem}.json').read_text())['frames']
        if expected != frames:
            return f'{len(frames)} frames, other than those of a run that was never stopped'
    return None


def _told(said: str) -> bool:
    return any(
        word in said for word in ('could be decoded', 'cannot be decoded', 'damaged', 'left out')
    )


def load(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text())
