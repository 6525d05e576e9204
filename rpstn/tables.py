"""Plain text tables for logs and tools."""

from __future__ import annotations

from collections.abc import Sequence


def format_table(
    header: Sequence[str], rows: Sequence[Sequence[object]], scale: float = 1.0, digits: int = 1
) -> str:
    """Align rows under a header, first column left, the others right.

    Args:
        header: column names.
        rows: cells; floats are multiplied by ``scale`` and rounded, None and
            NaN are shown as ``-``.
        scale: e.g. 100 for percent.
        digits: behind the point.

    Returns:
        A Markdown table, readable as it is.
    """

    def text(cell: object) -> str:
        if cell is None or cell != cell:
            return '-'
        return f'{cell * scale:.{digits}f}' if isinstance(cell, float) else str(cell)

    lines = [[str(cell) for cell in header], *([text(cell) for cell in row] for row in rows)]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(header))]
    aligned = [
        [
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths))
        ]
        for line in lines
    ]
    rule = ['-' * w if i == 0 else '-' * (w - 1) + ':' for i, w in enumerate(widths)]
    return '\n'.join(f'| {" | ".join(line)} |' for line in [aligned[0], rule, *aligned[1:]])
