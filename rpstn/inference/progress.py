"""How far a run has come, for who waits for it."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from rpstn.names import printable
from rpstn.video.inputs import Source
from rpstn.video.live import LiveSource


class ProgressLine:
    """Frames done and frames per second, on one line of the terminal, if it is one.

    Args:
        console: where to.
        source: what is looked at.
    """

    def __init__(self, console: Console, source: Source) -> None:
        total = _expected(source)
        self.progress = Progress(
            # Not as markup: names may hold brackets.
            TextColumn('{task.description}', markup=False),
            BarColumn(),
            TextColumn('{task.fields[state]}', markup=False),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.progress.add_task(printable(source.name), total=total, state='')
        self.total = f'/{total}' if total else ''
        self.done = 0

    def __enter__(self) -> Callable[[float], None]:
        self.progress.start()
        return self.step

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def step(self, rate: float) -> None:
        """One frame more, at ``rate`` frames per second so far."""
        self.done += 1
        self.progress.update(
            self.task, advance=1, state=f'frame {self.done}{self.total}, {rate:.1f} frames/s'
        )


def _expected(source: Source) -> int | None:
    """The frames that a run will have, as far as the header of the video is right."""
    if isinstance(source, LiveSource) or not source.expected:
        return None
    start, end = (
        int(moment.value * (source.fps if moment.seconds else 1)) if moment else source.expected
        for moment in (source.part.start, source.part.end)
    )
    return len(range(start, min(end, source.expected), source.part.stride)) or None
