"""What a job is, that workers do to each video of an archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Outcome:
    """What came of one video."""

    files: Mapping[str, Path]
    """Ending of the name -> file."""
    frames: int
    error: str = ''
    """A line on what is wrong with it; there may be results all the same."""
    summary: str = ''
    nothing: bool = False
    """Whether there was nothing to assess."""
    repetitions: list[dict[str, Any]] = field(default_factory=list)
    angles: list[dict[str, Any]] = field(default_factory=list)


Look = Callable[[str, Path], Outcome]
"""Takes a video here, and an empty folder for its results."""


class Job(Protocol):
    """What is done, and how; pickled for the workers, which have the same files."""

    @property
    def endings(self) -> tuple[str, ...]:
        """All that names of results may end in."""

    @property
    def device(self) -> str | None:
        """Where torch computes, as it was asked for."""

    def check(self) -> None:
        """Raise a SettingError where options do not fit each other, or an archive."""

    def identity(self) -> tuple[str, dict[str, Any]]:
        """The sha256 of the model, and all settings that results depend on, as JSON has them."""

    def load(self) -> Look:
        """A warm model."""


_NOT_OF_RESULTS = ('inputs', 'out', 'show', 'resume', 'overwrite', 'retries', 'device')


def settings_of(options: Any) -> dict[str, Any]:
    """Those of a command's options, a data class, that results depend on."""
    given = {one.name: getattr(options, one.name) for one in fields(options)}
    return {name: value for name, value in given.items() if name not in _NOT_OF_RESULTS}
