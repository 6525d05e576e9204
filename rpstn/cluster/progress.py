"""How far an archive has come: a bar on a terminal, a line a minute elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_EVERY = 60.0  # seconds


class ArchiveProgress:
    """Videos done and failed, rates and the time left.

    Args:
        total: videos to be done.
        say: takes lines where there is no terminal.
    """

    def __init__(self, total: int, say: Callable[[str], None]) -> None:
        self.total, self.say = total, say
        self.done = self.failed = self.frames = 0
        self._began = self._said = time.monotonic()
        console = Console(stderr=True)
        self._terminal = console.is_terminal
        self._bar = Progress(
            TextColumn('videos'),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn('{task.fields[state]}', markup=False),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not self._terminal,
        )
        self._task = self._bar.add_task('', total=total, state='workers start')

    def __enter__(self) -> ArchiveProgress:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def step(self, row: Mapping[str, Any]) -> None:
        """One video more."""
        self.done += 1
        self.failed += row['state'] == 'failed'
        self.frames += row['frames'] or 0
        self._bar.update(self._task, advance=1, state=self._state())

    def tick(self) -> None:
        """Say so where there is no bar, now and then."""
        if not self._terminal and time.monotonic() - self._said > _EVERY:
            self._said = time.monotonic()
            left = self.seconds / self.done * (self.total - self.done) if self.done else None
            rest = '' if left is None else f', {left / 60:.0f} min left'
            self.say(f'{self.done} of {self.total} videos, {self._state()}{rest}')

    def _state(self) -> str:
        rate = self.done / max(self.seconds, 1e-9)
        failed = f'{self.failed} failed, ' if self.failed else ''
        return f'{failed}{60 * rate:.1f} videos/min, {self.frames / self.seconds:.0f} frames/s'
