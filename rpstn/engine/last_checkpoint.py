"""The checkpoint that a training was at when it ended, or was ended."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from mmengine.logging import print_log

from rpstn.checkpoints import ModelError, read_checkpoint
from rpstn.errors import SettingError
from rpstn.files import natural

NOTE = 'last_checkpoint'
NEEDED = {'meta', 'message_hub'}
"""What a checkpoint has to hold, besides the weights, to go on from."""
_NUMBERED = re.compile(r'(epoch|iter)_\d+\.pth')


def last_checkpoint(work_dir: str | Path) -> str | None:
    """The last whole checkpoint in a work folder, wherever it lay when it was written.

    It is the one that ``last_checkpoint`` names. Where that is missing or damaged, which a warning
    says, it is the ``epoch_N.pth`` or ``iter_N.pth`` of the highest number.

    Returns:
        None where no training has saved any.

    Raises:
        SettingError: there are some, none of which is whole, or the one noted lies nowhere.
    """
    folder = Path(work_dir)
    noted = _noted(folder / NOTE)
    reasons = [] if noted is not None else [f'{folder / NOTE}: missing']
    for path in dict.fromkeys(_candidates(folder, noted)):
        reason = _damage(path)
        if reason is not None:
            reasons.append(reason)
            continue
        if noted is None or path.name != noted.name:
            print_log(f'{reasons[0]}; the training goes on from {path}', 'current', logging.WARNING)
        return str(path)
    if noted is None and not any(folder.glob('[!.]*.pth')):
        return None
    raise SettingError(
        f'{folder / NOTE}: must name a whole checkpoint that is there, or beside it, got '
        f'{noted or "nothing"}; name one: --resume CHECKPOINT'
    )


def _noted(note: Path) -> Path | None:
    try:
        text = note.read_text(encoding='utf-8', errors='surrogateescape').strip()
    except (OSError, ValueError):
        return None
    return Path(text) if text else None


def _candidates(folder: Path, noted: Path | None) -> Iterator[Path]:
    """The one that is noted, here or where it was; then the others here, the latest first."""
    if noted is not None:
        yield from (folder / noted.name, noted)
    names = [path.name for path in folder.glob('*.pth') if _NUMBERED.fullmatch(path.name)]
    yield from (folder / name for name in sorted(names, key=natural, reverse=True))


def _damage(path: Path) -> str | None:
    """Why a training cannot go on from it, if it cannot."""
    try:
        saved = read_checkpoint(path)
    except ModelError as error:
        return str(error) if path.exists() else f'{path}: not there'
    return None if saved.keys() >= NEEDED else f'{path}: no checkpoint of a training'
