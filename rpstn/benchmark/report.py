"""What was measured, as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from rpstn.errors import SettingError
from rpstn.tables import format_table

from .timing import Timing

PACKAGES = ('torch', 'onnxruntime', 'openvino', 'mmpose', 'mmaction2', 'mediapipe', 'onnx', 'numpy')
FLAGS = ('avx2', 'avx512f', 'avx_vnni', 'avx512_vnni', 'avx512_bf16', 'amx_bf16', 'amx_int8')
MARKS = ('<!-- benchmark -->', '<!-- /benchmark -->')


@dataclass
class Section:
    """Calls beside each other, and what else is told of them.

    Attributes:
        title: in a line.
        header, rows: of a table.
        text: above it.
        timings: of a table before, by what its rows are called.
        unit: that their milliseconds are per.
    """

    title: str
    header: list[str]
    rows: list[list]
    text: str = ''
    timings: dict[str, Timing] = field(default_factory=dict)
    unit: str = 'frame'

    def markdown(self) -> str:
        """The whole section, with a line on each call that was not measured."""
        failed = [f'- {n}: not measured: {t.error}' for n, t in self.timings.items() if t.error]
        timings = self._timings() if self.timings else ''
        table = format_table(self.header, self.rows, digits=2)
        parts = (f'### {self.title}', timings, '\n'.join(failed), self.text, table)
        return '\n\n'.join(filter(None, parts))

    def _timings(self) -> str:
        """Ratios are to the first row, turn by turn; the median of the turns is given."""
        first = next(iter(self.timings.values()))
        header = ['', f'ms per {self.unit}, median', '95th percentile', 'of the first']
        header += ['processor ms', 'of the first', 'peak MB']
        rows = [
            [
                name,
                *map(float, np.percentile(np.concatenate(timing.ms), (50, 95))),
                _ratio(timing.ms, first.ms),
                float(np.median(np.concatenate(timing.cpu_ms))),
                _ratio(timing.cpu_ms, first.cpu_ms),
                f'{timing.memory:.0f}',
            ]
            for name, timing in self.timings.items()
            if not timing.error
        ]
        return format_table(header, rows)


@dataclass
class Report:
    """A line on the machine and on what was asked of it, and the sections."""

    head: str
    sections: list[Section]

    def markdown(self) -> str:
        """All of it."""
        return '\n\n'.join([self.head, *(section.markdown() for section in self.sections)])


def read_page(path: Path) -> tuple[str, str]:
    """A Markdown file before and after its report, which stands between the lines :data:`MARKS`.

    Raises:
        SettingError: it has no such lines; a file that is not there would get them.
    """
    text = path.read_text() if path.is_file() else '\n'.join([*MARKS, ''])
    before, first, rest = text.partition(MARKS[0])
    _, second, after = rest.partition(MARKS[1])
    if not (first and second):
        raise SettingError(f'{path}: has no lines {" and ".join(MARKS)}, between which to write')
    return f'{before}{first}\n', f'\n{second}{after}'


def machine(threads: int) -> str:
    """Processor and versions, for the head of a report."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    facts = {
        key.strip(): value.strip() for key, _, value in (line.partition(':') for line in lines)
    }
    flags = [flag for flag in FLAGS if flag in facts.get('flags', '').split()]
    versions = [f'Python {platform.python_version()}']
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            versions.append(f'{package} {version(package)}')
    return (
        f'{threads} threads of {facts.get("model name", platform.processor())}, '
        f'{os.cpu_count()} cores ({", ".join(flags)}), {", ".join(versions)}'
    )


def _ratio(turns: Sequence[Sequence[float]], others: Sequence[Sequence[float]]) -> str:
    ratios = [np.median(ours) / np.median(theirs) for ours, theirs in zip(turns, others)]
    return f'{np.median(ratios):.2f}' if ratios else '-'
