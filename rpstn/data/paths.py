"""Where data sets are looked for, and where parsed annotations may be kept."""

from __future__ import annotations

import os
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]


def data_roots() -> list[Path]:
    """The folders searched for data, in order: ``$RPSTN_DATA``, ``data``, ``../shared/data``.

    The two relative ones are taken from the working directory first, then from the folder that
    holds the package, so that tools work from anywhere in a checkout.
    """
    roots = [Path(os.environ['RPSTN_DATA'])] if os.environ.get('RPSTN_DATA') else []
    for base in (Path.cwd(), _REPOSITORY):
        roots += [base / 'data', base.parent / 'shared' / 'data']
    return list(dict.fromkeys(roots))


def find_data(relative: str | os.PathLike) -> Path:
    """The first existing ``<root>/<relative>`` over :func:`data_roots`.

    Args:
        relative: path below a data root, e.g. ``'jhmdb'`` or ``'data/jhmdb'``, or any path that
            exists as it is.

    Raises:
        FileNotFoundError: naming every place that was looked at.
    """
    given = Path(relative).expanduser()
    below = given.relative_to('data') if given.parts[:1] == ('data',) else given
    tried = [given] if given.is_absolute() else [*(r / below for r in data_roots()), given]
    for path in tried:
        if path.exists():
            return path
    raise FileNotFoundError(
        f"'{relative}' was not found; looked at: {', '.join(map(str, tried))}. Put the data in "
        "'data/' or set RPSTN_DATA to the folder that holds it."
    )


def cache_directories(data_root: Path) -> list[Path]:
    """Folders that may hold parsed annotations of ``data_root``, the preferred one first.

    Beside the data, so that it is shared and goes away with it; the user's cache folder
    (``$XDG_CACHE_HOME``) where the data is read-only.
    """
    user = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    return [data_root, user / 'rpstn']
