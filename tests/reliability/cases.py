"""A case: one input laid out in a folder, the door it goes to, and how its end is judged."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

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
